import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { problemId } from '../../events/incident.js';
import type { EventKind } from '../../events/event.js';
import { siteDomain, type Opening, type Routing } from '../../workers/engine/route.js';
import { createSieve, nextDue, sieve, type SieveInput, type SieveKnobs, type SieveOutput, type SieveState } from '../../workers/engine/sieve.js';
import { accepted } from './events.js';

const SITE = siteDomain('lab');
const knobs = (sizes: Record<string, number>): SieveKnobs => ({
  coalesceMs: 250,
  windowMs: 300_000,
  minHosts: 2,
  share: 0.2,
  holdQuietMs: 250,
  holdMaxMs: 2_000,
  sizes: new Map(Object.entries(sizes)),
  site: 'lab',
  maxHeld: 5_000,
  maxMembers: 500,
});

/** The sieve with a clock of its own, as the bridge drives it: ticks happen when they are due. */
function drive(k: SieveKnobs) {
  let state: SieveState = createSieve(k);
  let now = 1_000_000;
  let seq = 0;
  const open = new Set<string>();
  const places = new Map<number, number>();
  const said: { at: number; out: SieveOutput }[] = [];
  const feed = (input: SieveInput): SieveOutput[] => {
    const step = sieve(state, input, now);
    state = step.state;
    if (input.type === 'event') for (const s of input.item.seqs) places.set(s, step.places);
    for (const out of step.output) {
      if (out.do === 'open' || out.do === 'open-domain') open.add(out.workflow);
      said.push({ at: now, out });
    }
    return step.output;
  };
  const wait = (ms: number): void => {
    const end = now + ms;
    for (;;) {
      const due = nextDue(state);
      if (due === null || due > end) break;
      now = Math.max(now, due);
      feed({ type: 'tick' });
    }
    now = end;
  };
  const event = (host: string, o: { kind?: EventKind; domains?: string[]; rule?: boolean } = {}): SieveOutput[] => {
    seq += 1;
    const kind = o.kind ?? 'container.failcnt_spike';
    const failing = kind === 'container.failcnt_spike';
    const problem = problemId('lab', host, '204/tcpsndbuf', 'relieve-container');
    const e = accepted(seq, host, kind);
    const opening: Opening = {
      problem,
      playbook: 'relieve-container',
      rule: 'spikes',
      mode: 'auto',
      config: 'c',
      target: { host },
      trigger: e,
      stale: false,
      receivedAtMs: now,
      redelivered: false,
    };
    const routing: Routing = {
      signals: open.has(problem) ? [problem] : [],
      opens: failing && o.rule !== false && !open.has(problem) ? opening : null,
      host,
      domains: [...(o.domains ?? []), SITE],
      failing,
      recovering: !failing,
      troubles: [],
    };
    return feed({ type: 'event', item: { seqs: [seq], event: e, atMs: now, routing } });
  };
  return { event, wait, feed, said, places, open, state: () => state, now: () => now };
}
const doing = (said: { out: SieveOutput }[], what: SieveOutput['do']) => said.map((s) => s.out).filter((o) => o.do === what);

describe('one problem', () => {
  test('a lone event is handed on at once', () => {
    const d = drive(knobs({ [SITE]: 100 }));
    expect(d.event('h1')).toMatchObject([{ do: 'open', workflow: 'lab/h1/204/tcpsndbuf/relieve-container', batch: { count: 1 } }]);
    d.wait(1_000);
    expect(d.event('h1')).toMatchObject([{ do: 'observe', batch: { count: 1 } }]);
  });

  test('what follows within a quarter of a second is handed on together', () => {
    const d = drive(knobs({ [SITE]: 100 }));
    d.event('h1');
    for (let i = 0; i < 50; i += 1) d.event('h1');
    d.event('h1', { kind: 'container.failcnt_quiet' });
    expect(d.said).toHaveLength(1);
    d.wait(250);
    expect(d.said.at(-1)?.out).toMatchObject({
      do: 'observe',
      batch: { count: 51, kinds: { 'container.failcnt_spike': 50, 'container.failcnt_quiet': 1 }, latest: [{ seq: 51 }, { seq: 52 }] },
    });
  });

  test('twenty thousand copies are one opening and a batch each quarter of a second', () => {
    const d = drive(knobs({ [SITE]: 100 }));
    for (let i = 0; i < 20_000; i += 1) {
      d.event('h1');
      if (i % 10 === 0) d.wait(1);
    }
    d.wait(1_000);
    expect(doing(d.said, 'open')).toHaveLength(1);
    expect(doing(d.said, 'observe').length).toBeLessThanOrEqual(2_000 / 250 + 2);
    expect(d.said.reduce((n, s) => n + (s.out.do === 'ack' ? 0 : s.out.batch.count), 0)).toBe(20_000);
  });

  test("an event of nobody's concern is acknowledged", () => {
    expect(drive(knobs({ [SITE]: 100 })).event('h1', { kind: 'host.load_slope' })).toEqual([{ do: 'ack', seqs: [1] }]);
  });
});

