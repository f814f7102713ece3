import type { ProcessFact } from '../../activities/looks.js';

/** A service is stuck when none of its processes is left, or none of them can do anything: all wait for a device (D) or are dead and not reaped (Z). Unknown is not stuck. */
export function serviceStuck(processes: readonly ProcessFact[] | null, names: readonly string[]): boolean {
  if (processes === null || names.length === 0) return false;
  return processes.filter((p) => names.includes(p.comm)).every((p) => p.state === 'D' || p.state === 'Z' || p.state === 'X');
}
