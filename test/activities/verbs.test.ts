import { ApplicationFailure } from '@temporalio/common';
import { describe, expect, test } from 'vitest';
import { createLooks } from '../../activities/create-looks.js';
import { FarSideFailure } from '../../activities/far-side/far-side-failure.js';
import type { ContainerLook } from '../../activities/looks.js';
import type { VerbContext } from '../../activities/verb.js';
import { createVerbs } from '../../activities/verbs/index.js';
import { config, container, host } from '../../config/schema.js';
import { VERBS, VERB_NAMES } from '../../events/playbooks.js';
import { fakeFarSide } from './fixtures/fake-far-side.js';

const shop = container.parse({
  engine: 'openvz',
  service: 'httpd',
  runaways: ['httpd'],
  protect: ['keeper'],
  ceilings: { tcpsndbuf: { barrier: 7_000_000, limit: 8_000_000 } },
});
const dauntless = host.parse({ transport: 'local', helperConfigFile: '/etc/nightshift/helper.conf', containers: { 204: shop } });
const ctx: VerbContext = { hostName: 'dauntless', host: dauntless, containerName: '204', container: shop };
const look = (more: Partial<ContainerLook> = {}): ContainerLook => ({
  running: true,
  incarnation: '5.ab',
  counters: [{ resource: 'tcpsndbuf', held: 1, maxheld: 2, barrier: 4_000_000, limit: 4_000_000, failcnt: 3 }],
  processes: null,
  load1: 1,
  bootId: null,
  tookMs: 5,
  ...more,
});
const limit = { resource: 'tcpsndbuf', barrier: 5_000_000, limit: 6_000_000, incarnation: '5.ab' } as const;
const enter = { candidates: [{ pid: 7, startTicks: 8 }], incarnation: '5.ab', maxKills: 5, enterWithinMs: 500 };
const options = { operation: 'i-1.step', deadlineMs: 1000 };
const silent = () => new FarSideFailure('unreachable', 'no answer');

test('every verb is there and costs no more than its class', () => {
  const verbs = createVerbs({ farSide: fakeFarSide(() => []) });
  expect(Object.keys(verbs)).toEqual(VERB_NAMES);
  for (const name of VERB_NAMES) expect(verbs[name].risk).toBe(VERBS[name]);
});