describe('many problems', () => {
  test('three hundred hosts at once are one incident, the first of them, promoted', () => {
    const d = drive(knobs({ 'rack-1': 300, [SITE]: 300 }));
    for (let i = 0; i < 300; i += 1) d.event(`h${i}`, { domains: ['rack-1'] });
    d.wait(5_000);
    expect(doing(d.said, 'open')).toHaveLength(1);
    expect(doing(d.said, 'open-domain')).toHaveLength(0);
    expect(doing(d.said, 'storm')).toMatchObject([{ workflow: 'lab/h0/204/tcpsndbuf/relieve-container', domain: 'rack-1', batch: { count: 299 } }]);
    expect((doing(d.said, 'storm')[0] as { members: string[] }).members).toHaveLength(300);
    d.event('h0', { domains: ['rack-1'] });
    d.event('late', { domains: ['rack-1'] });
    d.wait(1_000);
    expect(d.said.slice(-2).map((s) => [s.out.do, 'workflow' in s.out && s.out.workflow])).toEqual([
      ['observe', 'lab/h0/204/tcpsndbuf/relieve-container'],
      ['observe', 'lab/h0/204/tcpsndbuf/relieve-container'],
    ]);
  });

  test("three racks at once are the site's trouble", () => {
    const d = drive(knobs({ 'rack-0': 100, 'rack-1': 100, 'rack-2': 100, [SITE]: 300 }));
    for (let i = 0; i < 300; i += 1) {
      d.event(`h${i}`, { domains: [`rack-${i % 3}`] });
      if (i % 5 === 0) d.wait(20);
    }
    d.wait(5_000);
    expect(doing(d.said, 'open')).toHaveLength(1);
    expect(doing(d.said, 'storm').map((o) => 'domain' in o && o.domain)).toEqual([SITE]);
    expect(doing(d.said, 'open-domain')).toHaveLength(0);
  });

  test("one rack that fails does not make its neighbours' problems its own", () => {
    const d = drive(knobs({ 'rack-0': 10, 'rack-1': 90, [SITE]: 100 }));
    for (let i = 0; i < 4; i += 1) d.event(`a${i}`, { domains: ['rack-0'] });
    d.event('b0', { domains: ['rack-1'] });
    d.wait(5_000);
    expect(doing(d.said, 'storm')).toMatchObject([{ domain: 'rack-0' }]);
    expect(doing(d.said, 'open').map((o) => 'workflow' in o && o.workflow)).toEqual([
      'lab/a0/204/tcpsndbuf/relieve-container',
      'lab/b0/204/tcpsndbuf/relieve-container',
    ]);
  });

  test('two unrelated problems in a large site each open, the second after the hold', () => {
    const d = drive(knobs({ [SITE]: 100 }));
    d.event('h1');
    d.wait(100);
    expect(d.event('h2')).toEqual([]);
    d.wait(300);
    expect(doing(d.said, 'open')).toHaveLength(2);
  });

  test('problems that keep coming are held for two seconds at most', () => {
    const d = drive(knobs({ [SITE]: 1_000 }));
    for (let i = 0; i < 30; i += 1) {
      d.event(`h${i}`);
      d.wait(100);
    }
    expect(doing(d.said, 'open').length).toBeGreaterThan(15);
  });

  test('a fleet of one never storms', () => {
    const d = drive(knobs({ 'rack-1': 1, [SITE]: 1 }));
    for (let i = 0; i < 100; i += 1) d.event('h1', { domains: ['rack-1'] });
    d.wait(1_000);
    expect(doing(d.said, 'storm')).toHaveLength(0);
    expect(doing(d.said, 'open')).toHaveLength(1);
  });

  test('when the first incident has ended already, the domain gets one of its own', () => {
    const d = drive(knobs({ 'rack-1': 4, [SITE]: 100 }));
    d.event('h1', { domains: ['rack-1'] });
    d.wait(10_000);
    d.feed({ type: 'ended', workflow: 'lab/h1/204/tcpsndbuf/relieve-container' });
    d.event('h2', { domains: ['rack-1'] });
    expect(doing(d.said, 'open-domain')).toMatchObject([{ domain: 'rack-1', workflow: 'lab/domain:rack-1/watch-domain', members: ['h1', 'h2'] }]);
  });

  test('failures are forgotten after the window', () => {
    const d = drive(knobs({ 'rack-1': 4, [SITE]: 100 }));
    d.event('h1', { domains: ['rack-1'] });
    d.wait(301_000);
    d.event('h2', { domains: ['rack-1'] });
    expect(doing(d.said, 'open')).toHaveLength(2);
  });

  test('who failed before a restart still counts', () => {
    const d = drive(knobs({ 'rack-1': 4, [SITE]: 100 }));
    d.feed({
      type: 'seen',
      item: {
        atMs: d.now() - 60_000,
        routing: { signals: [], opens: null, host: 'h1', domains: ['rack-1', SITE], failing: true, recovering: false, troubles: [] },
      },
    });
    d.event('h2', { domains: ['rack-1'] });
    expect(doing(d.said, 'open-domain')).toHaveLength(1);
  });

  test("a domain's incident known from before a restart gets its members, and their recovery", () => {
    const d = drive(knobs({ 'rack-1': 4, [SITE]: 100 }));
    d.feed({ type: 'known', workflow: 'w', host: null, domains: ['rack-1'], domain: 'rack-1', atMs: d.now() });
    expect(d.event('h2', { domains: ['rack-1'] })).toMatchObject([{ do: 'observe', workflow: 'w', batch: { members: ['h2'] } }]);
    d.wait(1_000);
    expect(d.event('h3', { domains: ['rack-1'], kind: 'container.failcnt_quiet' })).toMatchObject([{ do: 'observe', workflow: 'w' }]);
  });
});

