import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Counter } from '../../../activities/looks.js';
import { RESOURCES, type Resource } from '../../../events/kinds/container.js';
import { nextLimit } from '../../../workflows/decide/next-limit.js';
import { brokenFormulae } from '../../../workflows/decide/ubc-formulae.js';

const row = (resource: Resource, barrier: number, limit = barrier, held = barrier): Counter => ({ resource, held, maxheld: held, barrier, limit, failcnt: 1 });
const ask = (given: Partial<Parameters<typeof nextLimit>[0]> = {}) =>
  nextLimit({
    resource: 'tcpsndbuf',
    counters: [row('tcpsndbuf', 4_000_000), row('numtcpsock', 360)],
    refusals: [40],
    ceiling: { barrier: 7_000_000, limit: 8_000_000 },
    raises: 0,
    maxRaises: 5,
    factor: 1.15,
    ...given,
  });

describe('the next limit', () => {
  test('leaves the room between barrier and limit that 360 sockets need', () => {
    expect(ask()).toEqual({ raise: { barrier: 4_600_000, limit: 4_600_000 + 360 * 2560 } });
  });
  test('is not needed when nothing was refused at the end of the watch', () => {
    expect(ask({ refusals: [40, 0], raises: 1 })).toEqual({ raise: null, reason: 'flat' });
  });
  test('stops at the ceiling, and there is none without a ceiling', () => {
    expect(ask({ counters: [row('tcpsndbuf', 7_000_000, 8_000_000), row('numtcpsock', 360)] })).toEqual({ raise: null, reason: 'ceiling' });
    expect(ask({ ceiling: null })).toEqual({ raise: null, reason: 'ceiling' });
  });
  test('takes the last, smaller step up to the ceiling', () => {
    expect(ask({ counters: [row('tcpsndbuf', 6_500_000, 7_600_000), row('numtcpsock', 360)] })).toEqual({ raise: { barrier: 7_000_000, limit: 8_000_000 } });
  });
  test('is not given when a ceiling leaves no room between barrier and limit', () => {
    expect(ask({ ceiling: { barrier: 5_000_000, limit: 4_500_000 } })).toEqual({ raise: null, reason: 'ceiling' });
  });
  test('stops after as many raises as policy allows', () => {
    expect(ask({ raises: 5, refusals: [90, 60, 40, 20, 10, 5] })).toEqual({ raise: null, reason: 'max-raises' });
  });
  test('stops when two raises in a row did not help, not after one', () => {
    expect(ask({ raises: 1, refusals: [40, 39] })).toHaveProperty('raise.barrier');
    expect(ask({ raises: 2, refusals: [40, 39, 41] })).toEqual({ raise: null, reason: 'no-effect' });
    expect(ask({ raises: 2, refusals: [40, 39, 10] })).toHaveProperty('raise.barrier');
  });
  test('is not given when the sockets cannot be counted: a hanging transfer is worse than a refused one', () => {
    expect(ask({ counters: [row('tcpsndbuf', 4_000_000)] })).toEqual({ raise: null, reason: 'inconsistent' });
  });
  test('does not let more sockets in than the send buffers have room for', () => {
    const counters = [row('tcpsndbuf', 4_000_000, 4_921_600), row('numtcpsock', 360)];
    expect(ask({ resource: 'numtcpsock', counters, ceiling: { barrier: 1000, limit: 1000 } })).toEqual({ raise: null, reason: 'inconsistent' });
  });
  test('leaves an unlimited resource alone', () => {
    expect(ask({ counters: [row('tcpsndbuf', 2 ** 63), row('numtcpsock', 360)] })).toEqual({ raise: null, reason: 'ceiling' });
  });

  const amount = fc.integer({ min: 0, max: 10_000_000 });
  const limits = fc.tuple(amount, amount).map(([a, b]) => ({ barrier: Math.min(a, b), limit: Math.max(a, b) }));
  const table = fc
    .uniqueArray(fc.record({ resource: fc.constantFrom(...RESOURCES), of: limits, held: amount }), { selector: (r) => r.resource, maxLength: RESOURCES.length })
    .map((rows): Counter[] => rows.map(({ resource, of, held }) => ({ resource, held, maxheld: held, failcnt: 3, ...of })));

  test('whatever the counters say: never lower, never above the ceiling, never a formula broken that held, and always a step up', () => {
    fc.assert(
      fc.property(
        table,
        fc.constantFrom(...RESOURCES),
        limits,
        fc.double({ min: 1.05, max: 2, noNaN: true }),
        fc.integer({ min: 0, max: 6 }),
        (counters, resource, ceiling, factor, raises) => {
          const next = nextLimit({ resource, counters, refusals: [10, 5, 2], ceiling, raises, maxRaises: 5, factor });
          if (next.raise === null) return;
          const now = counters.find((c) => c.resource === resource) as Counter;
          const { barrier, limit } = next.raise;
          expect(raises).toBeLessThan(5);
          expect(barrier).toBeGreaterThanOrEqual(now.barrier);
          expect(limit).toBeGreaterThanOrEqual(now.limit);
          expect(barrier + limit).toBeGreaterThan(now.barrier + now.limit);
          expect(barrier).toBeLessThanOrEqual(ceiling.barrier);
          expect(limit).toBeLessThanOrEqual(ceiling.limit);
          expect(barrier).toBeLessThanOrEqual(limit);
          expect(Number.isInteger(barrier) && Number.isInteger(limit)).toBe(true);
          const before = brokenFormulae(counters);
          const after = brokenFormulae(counters.map((c) => (c.resource === resource ? { ...c, barrier, limit } : c)));
          expect(after.filter((f) => !before.includes(f))).toEqual([]);
        },
      ),
      { numRuns: 2000 },
    );
  });

  test('asked again and again it always comes to an end', () => {
    fc.assert(
      fc.property(limits, limits, fc.integer({ min: 1, max: 2000 }), fc.double({ min: 1.05, max: 2, noNaN: true }), (start, ceiling, sockets, factor) => {
        let counters = [row('tcpsndbuf', start.barrier, start.limit), row('numtcpsock', sockets)];
        const refusals = [1000];
        for (let raises = 0; ; raises += 1) {
          expect(raises).toBeLessThanOrEqual(10);
          const next = nextLimit({ resource: 'tcpsndbuf', counters, refusals, ceiling, raises, maxRaises: 10, factor });
          if (next.raise === null) return;
          counters = [row('tcpsndbuf', next.raise.barrier, next.raise.limit), row('numtcpsock', sockets)];
          refusals.push((refusals.at(-1) as number) * 0.5);
        }
      }),
    );
  });
});
