import type { EventKind } from '../../events/event.js';
import { domainProblemId } from '../../events/incident.js';
import type { AcceptedEvent } from '../../workflows/messages.js';
import { siteDomain, type Opening, type Routing } from './route.js';

/*
 * The sieve stands between the stream and the incidents. It does three things, all of them by counting:
 *
 * - A lane per workflow: an event of a lane that has been idle for `coalesceMs` is handed on at once; what follows is gathered and handed on together,
 *   a batch each `coalesceMs` at most. So one event costs no time, and twenty thousand cost a few signals.
 * - The hold: the first new problem opens at once. While new problems keep coming (`holdQuietMs` apart at most) they are held, for `holdMaxMs` at most;
 *   then it is known whether they were a few or a storm.
 * - The storm brake: distinct hosts that failed within the window, per failure domain. When a new problem would open in a domain where the brake has
 *   tripped, the domain gets one incident instead: an incident of the same burst is promoted where there is one, so that it stops what it does.
 *
 * State machine of a new problem:  arrive -> [domain has an incident: its lane] | [hold is on: held -> released] | [brake trips: storm] | open.
 */

/** The figures of policy that the sieve works by. */
export interface SieveKnobs {
  coalesceMs: number;
  windowMs: number;
  minHosts: number;
  share: number;
  holdQuietMs: number;
  holdMaxMs: number;
  /** Hosts in each failure domain, the site among them. */
  sizes: ReadonlyMap<string, number>;
  site: string;
  /** Held problems beyond this are released at once. */
  maxHeld: number;
  /** Hosts named in one batch at most. */
  maxMembers: number;
}

/** Events handed on together. */
export interface Batch {
  /** Sequences in EVT: what is to be acknowledged when the batch has been accepted. */
  seqs: number[];
  count: number;
  kinds: Partial<Record<EventKind, number>>;
  first: AcceptedEvent;
  last: AcceptedEvent;
  /** The newest of each kind, oldest first. */
  latest: AcceptedEvent[];
  /** Hosts, when the batch is for a domain's incident. */
  members?: string[];
}

/** An event on its way through the sieve. Several sequences when it stands for others that were handed back. */
export interface Sifted {
  seqs: number[];
  event: AcceptedEvent;
  atMs: number;
  routing: Routing;
}

export type SieveInput =
  | { type: 'event'; item: Sifted }
  /** Counts for the brake only: read again from the stream after a restart. */
  | { type: 'seen'; item: Pick<Sifted, 'atMs' | 'routing'> }
  /** An incident that was open before we started. */
  | { type: 'known'; workflow: string; host: string | null; domains: readonly string[]; domain: string | null; atMs: number }
  | { type: 'ended'; workflow: string }
  | { type: 'knobs'; knobs: SieveKnobs }
  | { type: 'tick' }
  /** Hands on everything now: before the end. */
  | { type: 'flush' };

export type SieveOutput =
  /** Of nobody's concern. */
  | { do: 'ack'; seqs: number[] }
  /** A new incident; the batch begins with its trigger. */
  | { do: 'open'; workflow: string; opening: Opening; batch: Batch }
  /** Events for an incident that is open, or was a moment ago. */
  | { do: 'observe'; workflow: string; batch: Batch }
  /** The workflow becomes the domain's. */
  | { do: 'storm'; workflow: string; domain: string; members: string[]; opening: Opening; batch: Batch }
  /** A domain's incident begins; `host` is where its trigger was seen. */
  | { do: 'open-domain'; workflow: string; domain: string; members: string[]; opening: Opening; batch: Batch };

interface Lane {
  handedAt: number;
  waiting: Batch | null;
}
interface Held {
  opening: Opening;
  routing: Routing;
  batch: Batch;
}
interface Burst {
  at: number;
  domains: readonly string[];
}

/** Owned by whoever holds it; changed in place by `sieve` and by nothing else. */
export interface SieveState {
  knobs: SieveKnobs;
  lanes: Map<string, Lane>;
  /** Per domain: when each host last failed, by the server's clock. */
  failing: Map<string, Map<string, number>>;
  /** The newest such time: a backlog is judged by its own time, not by ours. */
  newestAt: number;
  /** Incidents that began within the window: what a storm may promote. */
  burst: Map<string, Burst>;
  /** Domain -> the workflow that is its incident. */
  domains: Map<string, string>;
  held: Map<string, Held>;
  heldSince: number;
  heldLast: number;
  openedAt: number;
}