describe('a limit', () => {
  const verb = createVerbs({ farSide: fakeFarSide(() => []) })['container.ensure-limit'];
  const saved = createVerbs({ farSide: fakeFarSide(() => []) })['container.ensure-limit-saved'];

  test.each([
    ['within its ceiling may be raised', {}, {}, null],
    ['above its ceiling may not', { barrier: 7_000_001, limit: 8_000_000 }, {}, 'over-limit'],
    ['above its ceiling by its limit may not', { limit: 8_000_001 }, {}, 'over-limit'],
    ['whose barrier is above its limit contradicts itself', { barrier: 6_000_001 }, {}, 'inconsistent'],
    [
      'without a ceiling is never raised',
      { resource: 'kmemsize', barrier: 2, limit: 2 },
      { counters: [{ resource: 'kmemsize', held: 1, maxheld: 1, barrier: 1, limit: 1, failcnt: 0 }] },
      'over-limit',
    ],
    [
      'may go back down, also from above the ceiling',
      { barrier: 8_100_000, limit: 8_100_000 },
      { counters: [{ resource: 'tcpsndbuf', held: 1, maxheld: 2, barrier: 9_000_000, limit: 9_000_000, failcnt: 3 }] },
      null,
    ],
    ['that cannot be read is left alone', {}, { counters: null }, 'facts-unreadable'],
    ['of a container that was started anew is left alone', {}, { incarnation: '6.ab' }, 'other-incarnation'],
    ['of a container that is down is left alone', {}, { running: false }, 'other-incarnation'],
    ['of a container that cannot be seen is left alone', {}, { incarnation: null }, 'facts-unreadable'],
  ] as [string, object, Partial<ContainerLook>, string | null][])('%s', (_what, args, now, reason) => {
    expect(verb.objection(ctx, { ...limit, ...args }, look(now))?.reason ?? null).toBe(reason);
  });

  test('is made lasting only below its ceiling, and nowhere but in OpenVZ', () => {
    const high = look({ counters: [{ resource: 'tcpsndbuf', held: 1, maxheld: 2, barrier: 9_000_000, limit: 9_000_000, failcnt: 3 }] });
    expect(saved.objection(ctx, { ...limit, barrier: 9_000_000, limit: 9_000_000 }, high)?.reason).toBe('over-limit');
    expect(saved.objection(ctx, limit, look())).toBeNull();
    expect(saved.objection({ ...ctx, container: { ...shop, engine: 'cgroup', cgroup: 'lab/shop' } }, limit, look())?.reason).toBe('not-supported');
    expect(saved.isWanted(look({ counters: [{ resource: 'tcpsndbuf', held: 1, maxheld: 2, barrier: 5_000_000, limit: 6_000_000, failcnt: 3 }] }), limit)).toBe(
      false,
    );
  });

  test('is as wanted only when both numbers are', () => {
    const have = (barrier: number, most: number) => look({ counters: [{ resource: 'tcpsndbuf', held: 1, maxheld: 2, barrier, limit: most, failcnt: 3 }] });
    expect(verb.isWanted(have(5_000_000, 6_000_000), limit)).toBe(true);
    expect(verb.isWanted(have(5_000_000, 6_000_001), limit)).toBe(false);
    expect(verb.isWanted(have(4_999_999, 6_000_000), limit)).toBe(false);
    expect(verb.isWanted(look({ counters: null }), limit)).toBe(false);
  });

  test('is told with what it was', async () => {
    const farSide = fakeFarSide(() => ['op new', 'was 4000000:4000000', 'is 5000000:6000000', 'result done changed']);
    expect(await createVerbs({ farSide })['container.ensure-limit'].act(ctx, limit, options)).toEqual({
      state: 'done',
      changed: true,
      summary: 'tcpsndbuf set to 5000000:6000000, was 4000000:4000000',
      data: { wasBarrier: 4_000_000, wasLimit: 4_000_000, isBarrier: 5_000_000, isLimit: 6_000_000 },
    });
    expect(farSide.asked).toEqual([
      {
        verb: 'ensure-limit',
        op: 'i-1.step',
        target: { engine: 'openvz', container: '204' },
        incarnation: '5.ab',
        limitMs: 20_000,
        resource: 'tcpsndbuf',
        barrier: 5_000_000,
        limit: 6_000_000,
        save: false,
      },
    ]);
    expect(farSide.options[0]).toMatchObject({ beginWithinMs: 1000, timeoutMs: 26_000 });
  });
});

describe('runaways', () => {
  test('are named by the inventory, whatever the request says', async () => {
    const farSide = fakeFarSide(() => [
      'op new',
      'killed 7:8:httpd:TERM',
      'killed 9:10:httpd:KILL',
      'spared 11:12 protected',
      'left 3',
      'enter 80',
      'result done changed',
    ]);
    const outcome = await createVerbs({ farSide })['container.ensure-enterable'].act(ctx, { ...enter, runaways: ['sshd'] } as typeof enter, options);
    expect(farSide.asked[0]).toMatchObject({ verb: 'ensure-enterable', runaways: ['httpd'], protect: ['keeper'], maxKills: 5, enterMs: 500 });
    expect(outcome).toEqual({
      state: 'done',
      changed: true,
      summary: '2 of 6 ended from the host (2 httpd, 1 by SIGKILL); 1 spared (protected); enters in 80 ms',
      data: { killed: 2, survived: 0, spared: 1, left: 3, ended: '7:8:httpd:TERM 9:10:httpd:KILL', enteredInMs: 80 },
    });
  });

  test('are ended in no container whose inventory names none', () => {
    const verb = createVerbs({ farSide: fakeFarSide(() => []) })['container.ensure-enterable'];
    expect(verb.objection({ ...ctx, container: { ...shop, runaways: [] } }, enter, look())?.reason).toBe('not-allowed');
    const { service: _service, ...bare } = shop;
    expect(verb.objection({ ...ctx, container: bare }, enter, look())?.reason).toBe('not-allowed');
    expect(verb.objection(ctx, enter, look())).toBeNull();
    expect(verb.args.safeParse({ ...enter, candidates: [{ pid: 1, startTicks: 8 }] }).success).toBe(false);
  });
});

