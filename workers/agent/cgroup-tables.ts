import { dirname, join } from 'node:path';
import { containerId } from '../../events/envelope.js';
import { parseCgroup1Memory } from './parse-cgroup1.js';
import { parseMemoryEvents, parseOneValue, parsePidsEvents, parsePressure } from './parse-cgroup2.js';
import type { ContainerReading, CounterRow } from './raw-sample.js';

/** Content of a file by its path, null when there is none. Throws when it cannot be read. */
export interface TextFiles {
  text(path: string): string | null;
}

type Containers = readonly (readonly [name: string, path: string])[];

/** Reads the cgroups named, below a v2 hierarchy. Directories that are not there are containers that do not run. */
export function readCgroup2(root: string, containers: Containers, files: TextFiles, problems: string[]): ContainerReading[] {
  return readEach(containers, problems, (path) => {
    const dir = join(root, path);
    const rows: CounterRow[] = [];
    const events = files.text(join(dir, 'memory.events'));
    if (events !== null) {
      const refusals = whole('memory.events', parseMemoryEvents(events));
      const limit = whole('memory.max', parseOneValue(files.text(join(dir, 'memory.max')) ?? ''));
      const held = whole('memory.current', parseOneValue(files.text(join(dir, 'memory.current')) ?? ''));
      const pressure = files.text(join(dir, 'memory.pressure'));
      // A kernel without PSI, or with it switched off, has no such file or refuses to open it.
      const stallMicros = pressure === null ? undefined : whole('memory.pressure', parsePressure(pressure)).someMicros;
      rows.push({
        resource: 'memory',
        held,
        barrier: limit,
        limit,
        failcnt: refusals.max + refusals.oom,
        ...(stallMicros === undefined ? {} : { stallMicros }),
      });
    }
    rows.push(...readPids(dir, files));
    return rows;
  });
}

/** Reads the cgroups named, below the v1 memory hierarchy, and their pids in the hierarchy beside it where there is one. */
export function readCgroup1(root: string, containers: Containers, files: TextFiles, problems: string[]): ContainerReading[] {
  return readEach(containers, problems, (path) => {
    const dir = join(root, path);
    const rows: CounterRow[] = [];
    const failcnt = files.text(join(dir, 'memory.failcnt'));
    if (failcnt !== null) {
      const memory = whole(
        'memory',
        parseCgroup1Memory({
          failcnt,
          usage: files.text(join(dir, 'memory.usage_in_bytes')) ?? '',
          limit: files.text(join(dir, 'memory.limit_in_bytes')) ?? '',
        }),
      );
      rows.push({ resource: 'memory', held: memory.held, barrier: memory.limit, limit: memory.limit, failcnt: memory.failcnt });
    }
    rows.push(...readPids(join(dirname(root), 'pids', path), files));
    return rows;
  });
}

function readPids(dir: string, files: TextFiles): CounterRow[] {
  const events = files.text(join(dir, 'pids.events'));
  if (events === null) return [];
  const { max } = whole('pids.events', parsePidsEvents(events));
  const limit = whole('pids.max', parseOneValue(files.text(join(dir, 'pids.max')) ?? ''));
  const held = whole('pids.current', parseOneValue(files.text(join(dir, 'pids.current')) ?? ''));
  return [{ resource: 'pids', held, barrier: limit, limit, failcnt: max }];
}

function readEach(containers: Containers, problems: string[], read: (path: string) => CounterRow[]): ContainerReading[] {
  const readings: ContainerReading[] = [];
  for (const [container, path] of containers) {
    if (!containerId.safeParse(container).success) {
      problems.push(`cgroup: ${JSON.stringify(container.slice(0, 80))} is no container name`);
      continue;
    }
    try {
      const rows = read(path);
      if (rows.length > 0) readings.push({ container, rows });
    } catch (error) {
      problems.push(`cgroup ${container}: ${error instanceof Error ? error.message : String(error)}`);
      readings.push({ container, rows: null });
    }
  }
  return readings;
}

function whole<T>(file: string, value: T | null): T {
  if (value === null) throw new Error(`${file} is not whole`);
  return value;
}
