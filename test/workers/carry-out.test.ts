import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { z } from 'zod';
import type { EffectRequest } from '../../activities/effects.js';
import type { ContainerLook } from '../../activities/looks.js';
import type { Recalled, Verb, Verbs } from '../../activities/verb.js';
import type { ReadyConfig } from '../../config/load.js';
import type { EffectOutcome } from '../../events/effect.js';
import { problemId } from '../../events/incident.js';
import { createEffectorActivities } from '../../workers/effector/activities.js';
import { ARROWS, carryOut, type EffectorWorld } from '../../workers/effector/carry-out.js';
import { fleet } from './events.js';
import { fakeAudit, type FakeAudit } from './fake-audit.js';

const INCIDENT = 'i-0123456789';
const PROBLEM = problemId('lab', 'h000', '204/tcpsndbuf', 'relieve-container');
const config = fleet(2);
const request: EffectRequest<'container.ensure-limit'> = {
  incident: INCIDENT,
  problem: PROBLEM,
  site: 'lab',
  step: 'raise-limit',
  verb: 'container.ensure-limit',
  risk: 'R1',
  target: { host: 'h000', container: '204', resource: 'tcpsndbuf' },
  args: { resource: 'tcpsndbuf', barrier: 5_000_000, limit: 5_200_000, incarnation: '42.abcdef01' },
  summary: 'raises tcpsndbuf',
};

/** A host with a limit, a journal of operations, and a log of what was really done to it. */
function fakeHost() {
  const journal = new Map<string, EffectOutcome | 'sealed'>();
  const did: string[] = [];
  const world = { barrier: 4_000_000, incarnation: '42.abcdef01', reachable: true, answers: true, sticks: true, onAct: async (): Promise<void> => {} };
  const look = (): ContainerLook => ({
    running: true,
    incarnation: world.incarnation,
    counters: [{ resource: 'tcpsndbuf', held: 1, maxheld: 1, barrier: world.barrier, limit: world.barrier, failcnt: 0 }],
    processes: null,
    load1: 1,
    bootId: null,
    tookMs: 1,
  });
  const lost: EffectOutcome = { state: 'unknown', summary: 'its answer was lost' };
  const verb: Verb<'container.ensure-limit'> = {
    risk: 'R1',
    limitMs: 200,
    args: z.strictObject({ resource: z.enum(['tcpsndbuf']), barrier: z.int(), limit: z.int(), incarnation: z.string() }),
    async read() {
      if (!world.reachable) throw new Error('the host does not answer');
      return look();
    },
    objection: (_ctx, args, now) => (now.incarnation === args.incarnation ? null : { reason: 'other-incarnation', summary: 'started anew' }),
    isWanted: (now, args) => now.counters?.[0]?.barrier === args.barrier,
    async act(_ctx, args, { operation }) {
      await world.onAct();
      const known = journal.get(operation);
      if (known === 'sealed') return { state: 'refused', reason: 'too-late', summary: 'sealed' };
      if (known !== undefined) return known;
      if (world.sticks) world.barrier = args.barrier;
      did.push(operation);
      const outcome: EffectOutcome = { state: 'done', changed: true, summary: 'set', data: { wasBarrier: 4_000_000 } };
      journal.set(operation, outcome);
      return world.answers ? outcome : lost;
    },
    async recall(_ctx, operation): Promise<Recalled> {
      if (!world.reachable) throw new Error('the host does not answer');
      const known = journal.get(operation);
      if (known === undefined) journal.set(operation, 'sealed');
      return known === undefined || known === 'sealed' ? { state: 'never' } : known;
    },
    readBack: { isTrue: (now, args) => now.counters?.[0]?.barrier === args.barrier, withinMs: 60, everyMs: 10 },
  };
  const verbs = new Proxy({} as Verbs, { get: () => verb });
  return { world, did, journal, verbs, verb };
}

