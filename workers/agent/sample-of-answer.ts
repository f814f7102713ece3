import { performance } from 'node:perf_hooks';
import type { Answer } from '../../activities/far-side/answer.js';
import { createBeancountersTable } from './beancounters-table.js';
import { readCgroup1, readCgroup2 } from './cgroup-tables.js';
import { parseLoadavg } from './parse-loadavg.js';
import type { ContainerReading, RawSample } from './raw-sample.js';

/** The far-side helper's answer to `counters` as a sample: the same files, parsed by the same parsers, as if they had been read here. */
export function createSampleOfAnswer(cgroups: Readonly<Record<string, string>>): (answer: Answer) => RawSample {
  const beancountersTable = createBeancountersTable();
  return (answer) => sampleOfAnswer(answer, cgroups, beancountersTable);
}

function sampleOfAnswer(answer: Answer, cgroups: Readonly<Record<string, string>>, beancountersTable: ReturnType<typeof createBeancountersTable>): RawSample {
  const problems: string[] = [];
  const { files } = answer;
  const table = files.get('beancounters') ?? null;
  let beancounters: readonly ContainerReading[] | null | undefined;
  if (table !== null) {
    try {
      beancounters = beancountersTable(Buffer.from(table, 'latin1'), problems);
    } catch (error) {
      beancounters = null;
      problems.push(`beancounters: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  // The helper shows the files of whichever version the host has; the readers find theirs or nothing.
  const named = Object.entries(cgroups);
  const asFiles = { text: (path: string) => files.get(path) ?? null };
  const cgroup2 = named.length === 0 ? [] : readCgroup2('', named, asFiles, problems);
  const cgroup1 =
    named.length === 0
      ? []
      : readCgroup1(
          '.',
          named.filter(([, path]) => files.get(`${path}/memory.failcnt`) != null),
          asFiles,
          problems,
        );

  const load1 = parseLoadavg(files.get('loadavg') ?? '');
  if (load1 === null) problems.push('load: the host did not say it');
  if (beancounters === undefined && named.length === 0) problems.push('beancounters: the host has none, and no cgroup is named');
  return {
    atMs: performance.now(),
    bootId: answer.bootId,
    cores: answer.cores,
    load1,
    tables: { ...(beancounters === undefined ? {} : { beancounters }), ...(cgroup2.length + cgroup1.length === 0 ? {} : { cgroup2, cgroup1 }) },
    problems,
  };
}
