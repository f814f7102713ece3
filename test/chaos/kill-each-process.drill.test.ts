import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Stored } from '../../activities/audit-log.js';
import type { AuditFact } from '../../events/audit.js';
import type { Role } from '../../stack/stack-file.js';
import { stackUnderTest, type StackUnderTest } from './stack-under-test.js';

/*
 * Each process of the stack is killed once in the middle of the drill; the supervisor starts it again. The drill compares the host's own log with the
 * audit: each effect happened exactly once, and the incident ended as if nothing had been.
 */
let stack: StackUnderTest;
beforeAll(async () => {
  stack = await stackUnderTest();
});
afterAll(() => stack.remove());

/** Where in the drill each process dies: on the first record of that fact, and which step where it matters. */
export const POINTS: readonly { role: Role; at: AuditFact; step?: string }[] = [
  { role: 'engine', at: 'looked' },
  { role: 'effector', at: 'intent' },
  { role: 'agent', at: 'opened' },
  { role: 'nats', at: 'intent' },
  { role: 'temporal', at: 'outcome' },
];

test.each(POINTS)('the $role killed at the first $at: the incident ends the same, each effect happened once', async ({ role, at }) => {
  let killed: Promise<void> | null = null;
  const killOnce = ({ record }: Stored): void => {
    if (record.fact === at) killed ??= stack.killAndAwait(role);
  };
  const result = await stack.drill('relieve-container', killOnce);
  expect(killed, `nothing was ${at}, so nothing was killed`).not.toBeNull();
  await killed;
  expect(result.problems, result.lines.join('\n')).toEqual([]);
  expect(result).toMatchObject({ passed: true, state: 'resolved' });
});