export const createSieve = (knobs: SieveKnobs): SieveState => ({
  knobs,
  lanes: new Map(),
  failing: new Map(),
  newestAt: 0,
  burst: new Map(),
  domains: new Map(),
  held: new Map(),
  heldSince: 0,
  heldLast: 0,
  openedAt: Number.NEGATIVE_INFINITY,
});

const MAX_BURST = 1_000;

/**
 * One step. The same state, input and time give the same output; no clock, no I/O. The state handed in is consumed: go on with the one returned.
 * `places`: in how many batches each sequence of the event will be handed on (or is acknowledged, once).
 */
export function sieve(state: SieveState, input: SieveInput, now: number): { state: SieveState; output: SieveOutput[]; places: number } {
  const output: SieveOutput[] = [];
  let places = 0;
  switch (input.type) {
    case 'event':
      places = take(state, input.item, now, output);
      break;
    case 'seen':
      if (input.item.routing.failing) countFailing(state, input.item.routing, input.item.atMs);
      break;
    case 'known':
      if (input.domain !== null) state.domains.set(input.domain, input.workflow);
      remember(state, input.workflow, { at: input.atMs, domains: input.domains });
      break;
    case 'ended':
      forget(state, input.workflow);
      break;
    case 'knobs':
      state.knobs = input.knobs;
      break;
    case 'tick':
      if (holdIsOver(state, now)) release(state, now, output);
      flushLanes(state, now, output, false);
      tidy(state, now);
      break;
    case 'flush':
      if (state.held.size > 0) release(state, now, output);
      flushLanes(state, now, output, true);
      break;
  }
  return { state, output, places };
}

/** When the next tick is due; null: not before something arrives. */
export function nextDue(state: SieveState): number | null {
  let due = state.held.size === 0 ? Number.POSITIVE_INFINITY : Math.min(state.heldLast + state.knobs.holdQuietMs, state.heldSince + state.knobs.holdMaxMs);
  for (const lane of state.lanes.values()) {
    // Lanes that only wait to be forgotten are not worth a wake-up.
    if (lane.waiting !== null) due = Math.min(due, lane.handedAt + state.knobs.coalesceMs);
  }
  return due === Number.POSITIVE_INFINITY ? null : due;
}

function take(state: SieveState, item: Sifted, now: number, output: SieveOutput[]): number {
  const { routing } = item;
  if (routing.failing) countFailing(state, routing, item.atMs);
  const domainIncident = routing.failing || routing.recovering ? routing.domains.map((d) => state.domains.get(d)).find((w) => w !== undefined) : undefined;
  let places = routing.signals.length;
  for (const workflow of routing.signals) toLane(state, workflow, batchOf(item), now, output);

  const opens = routing.opens;
  const held = opens === null ? undefined : state.held.get(opens.problem);
  if (held !== undefined) {
    held.batch = joined(held.batch, batchOf(item), state.knobs.maxMembers);
    places += 1;
  } else if (domainIncident !== undefined) {
    // What the domain's incident is told by name, it is not told a second time as one of its members.
    if (!routing.signals.includes(domainIncident)) {
      toLane(state, domainIncident, batchOf(item, routing.host), now, output);
      places += 1;
    }
  } else if (opens !== null) {
    places += 1;
    const fresh = { opening: opens, routing, batch: batchOf(item) };
    if (routing.failing && routing.domains.some((domain) => canTrip(state, domain))) arrive(state, fresh, now, output);
    else open(state, fresh, now, output);
  }
  if (places > 0) return places;
  output.push({ do: 'ack', seqs: item.seqs });
  return 1;
}

/** A new problem of a member that fails. */
function arrive(state: SieveState, held: Held, now: number, output: SieveOutput[]): void {
  const holding = state.held.size > 0 || now - state.openedAt < state.knobs.holdQuietMs;
  if (state.held.size === 0) state.heldSince = now;
  state.held.set(held.opening.problem, held);
  state.heldLast = now;
  if (!holding || state.held.size >= state.knobs.maxHeld) release(state, now, output);
}

const holdIsOver = (state: SieveState, now: number): boolean =>
  state.held.size > 0 && (now >= state.heldLast + state.knobs.holdQuietMs || now >= state.heldSince + state.knobs.holdMaxMs);

