import type { ConsumerMessages, JetStreamClient, JetStreamManager, JsMsg } from '@nats-io/jetstream';
import type { Client } from '@temporalio/client';
import type { Stored, AuditLog } from '../../activities/audit-log.js';
import type { ReadyConfig } from '../../config/load.js';
import type { AuditOf } from '../../events/audit.js';
import { BRIDGE_CONSUMER } from '../../events/streams.js';
import type { Log } from '../log.js';
import { temporalTrouble } from '../temporal.js';
import { acceptEvent, type Accepted, type Inventory } from './accept.js';
import { createDeadLetters } from './dead-letters.js';
import { followEnds } from './follow-ends.js';
import { handOn, startAgain, type HandOnWorld } from './hand-on.js';
import { incidentKnobs } from './knobs.js';
import type { BridgeMetrics } from './metrics.js';
import { createOpenProblems, readProblem } from './open-problems.js';
import { patiently } from './patiently.js';
import { readEvent } from './read-event.js';
import { readWindow } from './read-window.js';
import { domainSizes, route, siteDomain } from './route.js';
import { createSieve, nextDue, sieve, type Batch, type SieveInput, type SieveKnobs, type SieveOutput, type Sifted } from './sieve.js';

export interface BridgeWorld {
  js: JetStreamClient;
  jsm: JetStreamManager;
  audit: AuditLog;
  client: Client;
  taskQueue: string;
  /** The configuration in force, and one that was. */
  config(): ReadyConfig;
  configOf(version: string): Promise<ReadyConfig | null>;
  metrics: BridgeMetrics;
  log: Log;
}

export interface Bridge {
  /** Reads what it must know, then begins to pull. */
  start(): Promise<void>;
  /** Intake rests while anybody wants it to. What is held is kept. */
  pause(reason: string): void;
  resume(reason: string): void;
  /** A new configuration is in force. */
  reloaded(): void;
  /** Stops pulling, hands on what is held, answers for it. What cannot be handed on in `withinMs` stays unanswered: the server hands it out again. */
  stop(withinMs: number): Promise<void>;
  state(): BridgeState;
}
export interface BridgeState {
  pulling: boolean;
  paused: string[];
  held: number;
  stalled: number;
  open: number;
  deliveredAtMs: number;
}

/** Handed to us before it is asked for: enough to keep busy over one round trip. The server's `max_ack_pending` bounds what is held in all. */
const PULL = { max_messages: 500 };
const HOLD_QUIET_MS = 250;
const HOLD_MAX_MS = 2_000;
/** A message is kept alive at the server this often while it waits here; its `ack_wait` is 30 s. */
const KEEP_ALIVE_MS = 10_000;
/** Something lies in the stream and nothing has come for this long: the pull has died, as pulls do. */
const NOTHING_CAME_MS = 30_000;
/** A delivery that Temporal refuses is tried this often before it is given up as a dead letter. */
const REFUSED_TRIES = 4;
/** Trouble that lasts this long stops the intake; shorter than that is nobody's business. */
const STALL_MS = 1_000;

interface InFlight {
  msg: JsMsg;
  places: number;
  since: number;
}

