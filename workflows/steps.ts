import { ActivityFailure, condition } from '@temporalio/workflow';
import type { ContainerLook, LookAtContainer } from '../activities/looks.js';
import type { EffectOutcome } from '../events/effect.js';
import { effectsOf, looks, RISK_OF } from './activities.js';
import type { Carried, Watching } from './carried.js';
import { span } from './decide/figures.js';
import type { Inbox } from './inbox.js';
import { EndOfPlaybook, type Kernel, type Seen, type Undo, type Watched } from './kernel.js';
import type { IncidentInput, IncidentView } from './messages.js';
import type { RecordBook } from './record-book.js';

/** Thrown at a safe point: a person closed the incident, or its whole domain is in trouble. Nothing is undone: an undo is an act too. */
export class Interrupted extends Error {
  constructor(readonly by: 'close' | 'storm') {
    super(by);
    this.name = 'Interrupted';
  }
}

/** A second effect of unknown outcome means that we do not understand this host. */
const MAX_UNKNOWNS = 2;
/** A look comes back with all processes of a container; more than these are neither judged nor carried along. */
const MAX_PROCESSES = 1000;

/** What the steps need of the incident around them. */
export interface Desk {
  input: IncidentInput;
  inbox: Inbox;
  book: RecordBook;
  /** State, counts and what its steps found: carried from run to run. */
  progress: Pick<Carried, 'found' | 'watching' | 'effects' | 'undone' | 'unknowns' | 'failingAtLook'> & { names: Record<string, number> };
  now: { step: string | null; waiting: IncidentView['waiting'] };
  setState(to: 'working' | 'waiting', summary: string): void;
  /** True when the history has grown so far that the server asks for a new run. */
  grown(): boolean;
  /** Goes on in a new run when the history has grown. */
  checkpoint(): Promise<void>;
}

export interface Steps {
  kernel: Kernel;
  /** Takes back what was done, in reverse order. Returns the names of the steps that could not be taken back. */
  undoAll(): Promise<string[]>;
  /** Names of the steps that would be undone. */
  standing(): string[];
}

/** True when the playbook must stop at its next safe point. */
export const interruption = ({ close, storm }: Inbox): Interrupted['by'] | null => (close !== null ? 'close' : storm !== null ? 'storm' : null);