/** Decides for all problems held: one incident for each domain whose brake has tripped, an incident of its own for each other. */
function release(state: SieveState, now: number, output: SieveOutput[]): void {
  const held = [...state.held.values()];
  state.held.clear();
  const groups = new Map<string, Held[]>();
  for (const one of held) {
    const domain = stormOf(state, one.routing.domains);
    if (domain === null) open(state, one, now, output);
    else groups.set(domain, [...(groups.get(domain) ?? []), one]);
  }
  for (const [domain, ones] of groups) storm(state, domain, ones, now, output);
}

/** A smaller domain that holds this share of all hosts that fail names the trouble better than the site does: one stray host elsewhere changes nothing. */
const MOST = 0.8;
/** Incidents that began this long ago at most belong to the burst that trips the brake; an older one has a cause of its own, and its own work to do. */
const BURST_MS = 10_000;

/**
 * The domain whose trouble this is, or null: the smallest whose brake has tripped. When the whole site's has, it is the site's, unless one
 * smaller domain holds most of the hosts that fail.
 */
function stormOf(state: SieveState, domains: readonly string[]): string | null {
  const site = siteDomain(state.knobs.site);
  const failingInSite = failingMembers(state, site).length;
  const bySize = domains.filter((d) => d !== site).sort((a, b) => (state.knobs.sizes.get(a) ?? 0) - (state.knobs.sizes.get(b) ?? 0));
  const tripped = bySize.filter((d) => hasTripped(state, d));
  if (hasTripped(state, site)) return tripped.find((d) => failingMembers(state, d).length >= MOST * failingInSite) ?? site;
  return tripped[0] ?? null;
}

const hasTripped = (state: SieveState, domain: string): boolean => failingMembers(state, domain).length >= tripsAt(state, domain);

/** A domain with fewer hosts than it takes (a fleet of one) has no storms: there is nothing to hold a problem back for. */
const canTrip = (state: SieveState, domain: string): boolean => tripsAt(state, domain) <= (state.knobs.sizes.get(domain) ?? 0);

const tripsAt = ({ knobs: { minHosts, share, sizes } }: SieveState, domain: string): number => Math.max(minHosts, Math.ceil(share * (sizes.get(domain) ?? 0)));

function storm(state: SieveState, domain: string, held: Held[], now: number, output: SieveOutput[]): void {
  const first = held[0];
  if (first === undefined) return;
  const batch = held.slice(1).reduce((all, one) => joined(all, membered(one), state.knobs.maxMembers), membered(first));
  const members = failingMembers(state, domain).slice(0, state.knobs.maxMembers);
  const known = state.domains.get(domain);
  // The oldest of the burst: it has done most, and is the first that must stop.
  const promoted = known ?? [...state.burst].filter(([, b]) => b.domains.includes(domain) && now - b.at <= BURST_MS).sort((a, b) => a[1].at - b[1].at)[0]?.[0];
  state.openedAt = now;
  if (promoted !== undefined) {
    state.domains.set(domain, promoted);
    // Who failed before, the promoted incident's own host among them, is named with the rest.
    const all = { ...joinedWaiting(state, promoted, batch), members };
    state.lanes.set(promoted, { handedAt: now, waiting: null });
    output.push({ do: 'storm', workflow: promoted, domain, members, opening: first.opening, batch: all });
    return;
  }
  // Named by the bridge; until it has answered, the domain's own problem stands for its workflow.
  const workflow = domainProblemId(state.knobs.site, domain);
  state.domains.set(domain, workflow);
  remember(state, workflow, { at: now, domains: [...new Set([domain, siteDomain(state.knobs.site)])] });
  const all = joinedWaiting(state, workflow, batch);
  state.lanes.set(workflow, { handedAt: now, waiting: null });
  output.push({ do: 'open-domain', workflow, domain, members, opening: first.opening, batch: all });
}

function open(state: SieveState, { opening, routing, batch }: Held, now: number, output: SieveOutput[]): void {
  const workflow = opening.problem;
  if (routing.failing) {
    state.openedAt = now;
    remember(state, workflow, { at: now, domains: routing.domains });
  }
  const all = joinedWaiting(state, workflow, batch);
  state.lanes.set(workflow, { handedAt: now, waiting: null });
  output.push({ do: 'open', workflow, opening, batch: all });
}

