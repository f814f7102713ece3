import { afterAll, beforeAll, expect, test } from 'vitest';
import { killInDrill, type KillPoint } from './kill-in-drill.js';
import { stackUnderTest, type StackUnderTest } from './stack-under-test.js';

/*
 * Each process of the stack is killed once in the middle of a drill; the supervisor starts it again. The drill compares the host's own log with the
 * audit: each effect happened exactly once, and the incident ended as if nothing had been. The campaign kills each five times, at points drawn by chance.
 */
let stack: StackUnderTest;
beforeAll(async () => {
  stack = await stackUnderTest();
});
afterAll(() => stack.remove());

const ROUNDS: { points: KillPoint[] }[] = [
  {
    points: [
      { role: 'engine', at: 'looked', nth: 1 },
      { role: 'effector', at: 'intent', nth: 1 },
      { role: 'temporal', at: 'outcome', nth: 3 },
    ],
  },
  {
    points: [
      { role: 'agent', at: 'opened', nth: 1 },
      { role: 'nats', at: 'intent', nth: 1 },
      { role: 'engine', at: 'outcome', nth: 2 },
    ],
  },
];

test.each(ROUNDS)('killed in the middle ($points): the incident ends the same, each effect happened once', async ({ points }) => {
  const { result, missed } = await killInDrill(stack, 'relieve-container', points);
  expect(missed, 'the drill never came to these points, so nothing was killed there').toEqual([]);
  expect(result.problems, result.lines.join('\n')).toEqual([]);
  expect(result).toMatchObject({ passed: true, state: 'resolved' });
});
