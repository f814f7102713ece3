import { parseOneValue } from './parse-cgroup2.js';

/**
 * Files of a cgroup v1 memory directory: one figure each. No limit is 9223372036854771712, the largest multiple of a page.
 * Format: Linux, Documentation/admin-guide/cgroup-v1/memory.rst. `memory.failcnt` counts how often usage hit the limit.
 */
export function parseCgroup1Memory(files: { failcnt: string; usage: string; limit: string }): { failcnt: number; held: number; limit: number } | null {
  const failcnt = parseOneValue(files.failcnt);
  const held = parseOneValue(files.usage);
  const limit = parseOneValue(files.limit);
  return failcnt === null || held === null || limit === null ? null : { failcnt, held, limit };
}
