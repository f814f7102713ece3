import type { EventSummary, Target } from '../events/audit.js';
import type { IncidentState } from '../events/incident.js';
import type { EffectOutcome } from '../events/effect.js';
import type { PlaybookName, VerbName } from '../events/playbooks.js';
import type { EventKind } from '../events/event.js';

/** Task queues. Workflows and local activities run in the engine; the other two in the effector, apart, so that dead hosts cannot fill the slots of effects. */
export const QUEUES = { workflows: 'nightshift', looks: 'looks', effects: 'effects' } as const;

/** Temporal's namespace, and the one workflow type: the playbook's name is in its input and in its memo. */
export const NAMESPACE = 'nightshift';
export const INCIDENT_WORKFLOW = 'incident';

/** Numbers of policy, resolved when the incident was opened: an open incident keeps the version it began with. */
export interface IncidentKnobs {
  verifyForMs: number;
  watchForMs: number;
  maxKills: number;
  maxRaises: number;
  raiseFactor: number;
  enterWithinMs: number;
  /** Process names that may be ended, from the inventory. */
  runaways: string[];
  protect: string[];
  service: string | null;
  /** The ceiling for the resource that this incident is about; null: its limit is never raised. */
  ceiling: { barrier: number; limit: number } | null;
}

/** The argument of the incident workflow. Its workflow id is `problem`. */
export interface IncidentInput {
  v: 1;
  incident: string;
  problem: string;
  site: string;
  playbook: PlaybookName;
  rule: string;
  mode: 'auto' | 'approve' | 'shadow';
  config: string;
  target: Target;
  /** The event that opened it, as data: figures for the first line of the timeline. */
  trigger: AcceptedEvent;
  /** True when the event was too old to act on: look first, act only on what is seen now. */
  stale: boolean;
  knobs: IncidentKnobs;
  /** For `watch-domain`: the members that fail. */
  members?: string[];
  /** What this very incident did before Temporal lost its workflow, by the audit, oldest first: its effects that have an outcome. */
  before?: DoneBefore[];
}

export interface DoneBefore {
  step: string;
  verb: VerbName;
  state: EffectOutcome['state'];
  data: Record<string, string | number | boolean>;
}

export interface AcceptedEvent extends EventSummary {
  kind: EventKind;
  data: Record<string, string | number | boolean | number[]>;
}

/** Signal `observe`: events that arrived for an open incident, one batch a quarter of a second at most. */
export interface EventBatch {
  /** Sequence in EVT of the last event in it: batches that are not newer than the last one seen are dropped. */
  lastSeq: number;
  count: number;
  kinds: Partial<Record<EventKind, number>>;
  /** The newest of each kind; at most 20. */
  latest: AcceptedEvent[];
  members?: string[];
}
export const OBSERVE = 'observe';

/** Signal `storm`: more of the domain fails than the brake allows. The incident stops at its next safe point, becomes the domain's, and asks. */
export interface Storm {
  domain: string;
  members: string[];
  lastSeq: number;
}
export const STORM = 'storm';

/** Update `close`: a person ends the incident. Refused by its validator when it has ended already or the reason is empty. */
export interface Close {
  person: string;
  reason: string;
}
export const CLOSE = 'close';

/** Update `note`: a person adds a line to the record. */
export interface Note {
  person: string;
  text: string;
}
export const NOTE = 'note';

/** Query `view`. */
export interface IncidentView {
  incident: string;
  problem: string;
  playbook: PlaybookName;
  target: Target;
  state: IncidentState;
  step: string | null;
  /** What it waits for and until when (RFC 3339), where it waits. */
  waiting: { for: string; until: string | null } | null;
  effects: number;
  undone: number;
  events: number;
  members: string[];
}
export const VIEW = 'view';
