import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../log.js';

/** What to do about a failure: try again, or let it rise. */
export type Judge = (error: unknown, attempt: number) => 'again' | 'rise';

/**
 * Does it until it is done: 100 ms, doubling, 5 s between tries at most. Rejects when `judge` lets the failure rise, or when `signal` aborts.
 * Whoever waits here holds what it was handed; nothing is given back, so that an outage of a minute costs no deliveries.
 */
export async function patiently<T>(
  act: () => Promise<T>,
  {
    what,
    log,
    signal,
    judge = () => 'again',
    onWait,
  }: {
    what: string;
    log: Log;
    signal: AbortSignal;
    judge?: Judge;
    onWait?: (waiting: boolean) => void;
  },
): Promise<T> {
  let waited = false;
  try {
    for (let attempt = 1; ; attempt += 1) {
      signal.throwIfAborted();
      try {
        return await act();
      } catch (error) {
        if (judge(error, attempt) === 'rise') throw error;
        const waitMs = Math.min(5_000, 100 * 2 ** Math.min(attempt - 1, 6));
        log.warn({ what, attempt, waitMs, error: error instanceof Error ? `${error.name}: ${error.message}` : String(error) }, 'not done yet; trying again');
        if (!waited) onWait?.(true);
        waited = true;
        await sleep(waitMs, undefined, { signal });
      }
    }
  } finally {
    if (waited) onWait?.(false);
  }
}
