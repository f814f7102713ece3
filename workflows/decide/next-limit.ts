import type { Counter } from '../../activities/looks.js';
import type { Resource } from '../../events/kinds/container.js';
import { UNLIMITED } from './figures.js';
import { brokenFormulae, gapOf } from './ubc-formulae.js';

export type NextLimit =
  | { raise: { barrier: number; limit: number } }
  /**
   * `flat`: nothing is refused any more, no raise is needed. `ceiling`: there is no room below the ceiling, or none was given. `max-raises`: as many
   * raises as policy allows. `no-effect`: two raises in a row did not help. `inconsistent`: the raised limit would break a formula that holds now, or cannot be checked.
   */
  | { raise: null; reason: 'flat' | 'ceiling' | 'max-raises' | 'no-effect' | 'inconsistent' };

/** A raise has helped when at most this share of the refusals per second is left. */
const HELPED_SHARE = 0.8;

/**
 * The next step of a limit that is being refused: both numbers times `factor`, with the room between them that the formulae ask for, never above the
 * ceiling and never lowering either. `refusals`: failcnt per second before the first raise and after each.
 */
export function nextLimit({
  resource,
  counters,
  refusals,
  ceiling,
  raises,
  maxRaises,
  factor,
}: {
  resource: Resource;
  counters: readonly Counter[];
  refusals: readonly number[];
  ceiling: { barrier: number; limit: number } | null;
  raises: number;
  maxRaises: number;
  factor: number;
}): NextLimit {
  if ((refusals.at(-1) ?? 0) === 0) return { raise: null, reason: 'flat' };
  if (raises >= 2 && !helped(refusals.at(-3), refusals.at(-2)) && !helped(refusals.at(-2), refusals.at(-1))) return { raise: null, reason: 'no-effect' };
  if (ceiling === null) return { raise: null, reason: 'ceiling' };
  if (raises >= maxRaises) return { raise: null, reason: 'max-raises' };

  const now = counters.find((c) => c.resource === resource);
  const gap = gapOf(resource, counters);
  if (now === undefined || gap === null) return { raise: null, reason: 'inconsistent' };
  if (now.limit >= UNLIMITED || now.barrier >= UNLIMITED) return { raise: null, reason: 'ceiling' };

  const wanted = Math.ceil(now.barrier * factor);
  const limit = Math.min(Math.max(Math.ceil(now.limit * factor), wanted + gap), ceiling.limit);
  const barrier = Math.min(wanted, ceiling.barrier, limit - gap);
  if (barrier < now.barrier || limit < now.limit || (barrier === now.barrier && limit === now.limit)) return { raise: null, reason: 'ceiling' };

  const already = new Set(brokenFormulae(counters));
  const after = counters.map((c) => (c.resource === resource ? { ...c, barrier, limit } : c));
  if (brokenFormulae(after).some((formula) => !already.has(formula))) return { raise: null, reason: 'inconsistent' };
  return { raise: { barrier, limit } };
}

const helped = (before: number | undefined, after: number | undefined): boolean =>
  before === undefined || after === undefined || after <= before * HELPED_SHARE;