describe('whatever comes, in whatever order', () => {
  type Act = { type: 'event'; host: number; kind: EventKind; rule: boolean } | { type: 'wait'; ms: number } | { type: 'ended'; which: number };
  const act: fc.Arbitrary<Act> = fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({
        type: fc.constant('event' as const),
        host: fc.integer({ min: 0, max: 30 }),
        kind: fc.constantFrom<EventKind>('container.failcnt_spike', 'container.failcnt_spike', 'container.failcnt_quiet', 'host.load_slope'),
        rule: fc.boolean(),
      }),
    },
    { weight: 3, arbitrary: fc.record({ type: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 3_000 }) }) },
    { weight: 1, arbitrary: fc.record({ type: fc.constant('ended' as const), which: fc.nat(50) }) },
  );
  const run = (acts: Act[]) => {
    const d = drive(knobs({ 'rack-0': 10, 'rack-1': 10, 'rack-2': 11, [SITE]: 31 }));
    for (const a of acts) {
      if (a.type === 'wait') d.wait(a.ms);
      else if (a.type === 'ended') {
        const workflow = [...d.open][a.which % Math.max(1, d.open.size)];
        if (workflow !== undefined) {
          d.open.delete(workflow);
          d.feed({ type: 'ended', workflow });
        }
      } else d.event(`h${a.host}`, { kind: a.kind, rule: a.rule, domains: [`rack-${a.host % 3}`] });
    }
    return d;
  };

  test('every event is handed on in exactly as many places as was said, at the latest at the end', () => {
    fc.assert(
      fc.property(fc.array(act, { maxLength: 120 }), (acts) => {
        const d = run(acts);
        d.feed({ type: 'flush' });
        const seen = new Map<number, number>();
        for (const { out } of d.said) for (const s of out.do === 'ack' ? out.seqs : out.batch.seqs) seen.set(s, (seen.get(s) ?? 0) + 1);
        expect(seen).toEqual(d.places);
      }),
      { numRuns: 300 },
    );
  });

  test('nothing waits longer than the hold and a batch', () => {
    fc.assert(
      fc.property(fc.array(act, { maxLength: 120 }), (acts) => {
        const d = run(acts);
        d.wait(2_500);
        expect(nextDue(d.state())).toBeNull();
      }),
      { numRuns: 200 },
    );
  });

  test('a workflow gets a batch each quarter of a second at most', () => {
    fc.assert(
      fc.property(fc.array(act, { maxLength: 120 }), (acts) => {
        const d = run(acts);
        const last = new Map<string, number>();
        for (const { at, out } of d.said) {
          if (out.do === 'observe') expect(at - (last.get(out.workflow) ?? Number.NEGATIVE_INFINITY)).toBeGreaterThanOrEqual(250);
          if (out.do !== 'ack') last.set(out.workflow, at);
        }
      }),
      { numRuns: 200 },
    );
  });

  test('the same is said again when the same happens again', () => {
    fc.assert(
      fc.property(fc.array(act, { maxLength: 60 }), (acts) => {
        expect(run(acts).said).toEqual(run(acts).said);
      }),
      { numRuns: 50 },
    );
  });
});