describe('an act', () => {
  const act = (says: Parameters<typeof fakeFarSide>[0]) => {
    const farSide = fakeFarSide(says);
    return { farSide, outcome: createVerbs({ farSide })['container.ensure-service-restarted'].act(ctx, { incarnation: '5.ab' }, options) };
  };

  test('whose request cannot have arrived has failed, and nothing is asked after it', async () => {
    const { farSide, outcome } = act(() => new FarSideFailure('unreachable', 'no route', { mayHaveArrived: false }));
    expect(await outcome).toEqual({ state: 'failed', summary: 'nothing was sent: no route' });
    expect(farSide.asked).toHaveLength(1);
  });

  test('whose answer is missed is asked after, and what the host recorded counts', async () => {
    const { farSide, outcome } = act((request) => (request.verb === 'seal' ? ['op finished', 'service 3 0', 'result done changed'] : silent()));
    expect(await outcome).toMatchObject({ state: 'done', changed: true, summary: 'httpd restarted in the container, 3 processes' });
    expect(farSide.asked.map((r) => r.verb)).toEqual(['ensure-service', 'seal']);
  });

  test('that had not begun then is barred', async () => {
    const { outcome } = act((request) => (request.verb === 'seal' ? ['op new', 'result refused sealed'] : silent()));
    expect(await outcome).toMatchObject({ state: 'refused', reason: 'too-late' });
  });

  test('that nobody can tell of is unknown', async () => {
    expect(await act(silent).outcome).toMatchObject({ state: 'unknown' });
    expect(
      await act((request) => (request.verb === 'seal' ? ['op started cut-short', 'did restart httpd', 'result unknown cut-short'] : silent())).outcome,
    ).toEqual({ state: 'unknown', summary: 'it was cut short on the host: it had begun: restart httpd' });
  });

  test.each([
    [['result refused other-incarnation'], { state: 'refused', reason: 'other-incarnation' }],
    [['result refused too-late'], { state: 'refused', reason: 'too-late' }],
    [['detail line 3', 'result refused bad-value'], { state: 'failed', summary: 'the helper refuses, nothing was touched: bad-value: line 3' }],
    [['detail httpd: no log', 'code 1', 'result failed command'], { state: 'failed', summary: 'restart of httpd; the command failed: httpd: no log; code 1' }],
  ])('answered with %j says so', async (lines, outcome) => {
    expect(await act(() => ['op new', ...lines]).outcome).toMatchObject(outcome);
  });

  test('that no host would take is not sent', async () => {
    const farSide = fakeFarSide(() => []);
    const odd = { ...ctx, container: { ...shop, engine: 'cgroup' as const } };
    expect(await createVerbs({ farSide })['container.ensure-limit'].act(odd, limit, options)).toMatchObject({
      state: 'failed',
      summary: expect.stringContaining('nothing was sent'),
    });
    expect(farSide.asked).toEqual([]);
  });
});

describe('a look', () => {
  const loaded = { config: config.parse({ version: 1, site: 'lab', fleet: { hosts: { dauntless } }, rules: [] }), version: 'abc', file: 'x' };
  const request = { site: 'lab', host: 'dauntless', container: '204', want: ['counters' as const, 'enter' as const], enterWithinMs: 700 };

  test('is taken of what the inventory names, and of nothing else', async () => {
    const farSide = fakeFarSide(() => ['load 2.5', 'running yes', 'incarnation 5.ab', 'enter no', 'result done read']);
    const looks = createLooks({ farSide, inventory: () => loaded });
    expect(await looks.lookAtContainer(request)).toMatchObject({ running: true, incarnation: '5.ab', enteredInMs: null, counters: null, load1: 2.5 });
    for (const other of [{ site: 'x' }, { host: 'y' }, { host: 'constructor' }, { container: '205' }, { container: '__proto__' }]) {
      await expect(looks.lookAtContainer({ ...request, ...other })).rejects.toMatchObject({ type: 'refused', nonRetryable: true });
    }
    expect(farSide.asked).toHaveLength(1);
  });

  test.each([
    ['unreachable', false],
    ['incomplete', false],
    ['refused', true],
    ['unauthorized', true],
  ] as const)('that fails as %s is a failure of Temporal', async (kind, nonRetryable) => {
    const looks = createLooks({ farSide: fakeFarSide(() => new FarSideFailure(kind, 'so it is')), inventory: () => loaded });
    const failure: unknown = await looks.lookAtContainer(request).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(ApplicationFailure);
    expect(failure).toMatchObject({ type: kind, nonRetryable, message: 'dauntless: so it is' });
  });
});
