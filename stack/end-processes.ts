import { setTimeout as pause } from 'node:timers/promises';
import { isAlive, signalTo, type ProcessId } from './process-table.js';

/** Ends these processes: asks all, waits up to `graceMs`, then insists. Resolves with those that were still there at the start. */
export async function endProcesses<P extends ProcessId>(ids: readonly P[], graceMs: number): Promise<P[]> {
  const there = ids.filter((id) => signalTo(id, 'SIGTERM'));
  if (await gone(there, graceMs)) return there;
  for (const id of there) signalTo(id, 'SIGKILL');
  if (!(await gone(there, 5_000))) {
    throw new Error(
      `these processes do not end, not even by SIGKILL: ${there
        .filter(isAlive)
        .map((id) => id.pid)
        .join(', ')}`,
    );
  }
  return there;
}

async function gone(ids: readonly ProcessId[], withinMs: number): Promise<boolean> {
  const end = Date.now() + withinMs;
  while (ids.some(isAlive)) {
    if (Date.now() >= end) return false;
    await pause(20);
  }
  return true;
}
