import type { DoneBefore } from '../messages.js';

export interface Limits {
  barrier: number;
  limit: number;
}

/** What an incident did before Temporal lost its workflow, in the words of the playbook that goes on. */
export interface EarlierLife {
  /** Runaways were ended: the service is to be restarted. */
  endedRunaways: boolean;
  /** The service was restarted, or may have been. */
  restarted: boolean;
  /** How often the limit was raised, from what it was at first to what it is since. */
  raises: { times: number; from: Limits | null; to: Limits | null };
  /** It had given up already, and was taking things back. */
  tookBack: boolean;
}

/** Reads it from the recorded outcomes, oldest first. An outcome that nobody knows counts as done: it is looked at, not done again. */
export function earlierLife(before: readonly DoneBefore[]): EarlierLife {
  const mayHaveHappened = before.filter(({ state }) => state === 'done' || state === 'unknown');
  const own = mayHaveHappened.filter(({ step }) => !step.startsWith('undo-'));
  const limits = own.filter(({ verb, state }) => verb === 'container.ensure-limit' && state === 'done').map(({ data }) => data);
  const first = limits[0];
  const last = limits.at(-1);
  return {
    endedRunaways: own.some(({ verb }) => verb === 'container.ensure-enterable'),
    restarted: own.some(({ verb }) => verb === 'container.ensure-service-restarted'),
    raises: {
      times: limits.length,
      from: first === undefined ? null : pair(first['wasBarrier'], first['wasLimit']),
      to: last === undefined ? null : pair(last['isBarrier'], last['isLimit']),
    },
    tookBack: own.length < mayHaveHappened.length,
  };
}

const pair = (barrier: unknown, limit: unknown): Limits | null => (typeof barrier === 'number' && typeof limit === 'number' ? { barrier, limit } : null);

/** The names of steps that are taken, with how often: `raise-limit-2` is the second `raise-limit`. What goes on must not find its claims taken. */
export function namesTaken(before: readonly DoneBefore[]): Record<string, number> {
  const names: Record<string, number> = {};
  for (const { step } of before) {
    const [, base, nth] = /^(.+)-(\d+)$/.exec(step) ?? [];
    const name = base ?? step;
    names[name] = Math.max(names[name] ?? 0, nth === undefined ? 1 : Number(nth));
  }
  return names;
}