function scene(o: { open?: boolean; mode?: string; config?: ReadyConfig; began?: ReadyConfig | null } = {}) {
  const audit = fakeAudit();
  const host = fakeHost();
  const inForce = o.config ?? config;
  const base = { v: 1, at: new Date().toISOString(), site: 'lab', by: 'engine', incident: INCIDENT } as const;
  if (o.open !== false) {
    void audit.append({ ...base, fact: 'problem', problem: PROBLEM, status: 'open' });
    void audit.append({
      ...base,
      fact: 'opened',
      problem: PROBLEM,
      playbook: 'relieve-container',
      playbookVersion: 1,
      rule: 'spikes',
      mode: (o.mode ?? 'auto') as 'auto',
      config: inForce.version,
      target: { host: 'h000', container: '204', resource: 'tcpsndbuf' },
      trigger: { id: 'event-00000001', type: 'container.failcnt_spike', host: 'h000', time: '', seq: 1, text: '' },
    });
  }
  const world: EffectorWorld = {
    audit,
    verbs: host.verbs,
    site: 'lab',
    config: () => inForce,
    configOf: async () => (o.began === undefined ? inForce : o.began),
  };
  return {
    audit,
    host,
    world,
    ask: (change: object = {}, more: Partial<EffectorWorld> = {}) => carryOut({ ...world, ...more }, { ...request, ...change } as EffectRequest),
  };
}
const outcomes = (audit: FakeAudit) => audit.of('outcome');
/** As hard as kill -9: nothing after it runs. */
class Killed extends Error {}
const killAt =
  (point: string) =>
  async (name: string): Promise<void> => {
    if (name === point) throw new Killed(point);
  };

describe('an effect that is theirs', () => {
  test('is claimed, done once, read back and recorded', async () => {
    const s = scene();
    expect(await s.ask()).toEqual({ state: 'done', changed: true, summary: 'set', data: { wasBarrier: 4_000_000 } });
    expect(s.host.did).toEqual([`${INCIDENT}.raise-limit`]);
    expect(s.audit.records.map((r) => r.record.fact)).toEqual(['problem', 'opened', 'intent', 'outcome']);
    expect(outcomes(s.audit)).toMatchObject([{ state: 'done', changed: true, operation: `${INCIDENT}.raise-limit` }]);
  });

  test('asked for again is answered with what was recorded, and nothing is touched', async () => {
    const s = scene();
    const first = await s.ask();
    s.host.world.reachable = false;
    expect(await s.ask()).toEqual(first);
    expect(s.host.did).toHaveLength(1);
    expect(outcomes(s.audit)).toHaveLength(1);
  });

  test('that is already as wanted touches nothing', async () => {
    const s = scene();
    s.host.world.barrier = 5_000_000;
    expect(await s.ask()).toMatchObject({ state: 'done', changed: false });
    expect(s.host.did).toEqual([]);
  });

  test('whose answer is lost is done when the host says so', async () => {
    const s = scene();
    s.host.world.answers = false;
    expect(await s.ask()).toMatchObject({ state: 'done', changed: true });
  });

  test('that is not so when read back is unknown, and stays unknown', async () => {
    const s = scene();
    s.host.world.sticks = false;
    expect(await s.ask()).toMatchObject({ state: 'unknown' });
    s.host.world.barrier = 5_000_000;
    expect(await s.ask()).toMatchObject({ state: 'unknown' });
    expect(s.host.did).toHaveLength(1);
  });
});

