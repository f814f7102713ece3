import { MOST, parseCount } from './raw-sample.js';

/**
 * Files of a cgroup v2 directory. Formats: Linux, Documentation/admin-guide/cgroup-v2.rst and Documentation/accounting/psi.rst.
 * Null for text that is not whole: no figure is made up.
 */

/** `memory.events`: how often usage ran into `memory.max`, and how often that could not be put right by reclaiming. */
export function parseMemoryEvents(text: string): { max: number; oom: number } | null {
  const max = flatKey(text, 'max');
  const oom = flatKey(text, 'oom');
  return max === null || oom === null ? null : { max, oom };
}

/** `pids.events`: how often a fork was refused by `pids.max`. */
export function parsePidsEvents(text: string): { max: number } | null {
  const max = flatKey(text, 'max');
  return max === null ? null : { max };
}

/** `memory.pressure`: microseconds in which some (or all) processes waited for memory, since the cgroup was made. */
export function parsePressure(text: string): { someMicros: number; fullMicros: number | null } | null {
  if (!text.endsWith('\n')) return null;
  const some = /^some avg10=[\d.]+ avg60=[\d.]+ avg300=[\d.]+ total=(\d+)$/m.exec(text)?.[1];
  const full = /^full avg10=[\d.]+ avg60=[\d.]+ avg300=[\d.]+ total=(\d+)$/m.exec(text)?.[1];
  const someMicros = some === undefined ? null : parseCount(some);
  return someMicros === null ? null : { someMicros, fullMicros: full === undefined ? null : parseCount(full) };
}

/** `memory.max`, `memory.current`, `pids.max`, `pids.current`: one figure, or `max` for none. */
export function parseOneValue(text: string): number | null {
  if (!text.endsWith('\n')) return null;
  const value = text.trim();
  return value === 'max' ? MOST : parseCount(value);
}

function flatKey(text: string, key: string): number | null {
  if (!text.endsWith('\n')) return null;
  const found = new RegExp(`^${key} (\\d+)$`, 'm').exec(text)?.[1];
  return found === undefined ? null : parseCount(found);
}
