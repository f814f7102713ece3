import {
  allHandlersFinished,
  CancellationScope,
  condition,
  continueAsNew,
  defineQuery,
  defineSignal,
  defineUpdate,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { IncidentState } from '../events/incident.js';
import type { Carried } from './carried.js';
import { namesTaken } from './decide/earlier-life.js';
import { count, some } from './decide/figures.js';
import { openInbox, takeBatch, takeStorm } from './inbox.js';
import { EndOfPlaybook, type Verdict } from './kernel.js';
import { CLOSE, NOTE, OBSERVE, STORM, VIEW, type Close, type EventBatch, type IncidentInput, type IncidentView, type Note, type Storm } from './messages.js';
import { PLAYBOOKS } from './playbooks/index.js';
import { waitUntilGone } from './quiet.js';
import { openRecordBook } from './record-book.js';
import { createSteps, Interrupted, type Desk } from './steps.js';

const observe = defineSignal<[EventBatch]>(OBSERVE);
const storm = defineSignal<[Storm]>(STORM);
const close = defineUpdate<IncidentView, [Close]>(CLOSE);
const note = defineUpdate<void, [Note]>(NOTE);
const view = defineQuery<IncidentView>(VIEW);

/** A new spike in the moment of the end begins the playbook again, so often at most; then a person must look. */
const MAX_ROUNDS = 3;

export interface IncidentEnd {
  state: IncidentState;
  summary: string;
  effects: number;
  undone: number;
}

/**
 * One problem, from its first event until its symptom is measured gone or a person closes it.
 *
 *   working  -> the playbook acts          -> waiting, resolved, refused, escalated
 *   waiting  -> it watches that it holds   -> working, resolved, escalated
 *   refused, escalated -> open, quiet: events are counted, nothing is done -> resolved, closed
 *   resolved, closed   -> the end. A spike that arrives while `resolved` is being written opens the incident again.
 *
 * A cancellation of the workflow changes nothing: whoever can reach Temporal is not thereby allowed to end an incident.
 */
export function incident(input: IncidentInput, carried?: Carried): Promise<IncidentEnd> {
  return CancellationScope.nonCancellable(() => run(input, carried));
}

async function run(input: IncidentInput, carried?: Carried): Promise<IncidentEnd> {
  const inbox = carried?.inbox ?? openInbox(input);
  const book = openRecordBook(input, carried?.appends ?? 0);
  const playbook = PLAYBOOKS[input.playbook];
  const now: Desk['now'] = { step: null, waiting: null };
  const quiet = carried?.quiet ?? { mark: null, since: 0, failing: 0, waitMs: input.knobs.watchForMs };
  let state: IncidentState | null = carried?.state ?? null;
  let round = carried?.round ?? 1;
  let namesBefore = carried?.namesBefore ?? namesTaken(input.before ?? []);
  let verdict: Verdict | null = carried?.verdict ?? null;
  let stormTold = carried?.stormTold ?? false;
  let ended: IncidentState | null = null;
  const progress: Desk['progress'] = {
    found: carried?.found ?? {},
    watching: carried?.watching ?? null,
    effects: carried?.effects ?? (input.before ?? []).filter(({ state: ended, step }) => ended !== 'refused' && !step.startsWith('undo-')).length,
    undone: carried?.undone ?? 0,
    unknowns: carried?.unknowns ?? 0,
    failingAtLook: carried?.failingAtLook ?? inbox.failing,
    names: { ...namesBefore },
  };

  const look = (): IncidentView => ({
    incident: input.incident,
    problem: input.problem,
    playbook: input.playbook,
    target: input.target,
    state: state ?? 'working',
    step: now.step,
    waiting: ended === null ? now.waiting : null,
    effects: progress.effects,
    undone: progress.undone,
    events: inbox.events,
    members: inbox.members,
  });
  // All handlers before the first await: what arrived with the start is delivered to them, not lost.
  setHandler(observe, (batch) => takeBatch(inbox, batch));
  setHandler(storm, (arrived) => takeStorm(inbox, arrived));
  setHandler(view, look);
  setHandler(
    close,
    (asked) => {
      inbox.close = asked;
      return look();
    },
    { validator: (asked) => refuseUnless(ended === null, `this incident has ended: ${ended}`, asked.person, asked.reason, 'a reason') },
  );
  setHandler(
    note,
    async ({ person, text }) => {
      book.add({ fact: 'note', person, text });
      await book.flush();
    },
    { validator: (written) => refuseUnless(ended === null, `this incident has ended: ${ended}`, written.person, written.text, 'a text') },
  );

  const setState = (to: IncidentState, summary: string): void => {
    if (state === to) return;
    book.add({ fact: 'state', from: state, to, summary });
    state = to;
  };
  const grown = (): boolean => workflowInfo().continueAsNewSuggested;
  const checkpoint = async (): Promise<void> => {
    if (!grown() || inbox.close !== null) return;
    await book.flush();
    // An update that is being handled is answered in the run that accepted it.
    await condition(allHandlersFinished);
    const { found, watching, effects, undone, unknowns, failingAtLook } = progress;
    await continueAsNew<typeof incident>(input, {
      v: 1,
      inbox,
      state: state ?? 'working',
      appends: book.appends(),
      round,
      namesBefore,
      found,
      watching,
      effects,
      undone,
      unknowns,
      stormTold,
      verdict,
      quiet,
      failingAtLook,
    });
  };
  const desk: Desk = { input, inbox, book, progress, now, setState, grown, checkpoint };
  const tally = (): string => `${count(progress.effects, 'effect')}, ${progress.undone} undone`;

  /** Runs the playbook once; leaves what it says behind in state and records. */
  const playRound = async (): Promise<Verdict> => {
    const steps = createSteps(desk);
    try {
      return { to: 'resolved', summary: await playbook.run(steps.kernel) };
    } catch (error) {
      if (!(error instanceof EndOfPlaybook)) return interruptedBy(error, steps.standing());
      const { verdict: reached, recorded } = error;
      if (reached.to === 'resolved') return reached;
      if (recorded) return reached;
      steps.kernel.decide('give-up', reached.to === 'refused' ? 'stop' : 'ask', reached.reason, reached.summary);
      try {
        const left = await steps.undoAll();
        const not = left.length === 0 ? '' : `; could not be undone: ${left.join(', ')}`;
        return { ...reached, summary: `${reached.to === 'refused' ? 'stays open' : 'a person must look'}: ${reached.reason}${not}` };
      } catch (interruption) {
        return interruptedBy(interruption, steps.standing());
      }
    }
  };
  const interruptedBy = (error: unknown, standing: string[]): Verdict => {
    if (!(error instanceof Interrupted)) throw error;
    const left = standing.length === 0 ? '' : `; left as they are: ${standing.join(', ')}`;
    return { to: 'escalated', reason: error.by === 'storm' ? 'domain-storm' : 'closed', summary: `stopped before ${now.step ?? 'the first step'}${left}` };
  };
  const tellStorm = (stopped: string): void => {
    if (inbox.storm === null || stormTold) return;
    stormTold = true;
    const summary = `${count(inbox.members.length, 'member')} of ${inbox.storm.domain} fail at once: ${some(inbox.members)}`;
    book.add({ fact: 'decided', step: 'storm', decision: 'stopped', reason: 'domain-storm', summary });
    setState('escalated', `part of the trouble of ${inbox.storm.domain}, nothing more is done here; ${stopped}`);
  };
  /**
   * Writes the end. False when a spike was reported that the last look may not have seen, before it is written or while it is; only what arrives after the
   * workflow has ended opens a fresh incident. A signal in the very last moment makes the server refuse our end and ask for the same task again, with the
   * signal in it: then the end may stand in the audit although here it was never written. So what is said on going on takes it back in any case.
   */
  const end = async (to: 'resolved' | 'closed', summary: string): Promise<boolean> => {
    const before = state === 'waiting' || state === null ? 'working' : state;
    const late = (): number => (to === 'closed' ? 0 : inbox.failing - progress.failingAtLook);
    await book.flush();
    if (late() === 0) {
      ended = to;
      now.waiting = null;
      setState(to, summary);
      book.add({ fact: 'problem', problem: input.problem, status: 'ended' });
      await book.flush();
      await condition(allHandlersFinished);
      if (late() === 0) return true;
      ended = null;
    }
    book.add({ fact: 'problem', problem: input.problem, status: 'open' });
    book.add({ fact: 'state', from: state, to: before, summary: `${count(late(), 'spike')} reported while it was ending` });
    state = before;
    return false;
  };

  if (carried === undefined)
    setState('working', `${input.playbook}, ${input.mode}, for ${input.problem}${input.stale ? '; the event is old: looks first' : ''}`);
  await book.flush();

  for (;;) {
    verdict ??= await playRound();
    if (verdict.to !== 'resolved') tellStorm(verdict.summary);
    if (inbox.close !== null) {
      const { person, reason } = inbox.close;
      await end('closed', `by ${person}: ${reason}; ${tally()}${verdict.to !== 'resolved' && verdict.reason === 'closed' ? `; ${verdict.summary}` : ''}`);
      break;
    }
    if (verdict.to === 'resolved') {
      if (await end('resolved', `${verdict.summary}; ${tally()}`)) break;
      round += 1;
      progress.found = {};
      namesBefore = { ...progress.names };
      verdict =
        round <= MAX_ROUNDS ? null : { to: 'escalated', reason: 'keeps-coming-back', summary: `it came back ${MAX_ROUNDS} times in the moment of the end` };
      continue;
    }
    setState(verdict.to, `${verdict.summary}; ${tally()}`);
    await book.flush();
    now.step = null;
    const open: Verdict = verdict;
    const waited = await waitUntilGone(desk, {
      memory: quiet,
      measure: playbook.measure,
      mustTell: () => inbox.close !== null || (inbox.storm !== null && !stormTold),
    });
    if (waited.why === 'gone' && inbox.close === null && (await end('resolved', `${waited.summary}; ${tally()}`))) break;
    verdict = open;
  }
  return { state: ended ?? 'resolved', summary: input.problem, effects: progress.effects, undone: progress.undone };
}

/** Thrown out of a validator, this refuses the update and leaves no trace in the history; whoever asked is told why. */
function refuseUnless(open: boolean, otherwise: string, person: unknown, text: unknown, what: string): void {
  if (!open) throw new Error(otherwise);
  if (typeof person !== 'string' || person.trim() === '' || person.length > 80) throw new Error('who says so? A name of at most 80 characters');
  if (typeof text !== 'string' || text.trim() === '' || text.length > 1000) throw new Error(`${what} of at most 1,000 characters is needed`);
}