function toLane(state: SieveState, workflow: string, batch: Batch, now: number, output: SieveOutput[]): void {
  const lane = state.lanes.get(workflow);
  if (lane === undefined || (lane.waiting === null && now - lane.handedAt >= state.knobs.coalesceMs)) {
    state.lanes.set(workflow, { handedAt: now, waiting: null });
    output.push({ do: 'observe', workflow, batch });
  } else {
    lane.waiting = lane.waiting === null ? batch : joined(lane.waiting, batch, state.knobs.maxMembers);
  }
}

function flushLanes(state: SieveState, now: number, output: SieveOutput[], all: boolean): void {
  for (const [workflow, lane] of state.lanes) {
    if (!all && now - lane.handedAt < state.knobs.coalesceMs) continue;
    if (lane.waiting === null) {
      state.lanes.delete(workflow);
    } else {
      output.push({ do: 'observe', workflow, batch: lane.waiting });
      state.lanes.set(workflow, { handedAt: now, waiting: null });
    }
  }
}

/** What waited in the lane goes along, so that nothing is lost and nothing older comes after it. */
function joinedWaiting(state: SieveState, workflow: string, batch: Batch): Batch {
  const lane = state.lanes.get(workflow);
  if (lane?.waiting == null) return batch;
  const all = joined(lane.waiting, batch, state.knobs.maxMembers);
  lane.waiting = null;
  return all;
}

function countFailing(state: SieveState, routing: Routing, atMs: number): void {
  state.newestAt = Math.max(state.newestAt, atMs);
  for (const domain of routing.domains) {
    const hosts = state.failing.get(domain) ?? new Map<string, number>();
    hosts.set(routing.host, Math.max(atMs, hosts.get(routing.host) ?? 0));
    state.failing.set(domain, hosts);
  }
}

function failingMembers(state: SieveState, domain: string): string[] {
  const since = state.newestAt - state.knobs.windowMs;
  return [...(state.failing.get(domain) ?? [])].filter(([, at]) => at >= since).map(([host]) => host);
}

function remember(state: SieveState, workflow: string, burst: Burst): void {
  state.burst.set(workflow, burst);
  const oldest = state.burst.keys().next();
  if (state.burst.size > MAX_BURST && oldest.done !== true) state.burst.delete(oldest.value);
}

function forget(state: SieveState, workflow: string): void {
  state.burst.delete(workflow);
  for (const [domain, of] of state.domains) {
    if (of === workflow) state.domains.delete(domain);
  }
}

/** What the window has left behind. Members are bounded by the inventory, the rest by this. */
function tidy(state: SieveState, now: number): void {
  const since = state.newestAt - state.knobs.windowMs;
  for (const [domain, hosts] of state.failing) {
    for (const [host, at] of hosts) if (at < since) hosts.delete(host);
    if (hosts.size === 0) state.failing.delete(domain);
  }
  for (const [workflow, burst] of state.burst) if (now - burst.at > state.knobs.windowMs) state.burst.delete(workflow);
}

function batchOf(item: Sifted, member?: string): Batch {
  return {
    seqs: [...item.seqs],
    count: Math.max(1, item.seqs.length),
    kinds: { [item.event.kind]: Math.max(1, item.seqs.length) },
    first: item.event,
    last: item.event,
    latest: [item.event],
    ...(member === undefined ? {} : { members: [member] }),
  };
}

const membered = (held: Held): Batch => ({ ...held.batch, members: [held.routing.host] });

/** `into` is consumed. */
function joined(into: Batch, more: Batch, maxMembers: number): Batch {
  for (const seq of more.seqs) into.seqs.push(seq);
  into.count += more.count;
  for (const [kind, n] of Object.entries(more.kinds) as [EventKind, number][]) into.kinds[kind] = (into.kinds[kind] ?? 0) + n;
  into.last = more.last.seq >= into.last.seq ? more.last : into.last;
  into.first = more.first.seq < into.first.seq ? more.first : into.first;
  const newest = new Map(into.latest.map((e) => [e.kind, e]));
  for (const e of more.latest) if (e.seq >= (newest.get(e.kind)?.seq ?? 0)) newest.set(e.kind, e);
  into.latest = [...newest.values()].sort((a, b) => a.seq - b.seq);
  if (into.members !== undefined || more.members !== undefined) {
    into.members = [...new Set([...(into.members ?? []), ...(more.members ?? [])])].slice(0, maxMembers);
  }
  return into;
}
