/** Since when, by the marks of the looks, nothing has happened. */
export interface RestMemory {
  mark: string | null;
  since: number;
  failing: number;
  /** How long the next look may wait. */
  waitMs: number;
}

/** Looks grow apart up to this: an incident that is open for days costs its host some hundred reads a day. */
export const MAX_WAIT_MS = 5 * 60_000;

/**
 * What one more look says about an open incident that nobody works on. At rest: the mark is the same as `verifyForMs` ago, and no spike was reported since.
 * Marks hold counters, which are sums: looks far apart miss nothing. While it goes on there is no hurry, and looks grow apart; once it has come to rest, or
 * somebody says so (`hurry`), the next look is near.
 */
export function comeToRest(
  memory: RestMemory,
  seen: { mark: string | null; failing: number; now: number; hurry: boolean },
  knobs: { verifyForMs: number; watchForMs: number },
): { memory: RestMemory; rest: { forMs: number } | null; nextMs: number } {
  const stirred = seen.mark === null || seen.mark !== memory.mark || seen.failing !== memory.failing;
  const waitMs = seen.hurry ? knobs.watchForMs : memory.waitMs;
  const since = stirred ? seen.now : memory.since;
  const quietForMs = seen.now - since;
  return {
    memory: { mark: seen.mark, since, failing: seen.failing, waitMs: Math.min(waitMs * 2, MAX_WAIT_MS) },
    rest: !stirred && quietForMs >= knobs.verifyForMs ? { forMs: quietForMs } : null,
    nextMs: stirred ? waitMs : Math.max(Math.min(waitMs, knobs.verifyForMs - quietForMs), 1),
  };
}
