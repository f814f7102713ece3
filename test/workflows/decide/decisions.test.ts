import { describe, expect, test } from 'vitest';
import { REFUSALS } from '../../../events/effect.js';
import { afterRefusal } from '../../../workflows/decide/after-refusal.js';
import { amount, bytes, some, span } from '../../../workflows/decide/figures.js';
import { judgeSymptom } from '../../../workflows/decide/judge-symptom.js';
import { serviceStuck } from '../../../workflows/decide/service-stuck.js';
import { brokenFormulae } from '../../../workflows/decide/ubc-formulae.js';
import { openInbox, takeBatch, takeStorm } from '../../../workflows/inbox.js';
import type { IncidentInput } from '../../../workflows/messages.js';

const counter = { resource: 'tcpsndbuf', held: 1_000_000, maxheld: 4_000_000, barrier: 4_000_000, limit: 4_000_000, failcnt: 90_686 } as const;

describe('is it still so?', () => {
  const judge = (given: Partial<Parameters<typeof judgeSymptom>[0]>) => judgeSymptom({ counter, refused: 0, enteredInMs: 80, fresh: true, ...given });
  test('a huge failcnt that does not move says nothing: it outlives its cause', () => expect(judge({})).toEqual({ live: false, reason: 'flat' }));
  test('what is refused between two looks is happening', () => expect(judge({ refused: 3 })).toEqual({ live: true, reason: 'refused-now' }));
  test('a resource that is used up is trouble, refused or not', () =>
    expect(judge({ counter: { ...counter, held: 3_990_000 } })).toEqual({ live: true, reason: 'at-limit' }));
  test('nobody can enter, and an event has just said why', () => expect(judge({ enteredInMs: null })).toEqual({ live: true, reason: 'cannot-enter' }));
  test('nobody can enter, but the event is old and the counter is quiet: that is other trouble', () =>
    expect(judge({ enteredInMs: null, fresh: false })).toEqual({ live: false, reason: 'flat' }));
  test('nobody can enter, the event is old, and it is refused now', () =>
    expect(judge({ enteredInMs: null, fresh: false, refused: 1 })).toEqual({ live: true, reason: 'cannot-enter' }));
});

describe('a service', () => {
  const of = (state: string, comm = 'httpd') => ({ pid: 9, startTicks: 9, ppid: 1, uid: 33, comm, args: '', state, ageSeconds: 1, cpuSeconds: 1, rssKb: 1 });
  test('is stuck when none of it is left or all of it waits for a device', () => {
    expect(serviceStuck([of('R', 'init')], ['httpd'])).toBe(true);
    expect(serviceStuck([of('D'), of('Z')], ['httpd'])).toBe(true);
  });
  test('is not stuck while one of it can run, nor when nobody can say', () => {
    expect(serviceStuck([of('D'), of('S')], ['httpd'])).toBe(false);
    expect(serviceStuck(null, ['httpd'])).toBe(false);
    expect(serviceStuck([of('D')], [])).toBe(false);
  });
});

test('every refusal has an answer, and none of them is to try the same again', () => {
  for (const reason of REFUSALS) expect(['look-again', 'refused', 'escalated']).toContain(afterRefusal(reason));
  expect(REFUSALS.filter((reason) => afterRefusal(reason) === 'look-again')).toEqual(['trigger-gone', 'other-incarnation', 'facts-unreadable', 'too-late']);
});

test('the cure of 2008, 4000000:4000000, breaks the formula for send buffers, and that is seen', () => {
  expect(brokenFormulae([counter, { ...counter, resource: 'numtcpsock', barrier: 360, limit: 360 }])).toEqual([
    'tcpsndbuf.limit - tcpsndbuf.barrier >= 2.5 KB x numtcpsock',
  ]);
  expect(brokenFormulae([counter])).toEqual([]);
});

test('figures read as people say them', () => {
  expect([span(80), span(2_000), span(1_500), span(15_000), span(119_000), span(120_000), span(360_000), span(7_200_000)]).toEqual([
    '80 ms',
    '2 s',
    '1.5 s',
    '15 s',
    '119 s',
    '2 m',
    '6 m',
    '2 h',
  ]);
  expect([bytes(0), bytes(999), bytes(4_000_000), bytes(1_300), bytes(2_000_000_000)]).toEqual(['0 B', '999 B', '4.0 MB', '1.3 kB', '2.0 GB']);
  expect([amount('privvmpages', 7), amount('numproc', 7), amount('tcpsndbuf', 2 ** 63)]).toEqual(['7 pages', '7', 'unlimited']);
  expect(some(['a', 'b', 'c'], 2)).toBe('a, b and 1 more');
});

describe('what arrives while an incident is open', () => {
  const inbox = () => openInbox({ trigger: { seq: 100 }, members: ['a'] } as IncidentInput);
  test('is counted once, and a batch that is not newer changes nothing', () => {
    const box = inbox();
    for (const lastSeq of [101, 101, 100, 99])
      takeBatch(box, { lastSeq, count: 5, kinds: { 'container.failcnt_spike': 4, 'container.failcnt_quiet': 1 }, latest: [] });
    expect(box).toMatchObject({ events: 6, failing: 5, quiet: 1, lastSeq: 101 });
  });
  test('does not make it grow without end: twenty thousand members are five hundred', () => {
    const box = inbox();
    for (let i = 0; i < 200; i += 1)
      takeBatch(box, { lastSeq: 200 + i, count: 100, kinds: {}, latest: [], members: Array.from({ length: 100 }, (_, n) => `h${i * 100 + n}`) });
    takeStorm(box, { domain: 'rack-1', members: ['z'], lastSeq: 1 });
    expect(box.members).toHaveLength(500);
    expect(box.events).toBe(20_001);
  });
});