export function createSteps(desk: Desk): Steps {
  const { input, inbox, book, progress, now } = desk;
  const undos: { step: string; undo: Undo }[] = [];
  let undoing = false;

  const nameOf = (step: string): string => {
    const n = (progress.names[step] ?? 0) + 1;
    progress.names[step] = n;
    return n === 1 ? step : `${step}-${n}`;
  };
  /** Before each step: what is written is written, what must stop stops. */
  const safePoint = async (step: string): Promise<void> => {
    now.step = step;
    await book.flush();
    const by = interruption(inbox);
    if (by !== null) throw new Interrupted(by);
    // Undoing is short, and goes on in the run in which it was begun.
    if (!undoing) await desk.checkpoint();
  };
  const keep = <T>(step: string, found: T): T => {
    progress.found[step] = found;
    return found;
  };

  const kernel: Kernel = {
    input,

    async look(step, want, say) {
      const name = nameOf(step);
      if (name in progress.found) return progress.found[name] as Seen | null;
      await safePoint(name);
      const began = Date.now();
      const seen = await peek(desk, want);
      const words = typeof seen === 'string' ? { summary: `could not look: ${seen}` } : say(seen.look);
      book.add({ fact: 'looked', step: name, tookMs: Date.now() - began, summary: words.summary, evidence: words.evidence ?? {} });
      return keep(name, typeof seen === 'string' ? null : seen);
    },

    decide(step, decision, reason, summary) {
      const name = nameOf(step);
      if (name in progress.found) return;
      book.add({ fact: 'decided', step: name, decision, reason, summary });
      keep(name, true);
    },

    async effect(step, verb, args, words) {
      const name = nameOf(step);
      const note = (): void => {
        if (words.undo !== undefined) undos.push({ step: name, undo: words.undo });
      };
      if (name in progress.found) {
        const outcome = progress.found[name] as EffectOutcome;
        if (outcome.state !== 'refused') note();
        return outcome;
      }
      if (input.mode !== 'auto') throw unasked(name, words.summary);
      await safePoint(name);
      const { incident, problem, site, target } = input;
      const risk = RISK_OF[verb];
      note();
      const began = Date.now();
      const outcome = await effectsOf(risk)
        .carryOut({ incident, problem, site, step: name, verb, risk, target, args, summary: words.summary })
        .catch((error: unknown): EffectOutcome => {
          if (!(error instanceof ActivityFailure)) throw error;
          const summary = `no answer from the effector within ${span(Date.now() - began)}: it may or may not have happened (${reasonOf(error)})`;
          book.add({ fact: 'decided', step: name, decision: 'count-as-unknown', reason: 'no-answer', summary });
          return { state: 'unknown', summary };
        });
      keep(name, outcome);
      if (outcome.state !== 'refused') progress.effects += 1;
      else if (words.undo !== undefined) undos.pop();
      if (outcome.state === 'unknown' && (progress.unknowns += 1) >= MAX_UNKNOWNS) {
        throw new EndOfPlaybook({
          to: 'escalated',
          reason: 'two-unknowns',
          summary: `${progress.unknowns} effects of unknown outcome, the last ${name}: ${outcome.summary}`,
        });
      }
      return outcome;
    },

    async watch(step, { forMs, everyMs, want, from, until, say, waitingFor }) {
      const name = nameOf(step);
      if (name in progress.found) return progress.found[name] as Watched;
      await safePoint(name);
      const planned = Math.max(1, Math.ceil(forMs / everyMs));
      const began = Date.now();
      const at: Watching = progress.watching?.step === name ? progress.watching : { step: name, looks: 0, prior: from, last: from, readable: true };
      if (waitingFor !== undefined) desk.setState('waiting', waitingFor);
      let met = false;
      // As many looks as fit, each after a full wait: a slow host makes a watch longer, never shorter.
      while (at.looks < planned && !met) {
        progress.watching = at;
        await desk.checkpoint();
        await book.flush();
        now.waiting = { for: waitingFor ?? name, until: new Date(Date.now() + (planned - at.looks) * everyMs).toISOString() };
        await condition(() => interruption(inbox) !== null, everyMs);
        const by = interruption(inbox);
        if (by !== null) throw new Interrupted(by);
        const seen = await peek(desk, want);
        at.looks += 1;
        at.readable = typeof seen !== 'string';
        if (typeof seen === 'string') continue;
        at.prior = at.last;
        at.last = seen;
        met = until(seen.look);
      }
      progress.watching = null;
      now.waiting = null;
      const watched: Watched = { ended: met ? 'condition' : at.readable ? 'time' : 'unreadable', prior: at.prior, last: at.last };
      const words = say(watched);
      book.add({ fact: 'looked', step: name, tookMs: Date.now() - began, summary: words.summary, evidence: { ...words.evidence, looks: at.looks } });
      if (waitingFor !== undefined && met) desk.setState('working', words.summary);
      return keep(name, watched);
    },

    owe(step, undo) {
      undos.push({ step, undo });
    },

    settle() {
      undos.length = 0;
    },
  };

  /** In another mode than `auto` the first effect is where the machine's part ends: what would follow depends on what the effect would have changed. */
  const unasked = (step: string, summary: string): EndOfPlaybook => {
    const shadow = input.mode === 'shadow';
    if (!(`${step}-not-done` in progress.found)) {
      book.add({
        fact: 'decided',
        step,
        decision: shadow ? 'would-do' : 'ask',
        reason: shadow ? 'shadow' : 'needs-approval',
        summary: shadow ? `would ${summary}` : `may I ${summary}?`,
      });
      keep(`${step}-not-done`, true);
    }
    return new EndOfPlaybook(
      shadow
        ? { to: 'waiting', reason: 'shadow', summary: `shadow: would ${summary}; touches nothing` }
        : { to: 'escalated', reason: 'needs-approval', summary: `a person must ${summary}: the rule ${input.rule} lets nothing be done without approval` },
      true,
    );
  };

  return {
    kernel,
    async undoAll() {
      undoing = true;
      const left: string[] = [];
      for (let last = undos.at(-1); last !== undefined; last = undos.at(-1)) {
        const { verb, args, summary } = last.undo;
        const { effects } = progress;
        try {
          const outcome = await kernel.effect(`undo-${last.step}`, verb, args, { summary });
          if (outcome.state === 'done') progress.undone += 1;
          else left.push(last.step);
        } catch (error) {
          if (!(error instanceof EndOfPlaybook)) throw error;
          // The rest is still tried: one undo of unknown outcome is no reason to leave the others standing.
          left.push(last.step);
        } finally {
          progress.effects = effects;
        }
        undos.pop();
      }
      return left;
    },
    standing: () => undos.map(({ step }) => step),
  };
}

/** One look, or the reason why there is none. Notes how much had been reported when it was begun: what is reported later, it may not have seen. */
export async function peek({ input, inbox, progress }: Pick<Desk, 'input' | 'inbox' | 'progress'>, want: LookAtContainer['want']): Promise<Seen | string> {
  const { site, target, knobs } = input;
  progress.failingAtLook = inbox.failing;
  if (target.container === undefined) return 'the incident names no container';
  try {
    const look = await looks.lookAtContainer({ site, host: target.host, container: target.container, want, enterWithinMs: knobs.enterWithinMs });
    return { look: trimmed(look), at: Date.now() };
  } catch (error) {
    if (!(error instanceof ActivityFailure)) throw error;
    return reasonOf(error);
  }
}

const trimmed = (look: ContainerLook): ContainerLook =>
  look.processes === null ? look : { ...look, processes: look.processes.slice(0, MAX_PROCESSES).map((p) => ({ ...p, args: p.args.slice(0, 120) })) };

const reasonOf = (error: ActivityFailure): string => (error.cause instanceof Error ? error.cause.message : error.message).slice(0, 300);