/** From EVT to incidents. Everything that decides is elsewhere and pure; here are the message handles, the clock and the order. */
export function createBridge(world: BridgeWorld): Bridge {
  const { js, jsm, audit, log, metrics } = world;
  const site = world.config().config.site;
  const ending = new AbortController();
  const open = createOpenProblems();
  const deadLetters = createDeadLetters({ js, audit, site, log, signal: ending.signal });
  const inFlight = new Map<number, InFlight>();
  const lanes = new Map<string, Promise<void>>();
  const pauses = new Set<string>();
  const troubled = new Set<string>();
  let state = createSieve(knobsOf(world.config()));
  let inventory = inventoryOf(world.config());
  let timer: NodeJS.Timeout | null = null;
  let pull: ConsumerMessages | null = null;
  let pulls: Promise<void> = Promise.resolve();
  let deliveredAtMs = Date.now();
  let started = false;

  const hands: HandOnWorld = {
    audit,
    client: world.client,
    taskQueue: world.taskQueue,
    site,
    heard: new Set(),
    open,
    // A version that is gone is better replaced by the one in force than by nothing: ceilings and names come from the inventory that is true now.
    knobsOf: async ({ config, target }) => incidentKnobs(((await world.configOf(config)) ?? world.config()).config, target),
    readTrigger: (opened) => readEvent(jsm, opened.trigger, opened.target, inventory),
  };

  /* The way of a message. */

  const onMessage = (msg: JsMsg): void => {
    deliveredAtMs = Date.now();
    const known = inFlight.get(msg.seq);
    if (known !== undefined) {
      // The server has grown impatient: the newest handle is the one that counts.
      known.msg = msg;
      return;
    }
    const arrival = {
      subject: msg.subject,
      payload: msg.data,
      seq: msg.seq,
      receivedAtMs: Number(msg.info.timestampNanos / 1_000_000),
      redelivered: msg.info.deliveryCount > 1,
      ...(msg.headers === undefined ? {} : { headers: msg.headers.keys() }),
    };
    const verdict = acceptEvent(arrival, inventory, deliveredAtMs);
    if ('deadLetter' in verdict) {
      metrics.deadLetters.inc({ reason: verdict.deadLetter });
      void deadLetters.put({ subject: msg.subject, seq: msg.seq, payload: msg.data, term: () => msg.term() }, verdict.deadLetter, verdict.detail);
      return;
    }
    metrics.events.inc({ kind: verdict.ok.event.kind });
    inFlight.set(msg.seq, { msg, places: 1, since: deliveredAtMs });
    sift(verdict.ok, [msg.seq]);
  };

  const sift = (accepted: Accepted, seqs: number[]): void => {
    const routing = route(accepted, world.config(), open.ofHost(accepted.host));
    for (const trouble of routing.troubles) log.warn({ trouble, seq: accepted.event.seq }, 'a rule could not be evaluated; it counts as not matching');
    const item: Sifted = { seqs, event: accepted.event, atMs: accepted.receivedAtMs, routing };
    feed({ type: 'event', item });
  };

  const feed = (input: SieveInput): void => {
    const step = sieve(state, input, Date.now());
    state = step.state;
    if (input.type === 'event') {
      for (const seq of input.item.seqs) {
        const one = inFlight.get(seq);
        if (one !== undefined) one.places += step.places - 1;
      }
    }
    for (const output of step.output) dispatch(output);
    const due = nextDue(state);
    if (timer !== null) clearTimeout(timer);
    timer = due === null ? null : setTimeout(() => feed({ type: 'tick' }), Math.max(0, due - Date.now()));
  };

  const dispatch = (output: SieveOutput): void => {
    if (output.do === 'ack') return settle(output.seqs);
    if (output.do === 'open' || output.do === 'open-domain') expect(output.workflow);
    if (output.do === 'storm') metrics.storms.inc();
    const before = lanes.get(output.workflow) ?? Promise.resolve();
    const after = before
      .then(() => deliver(output))
      .finally(() => {
        if (lanes.get(output.workflow) === after) lanes.delete(output.workflow);
      });
    lanes.set(output.workflow, after);
    return undefined;
  };

  /** From the moment that the sieve says open, events of the problem are signals: they wait in its lane, behind the start. */
  const expect = (problem: string): void => {
    const parts = readProblem(problem);
    if (parts !== null && open.get(problem) === undefined)
      open.add({ problem, incident: '', workflow: problem, host: parts.host, aspect: parts.aspect, domain: parts.domain });
  };

  const deliver = async (output: Exclude<SieveOutput, { do: 'ack' }>): Promise<void> => {
    const { batch, workflow } = output;
    try {
      const handed = await patiently(() => handOn(hands, output), {
        what: `${output.do} ${workflow}`,
        log,
        signal: ending.signal,
        judge: (error, attempt) => (isForGood(error) && attempt >= REFUSED_TRIES ? 'rise' : 'again'),
        onWait: (waiting) => trouble(workflow, waiting),
      });
      if (output.do !== 'observe' && open.get(workflow) === undefined) feed({ type: 'ended', workflow });
      if (handed === 'again') return findAnew(workflow, batch);
      metrics.batches.inc({ what: output.do });
      settle(batch.seqs);
    } catch (error) {
      if (ending.signal.aborted) return;
      if (open.get(workflow)?.incident === '') open.remove(workflow);
      log.error(
        { what: output.do, workflow, seqs: batch.seqs.length, error: error instanceof Error ? error.stack : String(error) },
        'events could not be handed on for good',
      );
      for (const seq of batch.seqs) {
        const one = inFlight.get(seq);
        inFlight.delete(seq);
        metrics.deadLetters.inc({ reason: 'handling-failed' });
        if (one !== undefined)
          void deadLetters.put({ subject: one.msg.subject, seq, payload: one.msg.data, term: () => one.msg.term() }, 'handling-failed', String(error));
      }
    }
  };

  /** The incident had ended before its events reached it: the newest of each kind stand for all and are routed once more. */
  const findAnew = (workflow: string, batch: Batch): void => {
    open.remove(workflow);
    feed({ type: 'ended', workflow });
    const anew = batch.latest.flatMap((event) => {
      const msg = inFlight.get(event.seq)?.msg;
      if (msg === undefined) return [];
      const verdict = acceptEvent(
        {
          subject: msg.subject,
          payload: msg.data,
          seq: event.seq,
          receivedAtMs: Number(msg.info.timestampNanos / 1_000_000),
          redelivered: msg.info.deliveryCount > 1,
        },
        inventory,
        Date.now(),
      );
      return 'ok' in verdict ? [verdict.ok] : [];
    });
    const standing = new Set(anew.map((one) => one.event.seq));
    settle(batch.seqs.filter((seq) => !standing.has(seq)));
    for (const accepted of anew) sift(accepted, [accepted.event.seq]);
  };

  const settle = (seqs: readonly number[]): void => {
    for (const seq of seqs) {
      const one = inFlight.get(seq);
      if (one === undefined) continue;
      one.places -= 1;
      if (one.places > 0) continue;
      inFlight.delete(seq);
      one.msg.ack();
    }
  };

  /* Intake. */

  const trouble = (workflow: string, waiting: boolean): void => {
    if (waiting) {
      troubled.add(workflow);
      setTimeout(() => {
        if (troubled.has(workflow)) pause('nobody takes what is handed on');
      }, STALL_MS).unref();
    } else if (troubled.delete(workflow) && troubled.size === 0) resume('nobody takes what is handed on');
  };
  const pause = (reason: string): void => {
    if (pauses.has(reason)) return;
    pauses.add(reason);
    log.warn({ reason }, 'intake rests');
    reconcilePull();
  };
  const resume = (reason: string): void => {
    if (!pauses.delete(reason)) return;
    log.info({ reason, stillPaused: [...pauses] }, 'intake goes on');
    reconcilePull();
  };
  /** Brings the pull in step with what is wanted; one change at a time. */
  const reconcilePull = (recreate = false): void => {
    pulls = pulls
      .then(async () => {
        const wanted = started && pauses.size === 0 && !ending.signal.aborted;
        if (pull !== null && (!wanted || recreate)) {
          const old = pull;
          pull = null;
          await old.close();
        }
        if (wanted && pull === null) {
          pull = await patiently(
            async () => {
              const consumer = await js.consumers.get('EVT', BRIDGE_CONSUMER);
              return consumer.consume({ ...PULL, callback: onMessage });
            },
            { what: 'pull from EVT', log, signal: ending.signal },
          );
          deliveredAtMs = Date.now();
          void tellStatus(pull);
        }
      })
      .catch((error: unknown) => {
        if (!ending.signal.aborted) log.error({ error: String(error) }, 'the pull from EVT could not be changed');
      });
  };
  const tellStatus = async (of: ConsumerMessages): Promise<void> => {
    for await (const status of of.status()) {
      if (/deleted|not_found|missed|exceeded|no_responders/.test(status.type))
        log.warn({ status: JSON.stringify(status).slice(0, 300) }, 'the pull from EVT reports');
    }
  };

  const keepAlive = (): void => {
    const now = Date.now();
    for (const one of inFlight.values()) if (now - one.since >= KEEP_ALIVE_MS) one.msg.working();
    // Lanes and counts that the window has left behind.
    feed({ type: 'tick' });
  };
  const watch = async (): Promise<void> => {
    if (pull === null || Date.now() - deliveredAtMs < NOTHING_CAME_MS) return;
    const info = await jsm.consumers.info('EVT', BRIDGE_CONSUMER);
    metrics.pending.set(info.num_pending);
    const full = info.num_ack_pending >= (info.config.max_ack_pending ?? Number.POSITIVE_INFINITY);
    if (info.num_pending === 0 || full) return;
    log.warn({ pending: info.num_pending }, 'events lie in EVT and none has come for half a minute: pulling anew');
    reconcilePull(true);
  };
  const timers: NodeJS.Timeout[] = [];

  /** What ran before us: open incidents, and who failed within the window. */
  const remember = async (): Promise<void> => {
    const { config } = world.config();
    const problems = await audit.openProblems();
    const byIncident = new Map<string, string>();
    const domains = (host: string | null): string[] => [...(host === null ? [] : (config.fleet.hosts[host]?.domains ?? [])), siteDomain(site)];
    for (const { record } of problems) {
      // A domain's problem that shares its incident with another was first seen as that one: there is its workflow.
      if (readProblem(record.problem)?.domain === null || !byIncident.has(record.incident)) byIncident.set(record.incident, record.problem);
    }
    for (const { record, receivedAt } of problems) {
      const parts = readProblem(record.problem);
      const workflow = byIncident.get(record.incident) ?? record.problem;
      if (parts === null || parts.site !== site) continue;
      open.add({ problem: record.problem, incident: record.incident, workflow, host: parts.host, aspect: parts.aspect, domain: parts.domain });
      feed({
        type: 'known',
        workflow,
        host: parts.host,
        domains: parts.domain === null ? domains(parts.host) : [parts.domain, siteDomain(site)],
        domain: parts.domain,
        atMs: Date.parse(receivedAt),
      });
    }
    const since = Date.now() - state.knobs.windowMs;
    for (const accepted of await readWindow(js, since, inventory)) {
      feed({ type: 'seen', item: { atMs: accepted.receivedAtMs, routing: route(accepted, world.config(), []) } });
    }
    log.info({ open: problems.length, failing: state.failing.get(siteDomain(site))?.size ?? 0 }, 'the sieve knows what was open and who failed');
    void revive(problems.filter(({ record }) => byIncident.get(record.incident) === record.problem));
  };

  /** Incidents that are open by the audit and unknown to Temporal (its file was put back to a copy): started again, as themselves. */
  const revive = async (problems: Stored<AuditOf<'problem'>>[]): Promise<void> => {
    for (const problem of problems) {
      const workflow = problem.record.problem;
      try {
        await patiently(
          async () => {
            if (await runs(world.client, workflow)) return;
            const last = await audit.problem(workflow);
            if (last?.record.status !== 'open' || last.record.incident !== problem.record.incident) return;
            log.warn({ workflow, incident: problem.record.incident }, 'open by the audit, unknown to Temporal: starting it again as the same incident');
            if (!(await startAgain(hands, problem))) open.remove(workflow);
          },
          {
            what: `revive ${workflow}`,
            log,
            signal: ending.signal,
            judge: (error, attempt) => (isForGood(error) && attempt >= REFUSED_TRIES ? 'rise' : 'again'),
          },
        );
      } catch (error) {
        if (!ending.signal.aborted) log.error({ workflow, error: String(error) }, 'an open incident could not be started again');
      }
    }
  };

  const followed = async (): Promise<void> => {
    const from = await audit.lastSeq();
    void followEnds({
      audit,
      afterSeq: from,
      signal: ending.signal,
      log,
      onEnded: (problem, incident) => {
        const one = open.get(problem);
        if (one === undefined || one.incident !== incident) return;
        const shared = open.ofIncident(incident);
        for (const other of shared) open.remove(other.problem);
        feed({ type: 'ended', workflow: one.workflow });
        // The incident stood for its domain too.
        for (const other of shared) if (other.problem !== problem) void endToo(other.problem, incident);
      },
    });
  };
  const endToo = (problem: string, incident: string): Promise<unknown> =>
    patiently(
      () =>
        audit.append(
          { v: 1, at: new Date().toISOString(), site, by: 'engine', fact: 'problem', incident, problem, status: 'ended' },
          { key: `ended.${incident}.${problem}` },
        ),
      {
        what: `the end of ${problem}`,
        log,
        signal: ending.signal,
      },
    ).catch((error: unknown) => log.warn({ problem, error: String(error) }, 'its end is not in the audit; it will be noticed at the next start'));

  return {
    async start() {
      // First follow, then read: an end in between is heard twice rather than never.
      await patiently(followed, { what: 'follow the audit', log, signal: ending.signal });
      await patiently(remember, { what: 'remember what was open', log, signal: ending.signal });
      started = true;
      timers.push(
        setInterval(keepAlive, KEEP_ALIVE_MS),
        setInterval(
          () => void watch().catch((error: unknown) => log.warn({ error: String(error) }, 'the consumer cannot be asked how it is')),
          NOTHING_CAME_MS / 3,
        ),
      );
      reconcilePull();
      await pulls;
    },
    pause,
    resume,
    reloaded() {
      inventory = inventoryOf(world.config());
      feed({ type: 'knobs', knobs: knobsOf(world.config()) });
    },
    async stop(withinMs) {
      started = false;
      for (const one of timers) clearInterval(one);
      reconcilePull();
      await pulls;
      feed({ type: 'flush' });
      if (timer !== null) clearTimeout(timer);
      const done = (async () => {
        while (lanes.size > 0) await Promise.all(lanes.values());
        await deadLetters.flush();
      })();
      let late: NodeJS.Timeout | undefined;
      await Promise.race([
        done,
        new Promise<void>((resolve) => {
          late = setTimeout(resolve, withinMs);
        }),
      ]);
      clearTimeout(late);
      ending.abort();
      if (timer !== null) clearTimeout(timer);
      if (inFlight.size > 0) log.warn({ unanswered: inFlight.size }, 'stopped with events unanswered: the server hands them out again');
    },
    state: () => ({ pulling: pull !== null, paused: [...pauses], held: inFlight.size, stalled: troubled.size, open: open.size, deliveredAtMs }),
  };
}

const inventoryOf = ({ config }: ReadyConfig): Inventory => {
  const hosts = new Set(Object.keys(config.fleet.hosts));
  return { site: config.site, hasHost: (host) => hosts.has(host), eventMaxAgeMs: config.policy.eventMaxAge };
};

const knobsOf = ({ config }: ReadyConfig): SieveKnobs => ({
  coalesceMs: config.policy.coalesce,
  windowMs: config.policy.stormBrake.window,
  minHosts: config.policy.stormBrake.minHosts,
  share: config.policy.stormBrake.share,
  holdQuietMs: HOLD_QUIET_MS,
  holdMaxMs: HOLD_MAX_MS,
  sizes: domainSizes(config),
  site: config.site,
  maxHeld: 5_000,
  maxMembers: 500,
});

/** Asking again will not help: Temporal refuses it as it is, or it cannot be written down. */
const isForGood = (error: unknown): boolean => temporalTrouble(error) === 'refused' || (error instanceof Error && error.name === 'ZodError');

async function runs(client: Client, workflow: string): Promise<boolean> {
  try {
    return (await client.workflow.getHandle(workflow).describe()).status.name === 'RUNNING';
  } catch (error) {
    if (temporalTrouble(error) === 'absent') return false;
    throw error;
  }
}
