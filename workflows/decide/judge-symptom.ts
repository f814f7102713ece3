import type { Counter } from '../../activities/looks.js';

export type Symptom =
  | { live: true; reason: 'cannot-enter' | 'refused-now' | 'at-limit' }
  /** `flat`: nothing is refused, there is room, and whoever wants to can enter. A single blip is normal. */
  | { live: false; reason: 'flat' };

/** From this share of the barrier on a resource counts as used up. */
const FULL = 0.97;

/**
 * Is the trigger still true? Counters are compared, never taken absolutely: failcnt outlives its cause. That a container cannot be entered speaks of this
 * trouble only together with a fresh event, or with a resource that is used up.
 */
export function judgeSymptom({
  counter,
  refused,
  enteredInMs,
  fresh,
}: {
  counter: Counter;
  refused: number;
  enteredInMs: number | null;
  fresh: boolean;
}): Symptom {
  const atLimit = counter.barrier > 0 && counter.held >= counter.barrier * FULL;
  if (enteredInMs === null && (fresh || atLimit || refused > 0)) return { live: true, reason: 'cannot-enter' };
  if (refused > 0) return { live: true, reason: 'refused-now' };
  return atLimit ? { live: true, reason: 'at-limit' } : { live: false, reason: 'flat' };
}
