import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import canonicalize from 'canonicalize';
import { z } from 'zod';
import type { AuditLog } from '../../activities/audit-log.js';
import type { EffectRequest } from '../../activities/effects.js';
import type { Verb, VerbContext, Verbs } from '../../activities/verb.js';
import type { ReadyConfig } from '../../config/load.js';
import type { AuditOf } from '../../events/audit.js';
import type { EffectOutcome, Refusal } from '../../events/effect.js';
import { isIncidentId } from '../../events/incident.js';
import { RISKS, VERB_NAMES, type VerbName } from '../../events/playbooks.js';
import { isToken } from '../../events/subjects.js';
import { isTheirs } from './is-theirs.js';

/*
 * The effect protocol: the only road to a machine. It is the list PROTOCOL below, walked in order. Each arrow either says nothing, and the next one follows,
 * or says how the effect ended, which is recorded and returned.
 *
 *   recorded -> claim -> theirs -> live -> act -> read-back          (each outcome is recorded, once for ever, before it is returned)
 *
 * An arrow that fails or cannot say is a no: before the act it is `refused` for `facts-unreadable`, after it `unknown`. Only where NATS cannot be asked to
 * claim or to record is the failure let rise: then nothing has been promised, and Temporal asks again.
 *
 * Asked again after a crash, the claim is found taken. Then the host's own journal says what became of the operation. If it was never begun the journal
 * notes that it never will be, and the step is claimed once more under a new operation: whoever held the old one, stopped halfway and waking up late, can
 * do no harm with it.
 */

export interface EffectorWorld {
  audit: Pick<AuditLog, 'claim' | 'intentOf' | 'outcomeOf' | 'openedOf' | 'problem'>;
  verbs: Verbs;
  site: string;
  /** The configuration in force, and one that was. */
  config(): ReadyConfig;
  configOf(version: string): Promise<ReadyConfig | null>;
  now?: () => number;
  /** Tests stop or kill the effector here; nothing else. Called as `before:<arrow>` and `after:<arrow>`. */
  failpoint?: (name: string) => Promise<void>;
}

export const ARROWS = ['recorded', 'claim', 'theirs', 'live', 'act', 'read-back', 'record'] as const;
export type Arrow = (typeof ARROWS)[number];

/** A host that does not answer within this time is one that does not answer. */
const READ_MS = 8_000;
/** From here to the beginning of the act; checked again by the host's own clock. */
const BEGIN_WITHIN_MS = 10_000;
/** A step is claimed anew at most this often: an effector that dies each time it tries is not cured by trying. */
const MAX_CLAIMS = 4;

/** What is known of the effect on its way. */
interface Walk {
  world: EffectorWorld;
  request: EffectRequest;
  args: EffectRequest['args'];
  verb: Verb<VerbName>;
  signal: AbortSignal | undefined;
  startedAt: number;
  /** The execution on the far side; set by the claim. */
  operation: string;
  claims: number;
  plan: string;
  target: VerbContext | null;
  /** What the act said; set by it. */
  acted: EffectOutcome | null;
}
type Says = EffectOutcome | null;

const PROTOCOL: readonly { arrow: Arrow; walk(w: Walk): Promise<Says>; onFailure: 'rise' | 'refuse' | 'unknown' }[] = [
  { arrow: 'recorded', walk: recorded, onFailure: 'rise' },
  { arrow: 'claim', walk: claim, onFailure: 'rise' },
  // What it reads is ours, not the host's: an audit that does not answer just now is asked again, by the retry of the whole activity.
  { arrow: 'theirs', walk: theirs, onFailure: 'rise' },
  { arrow: 'live', walk: live, onFailure: 'refuse' },
  { arrow: 'act', walk: act, onFailure: 'unknown' },
  { arrow: 'read-back', walk: readBack, onFailure: 'unknown' },
];