describe('an effect that is not theirs is refused, recorded, and touches nothing', () => {
  const veto = fleet(2);
  const container = veto.config.fleet.hosts['h000']?.containers['204'];
  container?.vetoes.push({ verb: 'container.ensure-limit', owner: 'shop', reason: 'sale', until: '2999-01-01T00:00:00Z' });
  const gone = fleet(2);
  delete gone.config.fleet.hosts['h000']?.containers['204'];
  test.each<[string, string, ReturnType<typeof scene>, object]>([
    ['of an incident that nobody knows', 'not-this-incident', scene({ open: false }), {}],
    ['of another site', 'not-this-incident', scene(), { site: 'prod' }],
    ['of another problem', 'not-this-incident', scene(), { problem: 'lab/h001/204/tcpsndbuf/relieve-container' }],
    ['on another host', 'not-this-incident', scene(), { target: { host: 'h001', container: '204', resource: 'tcpsndbuf' } }],
    ['on another container', 'not-this-incident', scene(), { target: { host: 'h000', container: '205' } }],
    ['on no container', 'not-this-incident', scene(), { target: { host: 'h000' } }],
    ["with a risk that is not the verb's", 'not-this-playbook', scene(), { risk: 'R0' }],
    ['of a rule that asks first', 'not-allowed', scene({ mode: 'approve' }), {}],
    ['of a rule that only watches', 'not-allowed', scene({ mode: 'shadow' }), {}],
    ['when the rule of that version did not act by itself', 'not-allowed', scene({ began: fleet(2, { mode: 'approve' }) }), {}],
    ['when the version it began with is unknown', 'facts-unreadable', scene({ began: null }), {}],
    ['that an owner has forbidden', 'vetoed', scene({ config: veto }), {}],
    ['on a container that is not in the inventory any more', 'not-in-inventory', scene({ config: gone }), {}],
    ['with arguments that the verb does not take', 'inconsistent', scene(), { args: { resource: 'tcpsndbuf', barrier: 'all', limit: 1, incarnation: '4' } }],
    ['for another incarnation', 'other-incarnation', scene(), { args: { ...request.args, incarnation: '43.abcdef01' } }],
  ])('%s: %s', async (_what, reason, s, change) => {
    expect(await s.ask(change)).toMatchObject({ state: 'refused', reason });
    expect(s.host.did).toEqual([]);
    expect(outcomes(s.audit)).toMatchObject([{ state: 'refused', reason }]);
  });

  test('of an incident that has ended', async () => {
    const s = scene();
    await s.audit.append({
      v: 1,
      at: new Date().toISOString(),
      site: 'lab',
      by: 'engine',
      incident: INCIDENT,
      fact: 'problem',
      problem: PROBLEM,
      status: 'ended',
    });
    expect(await s.ask()).toMatchObject({ state: 'refused', reason: 'not-this-incident' });
  });

  test.each([null, {}, { ...request, incident: '../../etc' }, { ...request, step: 'a.b' }, { ...request, verb: 'host.power-off' }, { ...request, extra: 1 }])(
    'a request that is none: %j',
    async (bad) => {
      const s = scene();
      expect(await carryOut(s.world, bad as EffectRequest)).toMatchObject({ state: 'refused' });
      expect(s.host.did).toEqual([]);
    },
  );
});

describe('when something on the way cannot be asked', () => {
  test.each(['outcomeOf', 'claim:intent', 'openedOf', 'problem'])('%s: nothing is promised, it rises and is asked again', async (operation) => {
    const s = scene();
    s.audit.breakWhen((o) => (o === operation ? new Error('no NATS') : null));
    await expect(s.ask()).rejects.toThrow('no NATS');
    expect(s.host.did).toEqual([]);
    s.audit.breakWhen(null);
    expect(await s.ask()).toMatchObject({ state: 'done', changed: true });
  });

  test('a host that does not answer before the act: refused', async () => {
    const s = scene();
    s.host.world.reachable = false;
    expect(await s.ask()).toMatchObject({ state: 'refused', reason: 'facts-unreadable' });
  });

  test('a host that does not answer after the act: unknown', async () => {
    const s = scene();
    s.host.world.onAct = async () => {
      s.host.world.reachable = false;
    };
    expect(await s.ask()).toMatchObject({ state: 'unknown' });
    expect(s.host.did).toHaveLength(1);
  });

  test('a record that cannot be written: it rises, and the next one finds out that it was done', async () => {
    const s = scene();
    s.audit.breakWhen((o) => (o === 'claim:outcome' ? new Error('no NATS') : null));
    await expect(s.ask()).rejects.toThrow('no NATS');
    s.audit.breakWhen(null);
    expect(await s.ask()).toMatchObject({ state: 'done', changed: true, data: { wasBarrier: 4_000_000 } });
    expect(s.host.did).toHaveLength(1);
  });
});

