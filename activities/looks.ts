import type { Resource } from '../events/kinds/container.js';

/** One row of counters. `failcnt` is absolute and belongs to this incarnation of the container only. Units are the resource's own. */
export interface Counter {
  resource: Resource;
  held: number;
  maxheld: number;
  barrier: number;
  limit: number;
  failcnt: number;
}

/** One process of a container as the host sees it. `args` is text from outside: shown, never used. */
export interface ProcessFact {
  pid: number;
  /** Field 22 of /proc/PID/stat: with the pid it names one process for ever. */
  startTicks: number;
  ppid: number;
  uid: number;
  /** /proc/PID/stat comm, at most 15 bytes. */
  comm: string;
  args: string;
  state: string;
  ageSeconds: number;
  cpuSeconds: number;
  rssKb: number;
}

/** What can be seen of a container from its host, without entering it and without disturbing it; each part is null when it could not be read in time. */
export interface ContainerLook {
  running: boolean | null;
  /** Start ticks of the container's first process: another value is another incarnation. */
  incarnation: string | null;
  /** Milliseconds it took to enter, or null when it could not be entered within `enterWithinMs`. Undefined when nobody asked. */
  enteredInMs?: number | null;
  counters: Counter[] | null;
  processes: ProcessFact[] | null;
  load1: number | null;
  bootId: string | null;
  tookMs: number;
}

export interface LookAtContainer {
  site: string;
  host: string;
  container: string;
  want: ('counters' | 'processes' | 'enter')[];
  /** How long to try to enter. */
  enterWithinMs: number;
}

/**
 * The reads a playbook can ask for. They run in the effector (it has the credentials), on the queue `looks`, with limits per host.
 * They throw: `unreachable` and `incomplete` are worth another try, `refused` and `unauthorized` are not.
 */
export interface Looks {
  /** R0. At most 5 s and one connection; what came in time is returned. */
  lookAtContainer(request: LookAtContainer): Promise<ContainerLook>;
}

/** ApplicationFailure types of looks, and whether trying again can help. */
export const RETRIED = { unreachable: true, incomplete: true, refused: false, unauthorized: false } as const;
export type FailureKind = keyof typeof RETRIED;
