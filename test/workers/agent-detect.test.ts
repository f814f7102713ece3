import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { RESOURCES, type Resource } from '../../events/kinds/container.js';
import { event } from '../../events/event.js';
import { detect, NOTHING_SEEN, openSpikes, resumeSpikes, type DetectState, type Finding } from '../../workers/agent/detect.js';
import type { ContainerReading, CounterRow, RawSample } from '../../workers/agent/raw-sample.js';
import { toEvent } from '../../workers/agent/sample-for-ever.js';

const thresholds = { host: 'dauntless', reassertEveryMs: 60_000, quietAfterMs: 10_000 };
const BOOT = '1a629a9f-6ab0-43ef-8632-9b1cfcfdb80c';

const row = (resource: Resource, failcnt: number, more: Partial<CounterRow> = {}): CounterRow => ({
  resource,
  held: 4_000_000,
  barrier: 4_000_000,
  limit: 4_000_000,
  failcnt,
  ...more,
});
const at = (seconds: number, beancounters: ContainerReading[] | null, more: Partial<RawSample> = {}): RawSample => ({
  atMs: seconds * 1000,
  bootId: BOOT,
  cores: 2,
  load1: 0.1,
  tables: { beancounters },
  problems: [],
  ...more,
});
const with204 = (seconds: number, failcnt: number): RawSample => at(seconds, [{ container: '204', rows: [row('numproc', 7), row('tcpsndbuf', failcnt)] }]);

/** Feeds samples one after the other and returns what each one said. */
function play(samples: readonly RawSample[], from: DetectState = NOTHING_SEEN): { said: Finding[][]; state: DetectState } {
  let state = from;
  const said = samples.map((sample) => {
    const { findings, state: next } = detect(state, sample, thresholds);
    state = next;
    return findings;
  });
  return { said, state };
}

