import { z } from 'zod';
import { INCIDENT_STATES } from './incident.js';
import { EFFECT_STATES, REFUSALS } from './effect.js';
import { PLAYBOOK_NAMES, RISKS, VERB_NAMES } from './playbooks.js';
import { isToken, tokenOrThrow } from './subjects.js';

/**
 * Audit records: the facts that can be shown weeks later. Append only, on `aud.<fact>.<incident>[.<step>]`.
 * A claim (`intent`) is published with expected-last-sequence 0 on its subject, so that a step can be claimed once, even after Temporal was reset.
 */
const text = z.string().max(2000);
const step = z.string().refine(isToken, 'a step name is one token');
const about = z.strictObject({
  host: z.string().max(63),
  container: z.string().max(63).optional(),
  resource: z.string().max(63).optional(),
  domain: z.string().max(63).optional(),
});

const base = z.strictObject({
  v: z.literal(1),
  /** By the clock of the writer. The stream's own time of receipt is beside it. */
  at: z.iso.datetime(),
  site: z.string().max(63),
  by: z.enum(['engine', 'effector', 'agent', 'operator', 'stack', 'lab']),
});
const ofIncident = base.extend({ incident: z.string().max(40) });

const eventSummary = z.strictObject({
  id: z.string(),
  type: z.string(),
  host: z.string(),
  time: z.string(),
  /** Sequence in EVT: the full event can be read there while it is kept. */
  seq: z.int(),
  text,
});

export const auditRecord = z.discriminatedUnion('fact', [
  /** An incident began. Written by the engine before the workflow is started. */
  ofIncident.extend({
    fact: z.literal('opened'),
    problem: z.string(),
    playbook: z.enum(PLAYBOOK_NAMES),
    playbookVersion: z.int(),
    rule: z.string(),
    mode: z.enum(['auto', 'approve', 'shadow']),
    config: z.string(),
    target: about,
    trigger: eventSummary,
  }),
  /** Events that arrived for an incident: one record a batch, however many they were. */
  ofIncident.extend({
    fact: z.literal('events'),
    count: z.int().positive(),
    kinds: z.record(z.string(), z.int()),
    first: eventSummary,
    last: eventSummary,
    members: z.array(z.string()).max(500).optional(),
  }),
  /** A step that observed. */
  ofIncident.extend({ fact: z.literal('looked'), step, tookMs: z.number(), summary: text, evidence: z.record(z.string(), z.unknown()) }),
  /** A decision and why. */
  ofIncident.extend({ fact: z.literal('decided'), step, decision: z.string().max(80), reason: z.string().max(80), summary: text }),
  /** An effect is about to be tried: the claim. */
  ofIncident.extend({
    fact: z.literal('intent'),
    step,
    verb: z.enum(VERB_NAMES),
    risk: z.enum(RISKS),
    target: about,
    args: z.record(z.string(), z.unknown()),
    /** Names the one execution on the far side; repeated on every retry of this step. */
    operation: z.string(),
    plan: z.string(),
    summary: text,
  }),
  /** How an effect ended. */
  ofIncident.extend({
    fact: z.literal('outcome'),
    step,
    verb: z.enum(VERB_NAMES),
    operation: z.string(),
    state: z.enum(EFFECT_STATES),
    changed: z.boolean(),
    reason: z.enum(REFUSALS).optional(),
    tookMs: z.number(),
    summary: text,
    data: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
  }),
  /** The incident changed its state. */
  ofIncident.extend({ fact: z.literal('state'), from: z.enum(INCIDENT_STATES).nullable(), to: z.enum(INCIDENT_STATES), summary: text }),
  /** A person wrote a note. */
  ofIncident.extend({ fact: z.literal('note'), person: z.string().max(80), text }),
  /** Where a problem stands: its last record says whether an incident is open for it, and which. On `aud.problem.<problem key>`. */
  ofIncident.extend({ fact: z.literal('problem'), problem: z.string(), status: z.enum(['open', 'ended']) }),
  /** A configuration was taken into force, or refused. On `aud.config.<site>`. */
  base.extend({ fact: z.literal('config'), accepted: z.boolean(), config: z.string(), file: z.string(), problems: z.array(z.string()).max(50) }),
  /** An event was not accepted; it lies in DLQ. One record for a run of the same reason and host. On `aud.deadletters.<site>`. */
  base.extend({ fact: z.literal('deadletters'), reason: z.string(), host: z.string().nullable(), count: z.int().positive() }),
  /** A process of the stack came or went. On `aud.stack.<site>`. */
  base.extend({
    fact: z.literal('stack'),
    role: z.string(),
    change: z.enum(['started', 'ended', 'restarted', 'intake-stopped', 'intake-resumed']),
    summary: text,
  }),
]);
export type AuditRecord = z.infer<typeof auditRecord>;
export type AuditFact = AuditRecord['fact'];
export type AuditOf<F extends AuditFact> = Extract<AuditRecord, { fact: F }>;
export type Target = z.infer<typeof about>;
export type EventSummary = z.infer<typeof eventSummary>;

/** Where a record belongs. `problemKey` is needed for `problem` records only. */
export function auditSubject(record: AuditRecord, problemKeyOf: (problem: string) => string): string {
  switch (record.fact) {
    case 'config':
    case 'deadletters':
    case 'stack':
      return `aud.${record.fact}.${tokenOrThrow(record.site, 'site')}`;
    case 'problem':
      return `aud.problem.${problemKeyOf(record.problem)}`;
    case 'looked':
    case 'decided':
    case 'intent':
    case 'outcome':
      return `aud.${record.fact}.${tokenOrThrow(record.incident, 'incident')}.${tokenOrThrow(record.step, 'step')}`;
    default:
      return `aud.${record.fact}.${tokenOrThrow(record.incident, 'incident')}`;
  }
}

/** Subject filters that select all records of one incident, in stream order. */
export const auditOfIncident = (incident: string): string[] => [`aud.*.${tokenOrThrow(incident, 'incident')}`, `aud.*.${tokenOrThrow(incident, 'incident')}.*`];