/** Walks the request through the protocol. A no is an outcome; it throws only when NATS cannot be asked to claim or to record. */
export async function carryOut(world: EffectorWorld, untrusted: EffectRequest, signal?: AbortSignal): Promise<EffectOutcome> {
  const parsed = requestSchema.safeParse(untrusted);
  // Without a name for it there is nothing to record it under.
  if (!parsed.success) return refused('not-this-incident', `this is no request for an effect: ${z.prettifyError(parsed.error).slice(0, 500)}`);
  const request = parsed.data as EffectRequest;
  const verb = world.verbs[request.verb] as Verb<VerbName>;
  const walk: Walk = {
    world,
    request,
    verb,
    signal,
    args: request.args,
    startedAt: clock(world),
    operation: operationOf(request, 1),
    claims: 1,
    plan: planOf(request),
    target: null,
    acted: null,
  };
  const args = verb.args.safeParse(request.args);
  if (!args.success) return record(walk, refused('inconsistent', `${request.verb} cannot be asked for so: ${z.prettifyError(args.error).slice(0, 500)}`));
  walk.args = args.data;

  for (const { arrow, walk: step, onFailure } of PROTOCOL) {
    let says: Says;
    try {
      await world.failpoint?.(`before:${arrow}`);
      says = await step(walk);
      await world.failpoint?.(`after:${arrow}`);
    } catch (error) {
      if (onFailure === 'rise') throw error;
      const why = inWords(error);
      says =
        onFailure === 'refuse'
          ? refused('facts-unreadable', `what must be known first could not be read: ${why}`)
          : unknown(`what became of it cannot be said: ${why}`);
    }
    if (says !== null) return arrow === 'recorded' ? says : record(walk, says);
  }
  throw new Error('the protocol ended without an outcome');
}

/* recorded: a step that has an outcome has it for ever. */
async function recorded({ world, request }: Walk): Promise<Says> {
  const stored = await world.audit.outcomeOf(request.incident, request.step);
  return stored === null ? null : outcomeIn(stored.record);
}

/* claim: of any number that ask for this step, one may go on; the others find out what became of it. */
async function claim(w: Walk): Promise<Says> {
  const { world, request } = w;
  if ((await world.audit.claim(intentOf(w, 1))).claimed) return null;

  // Somebody was here before: the target must be known to ask its journal. What is not in the inventory any more cannot be asked.
  const target = targetOf(world.config(), request);
  for (let n = 1; n <= MAX_CLAIMS; n += 1) {
    const operation = operationOf(request, n);
    if (target === null) return unknown(`${operation} was claimed before and its host is no longer in the inventory: what became of it cannot be asked`);
    const became = await settled(w, target, operation);
    if (became !== null) {
      w.operation = operation;
      return became;
    }
    // What reaches beyond the failing workload is never tried twice, not even when it was never begun: a person looks.
    if (w.verb.risk !== 'R0' && w.verb.risk !== 'R1') return unknown(`${operation} was claimed before and never begun; ${w.verb.risk} is not claimed anew`);
    if (n === MAX_CLAIMS) break;
    w.claims = n + 1;
    w.operation = operationOf(request, w.claims);
    const again = await world.audit.claim(intentOf(w, w.claims));
    // Whoever lost the old operation may have recorded its refusal meanwhile: an outcome is final.
    if (again.claimed) return recorded(w);
  }
  return unknown(`${request.step} was claimed ${MAX_CLAIMS} times and never begun`);
}

/** What became of an operation of an earlier claim; null when it was never begun, and never will be. */
async function settled(w: Walk, target: VerbContext, operation: string): Promise<Says> {
  try {
    const became = await w.verb.recall(target, operation, deadline(w.signal, READ_MS + w.verb.limitMs));
    if (became.state === 'never') return null;
    if (became.state !== 'unknown') return became;
    return decides(w) && (await isTrueNow(w, target)) ? done(true, `${became.summary}; it is as wanted now`, {}) : became;
  } catch (error) {
    return unknown(`${operation} was claimed before, and the host cannot be asked what became of it: ${inWords(error)}`);
  }
}

/* theirs: the effector reads for itself whether this step may be asked for, by the audit, the rules and the inventory. */
async function theirs(w: Walk): Promise<Says> {
  const { world, request } = w;
  const opened = (await world.audit.openedOf(request.incident))?.record ?? null;
  const problem = opened === null ? null : ((await world.audit.problem(opened.problem))?.record ?? null);
  const began = opened === null ? null : await world.configOf(opened.config);
  const no = isTheirs({ request: { ...request, args: w.args }, site: world.site, opened, problem, began, inForce: world.config(), now: clock(world) });
  if (no !== null) return refused(no.reason, no.summary);
  w.target = targetOf(world.config(), request);
  return w.target === null ? refused('not-in-inventory', `${request.target.host}/${request.target.container ?? '-'} is not in the inventory`) : null;
}

