import type { PublisherLog } from '../../activities/event-publisher.js';

/**
 * Says each trouble when it begins and when it ends, not each second in between. What stands before the first ": " names the trouble; the rest may
 * change without being said again. Troubles of different `scope`s end independently.
 */
export function createSayOnce(log: PublisherLog): (problems: readonly string[], scope?: string) => void {
  const standing = new Map<string, Set<string>>();
  return (problems, scope = 'sample') => {
    const before = standing.get(scope) ?? NONE;
    if (problems.length === 0 && before.size === 0) return;
    const now = new Set<string>();
    for (const problem of problems) {
      const name = problem.split(': ', 1)[0] ?? problem;
      if (!before.has(name) && !now.has(name)) log.warn({ trouble: name }, problem);
      now.add(name);
    }
    for (const name of before) if (!now.has(name)) log.info({ trouble: name }, `${name}: well again`);
    standing.set(scope, now);
  };
}

const NONE: ReadonlySet<string> = new Set();