describe('counters of refusals', () => {
  test('the huge counter that an outage of last week left behind says nothing', () => {
    expect(play([with204(0, 90_686), with204(1, 90_686)]).said).toEqual([[], []]);
  });

  test('a rise is told at once, as a delta with its interval and what was held', () => {
    const { said } = play([with204(0, 90_274), with204(1, 90_686)]);
    expect(said[1]).toEqual([
      {
        type: 'container.failcnt_spike',
        assertion: 'edge',
        data: {
          host: 'dauntless',
          container: '204',
          resource: 'tcpsndbuf',
          delta: 412,
          intervalSeconds: 1,
          held: 4_000_000,
          barrier: 4_000_000,
          limit: 4_000_000,
        },
      },
    ]);
  });

  test('while it keeps rising it is told again after 1, 2, 4 ... seconds and then every minute, and the deltas add up', () => {
    const { said } = play(Array.from({ length: 400 }, (_, second) => with204(second, second * 10)));
    const told = said.flatMap((findings, second) =>
      findings.map((f) => ({ second, assertion: f.type === 'container.failcnt_spike' ? f.assertion : f.type, delta: 'delta' in f.data ? f.data.delta : 0 })),
    );
    expect(told.map((t) => t.second)).toEqual([1, 2, 4, 8, 16, 32, 64, 124, 184, 244, 304, 364]);
    expect(told.map((t) => t.assertion)).toEqual(['edge', ...Array.from({ length: 11 }, () => 'standing')]);
    expect(told.reduce((sum, t) => sum + (t.delta ?? 0), 0)).toBe(3640);
  });

  test('ten samples a second still make one event a second at most', () => {
    const { said } = play(Array.from({ length: 11 }, (_, i) => with204(i / 10, i)));
    expect(said.flat()).toHaveLength(1);
  });

  test('ten seconds without a rise end it once, with what was not told before', () => {
    const { said } = play([with204(0, 0), with204(1, 5), with204(1.5, 8), ...Array.from({ length: 12 }, (_, i) => with204(2 + i, 8))]);
    expect(said.flat().map((f) => f.type)).toEqual(['container.failcnt_spike', 'container.failcnt_quiet']);
    expect(said.flat()[1]!.data).toMatchObject({ container: '204', resource: 'tcpsndbuf', quietSeconds: 10.5, delta: 3 });
  });

  test('a spike is told in the moment of a rise only: whoever saw it end is not told of it later', () => {
    const { said } = play([with204(0, 0), with204(1, 5), with204(1.5, 8), with204(3, 8), with204(9, 8)]);
    expect(said.slice(2).flat()).toEqual([]);
  });

  test('a container that restarted begins anew: no event, not for its other counters either', () => {
    const before = at(0, [{ container: '204', rows: [row('tcpsndbuf', 500), row('numproc', 0)] }]);
    const after = at(1, [{ container: '204', rows: [row('tcpsndbuf', 3), row('numproc', 9)] }]);
    expect(play([before, after]).said[1]).toEqual([]);
    expect(play([before, after, at(2, [{ container: '204', rows: [row('tcpsndbuf', 4), row('numproc', 9)] }])]).said[2]).toMatchObject([
      { data: { resource: 'tcpsndbuf', delta: 1 } },
    ]);
  });

  test('a host that was booted begins anew', () => {
    const booted = { ...with204(1, 400), bootId: '00000000-0000-4000-8000-000000000000' };
    expect(play([with204(0, 5), booted]).said[1]).toEqual([]);
  });

  test('a table that cannot be read changes nothing: the rise is told with the next one, over the whole time', () => {
    const { said } = play([with204(0, 1), at(1, null), at(2, null), with204(3, 11)]);
    expect(said.slice(1, 3)).toEqual([[], []]);
    expect(said[3]).toMatchObject([{ data: { delta: 10, intervalSeconds: 3 } }]);
  });

  test('a container that one sample missed is still the same, after two it is a new one', () => {
    expect(play([with204(0, 1), at(1, []), with204(2, 5)]).said[2]).toMatchObject([{ data: { delta: 4 } }]);
    expect(play([with204(0, 1), at(1, []), at(2, []), with204(3, 5)]).said[3]).toEqual([]);
  });

  test('a container that goes away in its spike has the end of it told when it is back and calm', () => {
    const { said } = play([with204(0, 0), with204(1, 5), at(2, []), at(3, []), at(60, []), with204(61, 0), with204(70, 0), with204(71, 0)]);
    expect(said.slice(2, 7).flat()).toEqual([]);
    expect(said[7]).toMatchObject([{ type: 'container.failcnt_quiet', data: { quietSeconds: 10 } }]);
  });

  test('containers that come and go for ever leave nothing behind', () => {
    const { state } = play(Array.from({ length: 300 }, (_, i) => at(i, [{ container: `c${i}`, rows: [row('tcpsndbuf', i)] }])));
    expect(state.seen.size).toBeLessThanOrEqual(2);
  });

  test('an agent that was killed in a spike tells its end in its next life', () => {
    const { state } = play([with204(0, 0), with204(1, 5)]);
    const resumed = resumeSpikes(openSpikes(state), 20_000);
    expect(openSpikes(resumed)).toEqual([{ source: 'beancounters', container: '204', resource: 'tcpsndbuf' }]);
    const { said } = play([with204(21, 9), with204(25, 9), with204(31, 9)], resumed);
    expect(said).toMatchObject([[], [], [{ type: 'container.failcnt_quiet' }]]);
  });

  test('a tenth of the time spent waiting for memory counts as one refusal, less does not', () => {
    const memory = (second: number, stallMicros: number): RawSample =>
      at(second, null, { tables: { cgroup2: [{ container: 'shop', rows: [row('memory', 6, { stallMicros })] }] } });
    expect(play([memory(0, 0), memory(1, 99_000)]).said[1]).toEqual([]);
    expect(play([memory(0, 0), memory(1, 100_000)]).said[1]).toMatchObject([{ data: { resource: 'memory', delta: 1 } }]);
  });

  test('the same sample twice is no news, and what it says for the same state is always the same', () => {
    const { state } = play([with204(0, 0), with204(1, 3)]);
    const once = detect(state, with204(2, 9), thresholds);
    expect(detect(state, with204(2, 9), thresholds)).toEqual(once);
  });
});

/** A life of counters: true increments, restarts, absences, unreadable tables, in any order. */
const history = fc.array(
  fc.record({
    container: fc.constantFrom('101', '204', '305'),
    what: fc.oneof(
      {
        weight: 6,
        arbitrary: fc.record({ kind: fc.constant('rise' as const), resource: fc.constantFrom(...RESOURCES), by: fc.integer({ min: 1, max: 100_000 }) }),
      },
      { weight: 1, arbitrary: fc.constant({ kind: 'restart' as const }) },
      { weight: 1, arbitrary: fc.record({ kind: fc.constant('gone' as const), samples: fc.integer({ min: 1, max: 4 }) }) },
      { weight: 1, arbitrary: fc.constant({ kind: 'unreadable' as const }) },
      { weight: 3, arbitrary: fc.record({ kind: fc.constant('calm' as const), seconds: fc.integer({ min: 1, max: 30 }) }) },
    ),
  }),
  { maxLength: 60 },
);

