import type { Resource } from '../../events/kinds/container.js';

/** One counter of one container as it was read: absolute, in the resource's own unit. */
export interface CounterRow {
  resource: Resource;
  held: number;
  barrier: number;
  limit: number;
  /** Refusals since the container was made. */
  failcnt: number;
  /** Microseconds in which some process of the container waited for memory (PSI `some total`), where the kernel counts them. */
  stallMicros?: number;
}

/** `rows: null`: the container exists, but could not be read this time. */
export interface ContainerReading {
  container: string;
  rows: readonly CounterRow[] | null;
}

/** Where counters come from. */
export const SOURCES = ['beancounters', 'cgroup2', 'cgroup1'] as const;
export type SourceName = (typeof SOURCES)[number];

/** Everything that was read at one moment. Null is "could not be read", never "nothing there". */
export interface RawSample {
  /** By a clock that never jumps, in milliseconds. */
  atMs: number;
  bootId: string | null;
  cores: number | null;
  load1: number | null;
  /** A source that the host does not have is absent. */
  tables: Partial<Record<SourceName, readonly ContainerReading[] | null>>;
  /** What could not be read or made sense of, for the log: said once, not each second. */
  problems: readonly string[];
}

/** How counters reach the agent: read on this machine, or over SSH. */
export interface CounterSource {
  sample(): Promise<RawSample>;
  close(): Promise<void>;
}

/**
 * The kernel's 64-bit counters reach beyond what a JavaScript number holds exactly (2^53 - 1, nine petabytes). "Unlimited" is such a value; it becomes
 * the largest exact one, which is as unlimited. No counter of ours counts that far.
 */
export const MOST = Number.MAX_SAFE_INTEGER;

/** An unsigned decimal, clamped to `MOST`; null for anything else. */
export function parseCount(text: string): number | null {
  if (!/^\d{1,20}$/.test(text)) return null;
  return Math.min(Number(text), MOST);
}
