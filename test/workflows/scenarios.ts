import { RUNAWAY, type Play, type Scenario } from './theatre.js';

/** A person who closes the incident once it stands still in this state. */
const closedWhen =
  (state: string) =>
  async (play: Play): Promise<void> => {
    await play.reached(state);
    await play.close({ person: 'anna', reason: 'seen it' });
  };
const NEEDS_MORE = { ...RUNAWAY, traffic: 4_300_000 };

/** Each has a folder in `scenarios/` with the timeline that it must produce. */
export const SCENARIOS: Record<string, Scenario> = {
  'limit-not-needed': { about: 'runaways are ended, the service is restarted, and that is enough', model: RUNAWAY },
  'limit-raised-and-kept': { about: 'honest traffic needs more than the limit: one raise helps and is saved', model: NEEDS_MORE },
  'ceiling-reached': {
    about: 'raising helps too little and ends at the ceiling: taken back, a person is asked',
    model: { ...RUNAWAY, traffic: 7_400_000 },
    knobs: { maxRaises: 9 },
    then: closedWhen('escalated'),
  },
  'no-effect': {
    about: 'two raises in a row do not help: taken back, a person is asked',
    model: { ...RUNAWAY, traffic: 6_000_000, trafficGrowsBy: 1_500_000 },
    then: closedWhen('escalated'),
  },
  'restarted-meanwhile': {
    about: 'somebody restarts the container before the first effect: nothing is done, it is looked at again, and it is well',
    model: RUNAWAY,
    before: (step, play) => {
      if (step === 'end-runaways') play.container.restart();
    },
  },
  blip: { about: 'a single blip is normal: seen flat for the verification window, nothing is touched', model: { ...RUNAWAY, workers: 3 } },
  'effect-unknown-but-done': {
    about: 'the answer is lost: a look shows that it was done, and it goes on',
    model: RUNAWAY,
    fates: { 'end-runaways': 'unknown-done' },
  },
  'effect-unknown-not-done': {
    about: 'the answer is lost and nothing has changed: never the same act again, a person is asked',
    model: RUNAWAY,
    fates: { 'end-runaways': 'unknown-not-done' },
    then: closedWhen('escalated'),
  },
  'two-unknowns': {
    about: 'two lost answers: this host is not understood, a person is asked',
    model: NEEDS_MORE,
    fates: { 'restart-service': 'unknown-done', 'raise-limit': 'unknown-done' },
    then: closedWhen('escalated'),
  },
  vetoed: {
    about: 'an owner has forbidden it: the incident stays open, refused, until a person closes it',
    model: RUNAWAY,
    fates: { 'end-runaways': 'vetoed' },
    then: closedWhen('refused'),
  },
  'trigger-gone-twice': {
    about: 'the effector says twice that nothing is wrong while it looks wrong from here: a person is asked',
    model: RUNAWAY,
    fates: { 'end-runaways': 'trigger-gone', 'end-runaways-2': 'trigger-gone' },
    then: closedWhen('escalated'),
  },
  'not-saved': {
    about: 'the raise holds but cannot be saved: it is left as it is, and that is said',
    model: NEEDS_MORE,
    fates: { 'keep-limit': 'failed' },
    then: closedWhen('escalated'),
  },
  'kill-fails': { about: 'ending runaways fails: a person is asked', model: RUNAWAY, fates: { 'end-runaways': 'failed' }, then: closedWhen('escalated') },
  'restart-fails': {
    about: 'restarting the service fails: a person is asked',
    model: RUNAWAY,
    fates: { 'restart-service': 'failed' },
    then: closedWhen('escalated'),
  },
  'raise-fails': {
    about: 'raising the limit fails: what may have happened is taken back, a person is asked',
    model: NEEDS_MORE,
    fates: { 'raise-limit': 'failed' },
    then: closedWhen('escalated'),
  },
  'undo-fails': {
    about: 'the raise did not help and cannot be taken back: that is said',
    model: { ...RUNAWAY, traffic: 12_000_000 },
    fates: { 'undo-raise-limit': 'failed' },
    then: closedWhen('escalated'),
  },
  'storm-mid-way': {
    about: 'more of the domain fails: the playbook stops before its next effect and leaves everything as it is',
    model: RUNAWAY,
    before: async (step, play) => {
      if (step === 'end-runaways') await play.storm({ domain: 'rack-1', members: ['h1', 'h2', 'h3'], lastSeq: 200 });
    },
    then: closedWhen('escalated'),
  },
  'closed-mid-way': {
    about: 'a person closes it while an effect is under way: that effect ends, the next is not begun',
    model: RUNAWAY,
    before: async (step, play) => {
      if (step === 'end-runaways') await play.close({ person: 'anna', reason: 'I restart it by hand' });
    },
  },
  'closed-with-a-raise-standing': {
    about: 'a person closes it while the limit is raised and not saved: left so, and that is said',
    model: NEEDS_MORE,
    before: async (step, play) => {
      if (step === 'raise-limit') await play.close({ person: 'anna', reason: 'I take it from here' });
    },
  },
  'spike-at-the-end': {
    about: 'a spike arrives while the end is being written: the incident goes on instead of ending',
    model: { ...RUNAWAY, workers: 3 },
    writing: inTheMomentOfTheEnd((play) => play.spike(300)),
  },
  'needs-approval': {
    about: 'the rule wants a person to approve: asked, nothing done',
    model: RUNAWAY,
    input: { mode: 'approve' },
    then: closedWhen('escalated'),
  },
  shadow: { about: 'in shadow what would be done is written and nothing is done', model: RUNAWAY, input: { mode: 'shadow' }, then: closedWhen('waiting') },
  'limit-only': {
    about: 'no service is named in the inventory: only the limit may be touched',
    model: { ...NEEDS_MORE, workers: 3 },
    knobs: { service: null, runaways: [] },
  },
  'never-raised': { about: 'no ceiling is given: the limit is never raised', model: NEEDS_MORE, knobs: { ceiling: null }, then: closedWhen('escalated') },
  'old-event': {
    about: 'the event is too old to act on and nothing is refused now: nothing is done',
    model: { ...RUNAWAY, wantPerWorker: 1_000 },
    input: { stale: true },
    then: closedWhen('escalated'),
  },
  'cannot-be-read': {
    about: 'the container cannot be looked at: what is unknown counts against acting',
    model: { ...RUNAWAY, silent: true },
    then: closedWhen('escalated'),
  },
  'domain-storm': {
    about: 'many members of a domain fail: they are listed, nothing is touched, a person closes it',
    model: RUNAWAY,
    input: { playbook: 'watch-domain', members: ['h1', 'h2', 'h3'] },
    then: closedWhen('escalated'),
  },
};

/** Sends something once, while the end is first being written. */
function inTheMomentOfTheEnd(send: (play: Play) => Promise<void>): NonNullable<Scenario['writing']> {
  let sent = false;
  return async (records, play) => {
    if (sent || !records.some((r) => r.fact === 'problem' && r.status === 'ended')) return;
    sent = true;
    await send(play);
  };
}
