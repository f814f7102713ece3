import { performance } from 'node:perf_hooks';
import type { Answer } from '../../activities/far-side/answer.js';
import { readCgroup1, readCgroup2 } from './cgroup-tables.js';
import { parseBeancounters } from './parse-beancounters.js';
import { parseLoadavg } from './parse-loadavg.js';
import type { ContainerReading, RawSample } from './raw-sample.js';

/** The far-side helper's answer to `counters` as a sample: the same files, parsed by the same parsers, as if they had been read here. */
export function sampleOfAnswer(answer: Answer, cgroups: Readonly<Record<string, string>>): RawSample {
  const problems: string[] = [];
  const { files } = answer;
  const table = files.get('beancounters') ?? null;
  let beancounters: ContainerReading[] | null | undefined;
  if (table !== null) {
    const parsed = parseBeancounters(Buffer.from(table, 'latin1'));
    beancounters = parsed.ok ? parsed.containers : null;
    if (!parsed.ok) problems.push(`beancounters: ${parsed.problem}`);
    else if (parsed.strange.length > 0) problems.push(`beancounters: no container names: ${parsed.strange.slice(0, 5).map((s) => JSON.stringify(s.slice(0, 80))).join(', ')}`);
  }
  // The helper shows the files of whichever version the host has; the readers find theirs or nothing.
  const named = Object.entries(cgroups);
  const asFiles = { text: (path: string) => files.get(path) ?? null };
  const cgroup2 = named.length === 0 ? [] : readCgroup2('', named, asFiles, problems);
  const cgroup1 = named.length === 0 ? [] : readCgroup1('.', named.filter(([, path]) => files.get(`${path}/memory.failcnt`) != null), asFiles, problems);

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
