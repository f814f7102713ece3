import type { ContainerLook, Counter, ProcessFact } from '../../activities/looks.js';
import type { Resource } from '../../events/kinds/container.js';
import { amount, count, gain, span } from './figures.js';

/** `34 httpd of uid 33, oldest 6 m, 12 others`: names only where the inventory knows them, since a process may call itself anything. */
export function describeProcesses(processes: readonly ProcessFact[] | null, runaways: readonly string[]): string {
  if (processes === null) return 'its processes could not be read';
  const known = processes.filter((p) => runaways.includes(p.comm));
  if (known.length === 0) return count(processes.length, 'process', 'processes');
  const names = [...new Set(known.map((p) => p.comm))].join(', ');
  const uids = [...new Set(known.map((p) => p.uid))];
  const oldest = Math.max(...known.map((p) => p.ageSeconds));
  const others = processes.length - known.length;
  return `${known.length} ${names} of ${uids.length === 1 ? `uid ${uids[0]}` : `${uids.length} uids`}, oldest ${span(oldest * 1000)}${others === 0 ? '' : `, ${count(others, 'other')}`}`;
}

/** `tcpsndbuf held 4.0 MB of 4.0 MB`. */
export const describeCounter = (counter: Counter | null, resource: Resource): string =>
  counter === null ? `${resource} could not be read` : `${resource} held ${amount(resource, counter.held)} of ${amount(resource, counter.barrier)}`;

/** `container enters in 80 ms`, `cannot enter the container (2 s)`. */
export const describeEntry = (look: ContainerLook, withinMs: number): string =>
  look.enteredInMs === undefined
    ? 'nobody tried to enter'
    : look.enteredInMs === null
      ? `cannot enter the container (${span(withinMs)})`
      : `container enters in ${span(look.enteredInMs)}`;

/** `failcnt +412 in 3 s`; `failcnt +0 for 15 s` when nothing was refused. */
export const describeRefusals = (refused: number, ms: number): string => `failcnt ${gain(refused)} ${refused === 0 ? 'for' : 'in'} ${span(ms)}`;

export const describeLoad = (look: ContainerLook): string => (look.load1 === null ? 'load unknown' : `load ${look.load1.toFixed(1)}`);

/** What of a look is kept as evidence: all its figures, and the processes that burn most. Bounded, since one record must fit into the audit. */
export function evidenceOf(look: ContainerLook): Record<string, unknown> {
  const { processes, ...figures } = look;
  if (processes === null) return { ...figures, processes: null };
  return { ...figures, processes: { count: processes.length, hottest: processes.toSorted((a, b) => b.cpuSeconds - a.cpuSeconds).slice(0, 20) } };
}