function live(
  steps: readonly {
    container: string;
    what:
      | { kind: 'rise'; resource: Resource; by: number }
      | { kind: 'restart' }
      | { kind: 'gone'; samples: number }
      | { kind: 'unreadable' }
      | { kind: 'calm'; seconds: number };
  }[],
) {
  const counters = new Map(['101', '204', '305'].map((name) => [name, new Map(RESOURCES.map((r) => [r, 1000]))]));
  const samples: RawSample[] = [];
  const increments = new Map<string, number>();
  let second = 0;
  let restarts = 0;
  const look = (absent?: string, unreadable = false): void => {
    second += 1;
    samples.push(
      at(
        second,
        unreadable
          ? null
          : [...counters].filter(([name]) => name !== absent).map(([container, rows]) => ({ container, rows: RESOURCES.map((r) => row(r, rows.get(r)!)) })),
      ),
    );
  };
  look();
  for (const { container, what } of steps) {
    const rows = counters.get(container)!;
    if (what.kind === 'rise') {
      rows.set(what.resource, rows.get(what.resource)! + what.by);
      increments.set(`${container}/${what.resource}`, (increments.get(`${container}/${what.resource}`) ?? 0) + what.by);
      look();
    } else if (what.kind === 'restart') {
      restarts += 1;
      for (const r of RESOURCES) rows.set(r, 0);
      look();
    } else if (what.kind === 'gone') {
      for (let i = 0; i < what.samples; i += 1) look(container);
      if (what.samples > 1) restarts += 1;
    } else if (what.kind === 'unreadable') look(undefined, true);
    else for (let i = 0; i < what.seconds; i += 1) look();
  }
  for (let i = 0; i < 130; i += 1) look();
  return { samples, increments, restarts };
}

const summed = (said: Finding[][]): Map<string, number> => {
  const sums = new Map<string, number>();
  for (const { data } of said.flat()) {
    if (!('container' in data)) continue;
    const key = `${data.container}/${data.resource}`;
    sums.set(key, (sums.get(key) ?? 0) + (data.delta ?? 0));
  }
  for (const [key, sum] of sums) if (sum === 0) sums.delete(key);
  return sums;
};

describe('for any life of three containers', () => {
  test('no delta is negative, absolute or more than what was really refused, and every event is one', () => {
    fc.assert(
      fc.property(history, (steps) => {
        const { samples, increments } = live(steps);
        const { said } = play(samples);
        for (const finding of said.flat()) event.parse(toEvent(finding, 'lab', 'dauntless', BOOT));
        for (const [key, sum] of summed(said)) expect(sum).toBeLessThanOrEqual(increments.get(key) ?? 0);
      }),
      { numRuns: 150 },
    );
  });

  test('where nothing restarts, the deltas add up to exactly what was refused', () => {
    fc.assert(
      fc.property(
        history.map((steps) => steps.filter((s) => s.what.kind !== 'restart' && !(s.what.kind === 'gone' && s.what.samples > 1))),
        (steps) => {
          const { samples, increments } = live(steps);
          expect(summed(play(samples).said)).toEqual(increments);
        },
      ),
      { numRuns: 150 },
    );
  });

  test('a spike and its quiet alternate for each counter, and all is quiet in the end', () => {
    fc.assert(
      fc.property(history, (steps) => {
        const { said, state } = play(live(steps).samples);
        const open = new Set<string>();
        for (const finding of said.flat()) {
          if (finding.type === 'host.load_slope') continue;
          const key = `${finding.data.container}/${finding.data.resource}`;
          if (finding.type === 'container.failcnt_quiet') expect(open.delete(key)).toBe(true);
          else expect(finding.assertion).toBe(open.has(key) ? 'standing' : 'edge');
          if (finding.type === 'container.failcnt_spike') open.add(key);
        }
        expect([...open]).toEqual([]);
        expect(openSpikes(state)).toEqual([]);
      }),
      { numRuns: 150 },
    );
  });
});

describe('load', () => {
  const loads = (values: readonly (number | null)[], cores: number | null = 2) =>
    play(values.map((load1, second) => at(second, [], { load1, cores }))).said.flat();

  test('0.3 to 150 within ten seconds is running away, and is said at most twice a minute', () => {
    const said = loads(Array.from({ length: 60 }, (_, second) => 0.3 + second * 2.5));
    expect(said).toHaveLength(2);
    expect(said[0]).toMatchObject({ type: 'host.load_slope', data: { host: 'dauntless', load1Before: 0.3, load1: 2.8, intervalSeconds: 1, cores: 2 } });
  });
  test('a load that climbs slowly or no further than there are cores is work', () => {
    expect(loads(Array.from({ length: 100 }, (_, second) => second * 0.15))).toEqual([]);
    expect(loads([0, 15], 16)).toEqual([]);
    expect(loads([0, 17], 16)).toHaveLength(1);
  });
  test('a load that cannot be read, or judged, is no rise', () => {
    expect(loads([0.1, null, 0.2, null])).toEqual([]);
    expect(loads([0.1, 90], null)).toEqual([]);
  });
});