/* live: what the host says now. Another incarnation, a wrong figure, an owner's limit: no. As wanted already: touch nothing. */
async function live(w: Walk): Promise<Says> {
  const target = known(w);
  const now = await w.verb.read(target, w.args, deadline(w.signal, READ_MS));
  const objection = w.verb.objection(target, w.args, now);
  if (objection !== null) return refused(objection.reason, objection.summary);
  return w.verb.isWanted(now, w.args) ? done(false, 'it was already as wanted; nothing was touched', {}) : null;
}

/* act: once, under the operation's name. An answer that was lost is asked for; what cannot be found out is unknown. */
async function act(w: Walk): Promise<Says> {
  const target = known(w);
  const said = await w.verb.act(target, w.args, { operation: w.operation, deadlineMs: BEGIN_WITHIN_MS, signal: w.signal });
  if (said.state === 'refused' && said.reason === 'too-late' && (await lostTo(w))) return successor(w);
  if (said.state === 'refused' || said.state === 'failed') return said;
  w.acted = said;
  return null;
}

/* read-back: it is done when the host says so, not when the act says so. */
async function readBack(w: Walk): Promise<Says> {
  const target = known(w);
  const acted = w.acted;
  if (acted === null) throw new Error('nothing was done');
  const until = clock(w.world) + w.verb.readBack.withinMs;
  let trouble: string | null = null;
  for (;;) {
    try {
      if (await isTrueNow(w, target)) {
        if (acted.state === 'done') return acted;
        return decides(w) ? done(true, `${acted.summary}; it is as wanted now`, {}) : acted;
      }
      trouble = null;
    } catch (error) {
      trouble = inWords(error);
    }
    if (clock(w.world) >= until) break;
    await sleep(w.verb.readBack.everyMs, undefined, w.signal === undefined ? {} : { signal: w.signal });
  }
  return unknown(trouble === null ? `${acted.summary}; but it is not so when read back` : `${acted.summary}; it could not be read back: ${trouble}`);
}

/** Whether what can be read back is enough to say that an act of unknown outcome was done: a service that runs does not show that it was restarted. */
const decides = ({ verb }: Walk): boolean => verb.readBack.decides !== false;

async function isTrueNow(w: Walk, target: VerbContext): Promise<boolean> {
  return w.verb.readBack.isTrue(await w.verb.read(target, w.args, deadline(w.signal, READ_MS)), w.args);
}

/** The operation was sealed because somebody else has taken the step over. Claiming the next one decides it: who cannot has lost. */
async function lostTo(w: Walk): Promise<boolean> {
  if (w.claims >= MAX_CLAIMS) return false;
  const next = { ...w, claims: w.claims + 1, operation: operationOf(w.request, w.claims + 1) };
  return (
    (await w.world.audit.intentOf(w.request.incident, stepOf(w.request, next.claims))) !== null ||
    !(await w.world.audit.claim(intentOf(next, next.claims))).claimed
  );
}

/** The outcome belongs to whoever took over: it is waited for, not made. */
async function successor(w: Walk): Promise<EffectOutcome> {
  const until = clock(w.world) + w.verb.limitMs + BEGIN_WITHIN_MS;
  for (;;) {
    const says = await recorded(w);
    if (says !== null) return says;
    if (clock(w.world) >= until) throw new Error(`${w.request.step} was taken over by another effector, which has not said what became of it`);
    await sleep(100, undefined, w.signal === undefined ? {} : { signal: w.signal });
  }
}