describe('an effector that dies', () => {
  /** Kills the process by never letting it go on: what it would have done next is not done. */
  const dieAt = (s: ReturnType<typeof scene>, point: string): Promise<unknown> =>
    Promise.race([
      s.ask(
        {},
        {
          failpoint: async (name) => {
            if (name === point) await new Promise(() => {});
          },
        },
      ),
      new Promise((resolve) => setTimeout(resolve, 150, 'dead')),
    ]);

  test.each(ARROWS.flatMap((arrow) => [`before:${arrow}`, `after:${arrow}`]))(
    '%s: the next one ends it the same, and the host was touched once',
    async (point) => {
      const s = scene();
      await dieAt(s, point);
      expect(await s.ask()).toMatchObject({ state: 'done', changed: true });
      expect(s.host.did).toHaveLength(1);
      expect(s.host.world.barrier).toBe(5_000_000);
      expect(outcomes(s.audit)).toHaveLength(1);
    },
  );

  test('again and again between claim and act is not tried for ever', async () => {
    const s = scene();
    for (let i = 0; i < 6; i += 1) await dieAt(s, 'before:act');
    expect(await s.ask()).toMatchObject({ state: 'unknown' });
    expect(s.host.did).toEqual([]);
  });

  test('between claim and act, of an R3 verb: what was claimed and never begun is unknown, and a person looks', async () => {
    const s = scene();
    await dieAt(s, 'before:act');
    s.host.verb.risk = 'R3';
    expect(await s.ask()).toMatchObject({ state: 'unknown' });
    expect(s.host.did).toEqual([]);
  });

  test.each(ARROWS.flatMap((arrow) => [`before:${arrow}`, `after:${arrow}`]))('a failure %s is an answer or rises, never a second act', async (point) => {
    const s = scene();
    const said = await s.ask({}, { failpoint: killAt(point) }).catch((error: unknown) => error);
    const end = await s.ask();
    if (!(said instanceof Error)) expect(end).toEqual(said);
    expect(s.host.did.length).toBeLessThanOrEqual(1);
    if (end.state === 'done') expect(s.host.did).toHaveLength(1);
    expect(outcomes(s.audit)).toHaveLength(1);
  });
});

describe('two effectors', () => {
  test('that ask at once act once and say the same', async () => {
    const s = scene();
    const [a, b] = await Promise.all([s.ask(), s.ask()]);
    expect(s.host.did).toHaveLength(1);
    expect(a).toEqual(b);
    expect(outcomes(s.audit)).toHaveLength(1);
  });

  test('of which one was stopped before its act and wakes up late: it does no harm and says what the other did', async () => {
    const s = scene();
    let wake = (): void => {};
    const stopped = new Promise<void>((resolve) => {
      wake = resolve;
    });
    const late = s.ask(
      {},
      {
        failpoint: async (name) => {
          if (name === 'before:act') await stopped;
        },
      },
    );
    const other = await s.ask();
    expect(other).toMatchObject({ state: 'done', changed: true });
    wake();
    expect(await late).toEqual(other);
    expect(s.host.did).toEqual([`${INCIDENT}.raise-limit-claim2`]);
    expect(outcomes(s.audit)).toHaveLength(1);
  });
});

test('nothing but the effector holds the verbs, and in it nothing but the protocol carries them out', async () => {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const holders: string[] = [];
  for (const room of ['activities', 'bench', 'config', 'events', 'lab', 'operator', 'stack', 'workers', 'workflows']) {
    for (const file of await readdir(join(root, room), { recursive: true })) {
      if (file.endsWith('.ts') && /createVerbs\(|\.act\(/.test(await readFile(join(root, room, file), 'utf8'))) holders.push(join(room, file));
    }
  }
  expect(holders.sort()).toEqual(['workers/effector/carry-out.ts', 'workers/effector/main.ts']);
});

test('the effector can be asked for a look and for the protocol, and for nothing else', () => {
  const s = scene();
  const { looks, effects } = createEffectorActivities(
    {
      lookAtContainer: async () => {
        throw new Error('not asked');
      },
    },
    s.world,
  );
  expect([...Object.keys(looks), ...Object.keys(effects)]).toEqual(['lookAtContainer', 'carryOut']);
});
