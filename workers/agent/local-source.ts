import { readdirSync, statfsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import type { SettingsOf } from '../../stack/settings.js';
import { createBeancountersTable } from './beancounters-table.js';
import { readCgroup1, readCgroup2 } from './cgroup-tables.js';
import { parseBootId, parseLoadavg } from './parse-loadavg.js';
import type { ContainerReading, CounterSource, RawSample } from './raw-sample.js';
import { openSmallFiles } from './read-small-file.js';

type Sources = SettingsOf<'agent'>['sources'];

/** Ten thousand containers: a larger file is not what it says it is. */
const MOST_BYTES = 32 * 1024 * 1024;

/** Reads the counters of the machine that it runs on. */
export function createLocalSource(sources: Sources): CounterSource {
  const procFiles = openSmallFiles({ keepOpen: false });
  const cgroupFiles = openSmallFiles({ keepOpen: isCgroupfs(sources.cgroup2) || isCgroupfs(sources.cgroup1Memory) });
  const beancounters = createBeancountersTable();
  const cores = availableParallelism();

  function sample(): RawSample {
    const problems: string[] = [];
    const guarded = <T>(what: string, read: () => T): T | null => {
      try {
        return read();
      } catch (error) {
        problems.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
        return null;
      }
    };
    const { beancounters: table, cgroup2, cgroup1Memory } = sources;
    const containersOf = (root: string): [string, string][] => (sources.watchAll ? childrenOf(root) : Object.entries(sources.containers));
    const tables: RawSample['tables'] = {
      ...(table === null ? {} : { beancounters: guarded('beancounters', () => beancounters(procFiles.bytes(table, MOST_BYTES), problems)) }),
      ...(cgroup2 === null
        ? {}
        : { cgroup2: guarded<ContainerReading[]>('cgroup v2', () => readCgroup2(cgroup2, containersOf(cgroup2), cgroupFiles, problems)) }),
      ...(cgroup1Memory === null
        ? {}
        : { cgroup1: guarded<ContainerReading[]>('cgroup v1', () => readCgroup1(cgroup1Memory, containersOf(cgroup1Memory), cgroupFiles, problems)) }),
    };
    const load1 = guarded('load', () => parseLoadavg(procFiles.text(join(sources.proc, 'loadavg')) ?? ''));
    const bootId = guarded('boot id', () => parseBootId(procFiles.text(join(sources.proc, 'sys/kernel/random/boot_id')) ?? ''));
    if (load1 === null) problems.push(`load: ${join(sources.proc, 'loadavg')} is not there or not whole`);
    return { atMs: performance.now(), bootId, cores, load1, tables, problems };
  }

  return {
    sample: async () => sample(),
    close: async () => {
      cgroupFiles.close();
      procFiles.close();
    },
  };
}

/** Each directory directly below a cgroup is a container. */
function childrenOf(root: string): [string, string][] {
  return readdirSync(root, { withFileTypes: true })
    .filter((e) => e.isDirectory())
    .map((e) => [e.name, e.name]);
}

/** Magic numbers of cgroup v2 and v1. Source: Linux, include/uapi/linux/magic.h. */
const CGROUPFS = new Set([0x63677270, 0x27e0eb]);

function isCgroupfs(root: string | null): boolean {
  if (root === null) return false;
  try {
    return CGROUPFS.has(statfsSync(root).type);
  } catch {
    // Not there yet: files are then opened anew at each read, which is slower and as right.
    return false;
  }
}
