import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../until.js';
import { NOTE, type Note } from '../../workflows/messages.js';
import { openTheatre, RUNAWAY, type Play, type Theatre } from './theatre.js';

let theatre: Theatre;
beforeAll(async () => {
  theatre = await openTheatre();
});
afterAll(() => theatre.close());

const reason = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => 'accepted',
    (error: unknown) => (error instanceof Error ? `${error.message}: ${error.cause instanceof Error ? error.cause.message : ''}` : 'nothing'),
  );
const escalatedPlay = async (): Promise<Play> => {
  const play = await theatre.start({ about: '', model: RUNAWAY, fates: { 'end-runaways': 'failed' } });
  await play.reached('escalated');
  return play;
};
const facts = (play: Play, fact: string): string[] => play.records.filter((r) => r.fact === fact).map((r) => ('summary' in r ? r.summary : ''));

test('nobody closes an incident without a name and a reason, and nobody closes one that has ended', async () => {
  const play = await escalatedPlay();
  expect(await reason(play.close({ person: 'anna', reason: '  ' }))).toContain('a reason of at most 1,000 characters is needed');
  expect(await reason(play.close({ person: '', reason: 'because' }))).toContain('who says so?');
  expect(await reason(play.close({ person: 'anna', reason: 'x'.repeat(1001) }))).toContain('a reason of at most');
  expect(await reason(play.close({ person: 'anna' } as never))).toContain('a reason of at most');
  expect(facts(play, 'problem')).toEqual([]);

  const view = await play.close({ person: 'anna', reason: 'seen it' });
  expect(view).toMatchObject({ incident: play.input.incident, state: 'escalated' });
  expect(await play.handle.result()).toMatchObject({ state: 'closed' });
  expect(await reason(play.close({ person: 'anna', reason: 'again' }))).not.toBe('accepted');
});

test('a note of a person stands in the record, with the name, while the incident stays as it is', async () => {
  const play = await escalatedPlay();
  await play.handle.executeUpdate<void, [Note]>(NOTE, { args: [{ person: 'ben', text: 'I called the customer' }] });
  expect(play.records.at(-1)).toMatchObject({ fact: 'note', person: 'ben', text: 'I called the customer', incident: play.input.incident });
  expect((await play.view()).state).toBe('escalated');
  await play.close({ person: 'ben', reason: 'done' });
  await play.handle.result();
});

test('events of an open incident are counted once, whatever is handed over twice, and nothing is done about them', async () => {
  const play = await escalatedPlay();
  const done = play.container.hostLog.length;
  await play.observe({ lastSeq: 200, count: 7000, kinds: { 'container.failcnt_spike': 7000 }, latest: [], members: ['a', 'b'] });
  await play.observe({ lastSeq: 200, count: 7000, kinds: { 'container.failcnt_spike': 7000 }, latest: [], members: ['a', 'b'] });
  await play.observe({ lastSeq: 150, count: 5, kinds: {}, latest: [] });
  await play.observe({ lastSeq: 201, count: 1, kinds: { 'container.failcnt_quiet': 1 }, latest: [], members: ['b', 'c'] });
  expect(await play.view()).toMatchObject({ events: 7002, members: ['a', 'b', 'c'], state: 'escalated' });
  expect(play.container.hostLog).toHaveLength(done);
  await play.close({ person: 'anna', reason: 'seen it' });
  await play.handle.result();
});

test('an escalated incident that nobody touches resolves when its symptom is measured gone for the window', async () => {
  const play = await escalatedPlay();
  play.container.restart();
  expect(await play.handle.result()).toMatchObject({ state: 'resolved' });
  expect(facts(play, 'state').at(-1)).toMatch(/^failcnt flat and load 0\.4 for .*; 1 effect, 0 undone$/);
  expect(play.records.at(-1)).toMatchObject({ fact: 'problem', status: 'ended' });
});

test('while the counter still moves an escalated incident stays open, however often it is looked at', async () => {
  const play = await theatre.start({
    about: '',
    model: { ...RUNAWAY, workers: 3, traffic: 8_000_000 },
    knobs: { ceiling: null, verifyForMs: 200, watchForMs: 100 },
  });
  await play.reached('escalated');
  const before = play.container.failcnt();
  await until(() => play.container.failcnt() > before + 1_000, { what: 'several looks', timeoutMs: 20_000 });
  expect((await play.view()).state).toBe('escalated');
  play.container.model.traffic = 0;
  // Looks have grown apart by now; an agent that says "quiet" brings the next one forward.
  await play.observe({ lastSeq: 500, count: 1, kinds: { 'container.failcnt_quiet': 1 }, latest: [] });
  expect(await play.handle.result()).toMatchObject({ state: 'resolved' });
});

test('cancelling the workflow ends nothing: whoever reaches Temporal may not thereby end an incident', async () => {
  const play = await escalatedPlay();
  await play.handle.cancel();
  await play.observe({ lastSeq: 300, count: 1, kinds: { 'container.failcnt_spike': 1 }, latest: [] });
  expect(await play.view()).toMatchObject({ state: 'escalated', events: 2 });
  await play.close({ person: 'anna', reason: 'seen it' });
  expect(await play.handle.result()).toMatchObject({ state: 'closed' });
});

test('a storm that breaks out while the incident stands open is told once and stops nothing that is not running', async () => {
  const play = await escalatedPlay();
  await play.storm({ domain: 'rack-1', members: ['h1', 'h2'], lastSeq: 400 });
  await play.storm({ domain: 'rack-1', members: ['h3'], lastSeq: 401 });
  await until(() => facts(play, 'decided').some((text) => text.includes('of rack-1 fail at once')), { what: 'the storm being told' });
  expect((await play.view()).members).toEqual(['h1', 'h2', 'h3']);
  await play.close({ person: 'anna', reason: 'seen it' });
  await play.handle.result();
  expect(facts(play, 'decided').filter((text) => text.includes('fail at once'))).toHaveLength(1);
});

test('the first thing in the record is that work began, and nothing was waited for before it', async () => {
  const play = await theatre.start({ about: '', model: { ...RUNAWAY, workers: 3 } });
  await play.handle.result();
  expect(play.records[0]).toMatchObject({ fact: 'state', from: null, to: 'working' });
  const { events } = await play.handle.fetchHistory();
  const first = events?.find((e) => e.activityTaskScheduledEventAttributes !== null && e.activityTaskScheduledEventAttributes !== undefined);
  const markers = events?.filter((e) => e.markerRecordedEventAttributes && Number(e.eventId) < Number(first?.eventId)) ?? [];
  expect(markers).toHaveLength(1);
});
