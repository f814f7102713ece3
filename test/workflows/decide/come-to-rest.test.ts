import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { comeToRest, MAX_WAIT_MS, type RestMemory } from '../../../workflows/decide/come-to-rest.js';

const KNOBS = { verifyForMs: 120_000, watchForMs: 15_000 };
const fresh = (): RestMemory => ({ mark: null, since: 0, failing: 0, waitMs: KNOBS.watchForMs });

/** Lets an incident stand open on a clock of its own. `markAt` and `failingAt` say what a look would find, and what had been reported, at a time. */
function standOpen({
  markAt,
  failingAt = () => 0,
  untilMs,
  hurryAt,
}: {
  markAt: (ms: number) => string | null;
  failingAt?: (ms: number) => number;
  untilMs: number;
  hurryAt?: number;
}) {
  let memory = fresh();
  let hurried = false;
  const looks: number[] = [];
  for (let now = 0; now <= untilMs;) {
    looks.push(now);
    const hurry: boolean = hurryAt !== undefined && !hurried && now >= hurryAt;
    hurried ||= hurry;
    const next = comeToRest(memory, { mark: markAt(now), failing: failingAt(now), now, hurry }, KNOBS);
    memory = next.memory;
    if (next.rest !== null) return { goneAt: now, restedMs: next.rest.forMs, looks };
    now = hurryAt !== undefined && !hurried ? Math.min(now + next.nextMs, Math.max(hurryAt, now + 1)) : now + next.nextMs;
  }
  return { goneAt: null, restedMs: 0, looks };
}

describe('an incident that stands open', () => {
  test('is looked at some hundred times in a night of eight hours while its symptom goes on, and does not end', () => {
    const { goneAt, looks } = standOpen({ markAt: (ms) => `1 ${ms}`, untilMs: 8 * 3_600_000 });
    expect(goneAt).toBeNull();
    expect(looks.length).toBeGreaterThan(90);
    expect(looks.length).toBeLessThan(110);
  });
  test('ends within two of the longest waits after its symptom has gone', () => {
    const gone = 5 * 3_600_000;
    const { goneAt } = standOpen({ markAt: (ms) => `1 ${Math.min(ms, gone)}`, untilMs: 8 * 3_600_000 });
    expect(goneAt).toBeGreaterThanOrEqual(gone + KNOBS.verifyForMs);
    expect(goneAt).toBeLessThanOrEqual(gone + 2 * MAX_WAIT_MS);
  });
  test('ends sooner when the agent says that it is quiet', () => {
    const gone = 5 * 3_600_000;
    const { goneAt } = standOpen({ markAt: (ms) => `1 ${Math.min(ms, gone)}`, untilMs: 8 * 3_600_000, hurryAt: gone });
    expect(goneAt).toBeLessThanOrEqual(gone + KNOBS.verifyForMs + 2 * KNOBS.watchForMs);
  });
  test('does not end while it cannot be read, however long', () => {
    expect(standOpen({ markAt: () => null, untilMs: 24 * 3_600_000 }).goneAt).toBeNull();
  });
  test('does not end while spikes are reported, even if the counter that it reads stands still', () => {
    expect(standOpen({ markAt: () => '1 7', failingAt: (ms) => Math.floor(ms / 60_000), untilMs: 8 * 3_600_000 }).goneAt).toBeNull();
  });
  test('begins its window anew when the container is another one', () => {
    const { goneAt } = standOpen({ markAt: (ms) => (ms < 100_000 ? '1 7' : '2 7'), untilMs: 3_600_000 });
    expect(goneAt).toBeGreaterThanOrEqual(100_000 + KNOBS.verifyForMs);
  });
  test('whatever it finds: it ends only after a whole window in which no look found anything else', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.integer({ min: 1, max: 400_000 }), fc.constantFrom('a', 'b', null)), { minLength: 1, maxLength: 30 }), (pieces) => {
        const markAt = (ms: number): string | null => {
          let end = 0;
          for (const [length, mark] of pieces) if (ms < (end += length)) return mark;
          return pieces.at(-1)?.[1] ?? null;
        };
        const { goneAt, restedMs, looks } = standOpen({ markAt, untilMs: 4_000_000 });
        if (goneAt === null) return;
        expect(restedMs).toBeGreaterThanOrEqual(KNOBS.verifyForMs);
        const window = looks.filter((at) => at >= goneAt - restedMs);
        expect(new Set(window.map(markAt)).size).toBe(1);
        expect(markAt(goneAt)).not.toBeNull();
        for (const [i, at] of looks.entries()) if (i > 0) expect(at - (looks[i - 1] as number)).toBeLessThanOrEqual(MAX_WAIT_MS);
      }),
    );
  });
});