/** Writes down how it ended; the first to write is right, and what it wrote is returned. */
async function record(w: Walk, outcome: EffectOutcome): Promise<EffectOutcome> {
  const { world, request } = w;
  await world.failpoint?.('before:record');
  const summary = outcome.summary.slice(0, 2000);
  const first = await world.audit.claim({
    v: 1,
    at: new Date(clock(world)).toISOString(),
    site: world.site,
    by: 'effector',
    incident: request.incident,
    fact: 'outcome',
    step: request.step,
    verb: request.verb,
    operation: w.operation,
    state: outcome.state,
    changed: outcome.state === 'done' && outcome.changed,
    tookMs: Math.max(0, clock(world) - w.startedAt),
    summary,
    data: outcome.state === 'done' ? outcome.data : {},
    ...(outcome.state === 'refused' ? { reason: outcome.reason } : {}),
  });
  await world.failpoint?.('after:record');
  if (first.claimed) return { ...outcome, summary };
  const said = await recorded(w);
  if (said === null) throw new Error(`the outcome of ${request.incident}.${request.step} is recorded, but cannot be read`);
  return said;
}

function outcomeIn(r: AuditOf<'outcome'>): EffectOutcome {
  switch (r.state) {
    case 'done':
      return { state: 'done', changed: r.changed, summary: r.summary, data: r.data };
    case 'refused':
      return { state: 'refused', reason: r.reason ?? 'facts-unreadable', summary: r.summary };
    default:
      return { state: r.state, summary: r.summary };
  }
}

function intentOf(w: Walk, n: number): AuditOf<'intent'> {
  const { request, world } = w;
  return {
    v: 1,
    at: new Date(clock(world)).toISOString(),
    site: world.site,
    by: 'effector',
    incident: request.incident,
    fact: 'intent',
    step: stepOf(request, n),
    verb: request.verb,
    risk: request.risk,
    target: request.target,
    args: { ...request.args },
    operation: operationOf(request, n),
    plan: w.plan,
    summary: n === 1 ? request.summary : `${request.summary} (claimed anew: ${operationOf(request, n - 1)} was never begun)`,
  };
}

/** The claims of one step: `kill`, then `kill-claim2`. Each has its own operation, `<incident>.<step>`. */
const stepOf = (request: EffectRequest, n: number): string => (n === 1 ? request.step : `${request.step.slice(0, 54)}-claim${n}`);
const operationOf = (request: EffectRequest, n: number): string => `${request.incident}.${stepOf(request, n)}`;

/** Names what is bound: another verb, target or argument is another plan. */
const planOf = ({ incident, step, verb, risk, target, args }: EffectRequest): string =>
  createHash('sha256')
    .update(canonicalize({ incident, step, verb, risk, target, args }) ?? '')
    .digest('hex')
    .slice(0, 32);

function targetOf({ config }: ReadyConfig, { target }: EffectRequest): VerbContext | null {
  if (target.container === undefined || !Object.hasOwn(config.fleet.hosts, target.host)) return null;
  const host = config.fleet.hosts[target.host];
  const container = host !== undefined && Object.hasOwn(host.containers, target.container) ? host.containers[target.container] : undefined;
  return host === undefined || container === undefined ? null : { hostName: target.host, host, containerName: target.container, container };
}

function known(w: Walk): VerbContext {
  if (w.target === null) throw new Error('the target has not been found in the inventory');
  return w.target;
}

const clock = (world: EffectorWorld): number => (world.now ?? Date.now)();
const deadline = (signal: AbortSignal | undefined, ms: number): AbortSignal =>
  signal === undefined ? AbortSignal.timeout(ms) : AbortSignal.any([signal, AbortSignal.timeout(ms)]);
const inWords = (error: unknown): string => (error instanceof Error ? error.message : String(error));
const refused = (reason: Refusal, summary: string): EffectOutcome => ({ state: 'refused', reason, summary });
const unknown = (summary: string): EffectOutcome => ({ state: 'unknown', summary });
const done = (changed: boolean, summary: string, data: Record<string, string | number | boolean>): EffectOutcome => ({ state: 'done', changed, summary, data });

const name = z.string().min(1).max(63);
const requestSchema = z.strictObject({
  incident: z.string().refine(isIncidentId, 'an incident id'),
  problem: z.string().min(1).max(500),
  site: name,
  step: z.string().refine(isToken, 'one token'),
  verb: z.enum(VERB_NAMES),
  risk: z.enum(RISKS),
  target: z.strictObject({ host: name, container: name.optional(), resource: name.optional(), domain: name.optional() }),
  args: z.record(z.string(), z.unknown()),
  summary: z.string().max(2000),
});
