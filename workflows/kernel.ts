import type { VerbArgs } from '../activities/effects.js';
import type { ContainerLook, LookAtContainer } from '../activities/looks.js';
import type { EffectOutcome } from '../events/effect.js';
import type { VerbName } from '../events/playbooks.js';
import type { IncidentInput } from './messages.js';

/** What was seen, and when, by the workflow's clock. */
export interface Seen {
  look: ContainerLook;
  at: number;
}

export interface Watched {
  /** `time`: watched to its end. `condition`: ended early, `until` came true. `unreadable`: the last look brought nothing. */
  ended: 'time' | 'condition' | 'unreadable';
  /** The look before the last one: what happens at the end of a watch lies between these two. */
  prior: Seen;
  last: Seen;
}

export interface Words {
  summary: string;
  evidence?: Record<string, unknown>;
}

/**
 * What a playbook can do. Every step has a name that is one token; a name used again is numbered (`raise-limit`, `raise-limit-2`), always in the same order.
 * What a step found is kept: after a continue-as-new the playbook runs from its top and each finished step answers with what it found the first time. So
 * a playbook must depend on nothing but the input and what its steps return.
 */
export interface Kernel {
  readonly input: IncidentInput;
  /** R0: looks once, within seconds. Null when nothing could be read; that is recorded too. */
  look(step: string, want: LookAtContainer['want'], say: (look: ContainerLook) => Words): Promise<Seen | null>;
  /**
   * Asks the effector for one effect. The only way to change anything. Before it the kernel looks whether the domain is in a storm or a person has closed
   * the incident: then the playbook ends here. `undo` is noted before the effect is asked for, since an effect of unknown outcome may have happened.
   */
  effect<V extends VerbName>(step: string, verb: V, args: VerbArgs[V], words: { summary: string; undo?: Undo }): Promise<EffectOutcome>;
  /** Records what was decided and why. `decision` and `reason` are words from a closed list of the playbook. */
  decide(step: string, decision: string, reason: string, summary: string): void;
  /** Looks again and again: every `everyMs`, for `forMs`, or until a look makes `until` true. One record at its end. */
  watch(step: string, options: WatchOptions): Promise<Watched>;
  /** Notes the undo of an effect that an earlier life of this incident had (`input.before`). */
  owe(step: string, undo: Undo): void;
  /** What was done so far is good and stays: no undo from here on. */
  settle(): void;
}

export interface WatchOptions {
  forMs: number;
  everyMs: number;
  want: LookAtContainer['want'];
  /** What it is compared with. */
  from: Seen;
  until: (look: ContainerLook) => boolean;
  say: (watched: Watched) => Words;
  /** A long watch makes the incident `waiting`, and says for what. */
  waitingFor?: string;
}

/** The effect that takes another one back. */
export type Undo = { [V in VerbName]: { verb: V; args: VerbArgs[V]; summary: string } }[VerbName];

export interface Playbook {
  /** Runs to the end of what can be done. Returns, in one line, why the symptom counts as gone; throws `escalate(...)` or `refuse(...)` otherwise. */
  run(kernel: Kernel): Promise<string>;
  /** How to measure that the symptom is gone while the incident is open and nobody acts. Null: only a person can say. */
  measure: Measure | null;
}

export interface Measure {
  want: LookAtContainer['want'];
  /** Two looks with the same mark: nothing happened between them. Null: the symptom is there, or nobody can say. */
  mark(look: ContainerLook, input: IncidentInput): { mark: string | null; summary: string };
}

/** How a playbook's run ended, other than by being interrupted. */
export type Verdict = { to: 'resolved'; summary: string } | { to: 'refused' | 'escalated' | 'waiting'; reason: string; summary: string };

/** Thrown to end a playbook's run with a verdict. `recorded`: its reason is in the audit already. */
export class EndOfPlaybook extends Error {
  constructor(
    readonly verdict: Verdict,
    readonly recorded = false,
  ) {
    super(verdict.summary);
    this.name = 'EndOfPlaybook';
  }
}

/** Nothing more can be done by itself: what was done is undone in reverse, and a person is asked. */
export const escalate = (reason: string, summary: string): EndOfPlaybook => new EndOfPlaybook({ to: 'escalated', reason, summary });
/** Somebody or something forbids it: the incident stays open with that answer. */
export const refuse = (reason: string, summary: string): EndOfPlaybook => new EndOfPlaybook({ to: 'refused', reason, summary });
