import type { EventKind } from '../events/event.js';
import type { Close, EventBatch, IncidentInput, Storm } from './messages.js';

/** What arrived from outside while the incident is open. Counts and the last word only, so that a storm of events does not grow it. */
export interface Inbox {
  lastSeq: number;
  events: number;
  /** Events that say that it is (still) bad; the others say that it is over. */
  failing: number;
  quiet: number;
  members: string[];
  storm: Storm | null;
  close: Close | null;
}

const OVER: ReadonlySet<EventKind> = new Set(['container.failcnt_quiet', 'host.reachable', 'gluster.heal_finished']);
const MAX_MEMBERS = 500;

export const openInbox = (input: IncidentInput): Inbox => ({
  lastSeq: input.trigger.seq,
  events: 1,
  failing: 1,
  quiet: 0,
  members: (input.members ?? []).slice(0, MAX_MEMBERS),
  storm: null,
  close: null,
});

/** Counts a batch. One that is not newer than the last is a repetition (the bridge hands over again what it could not acknowledge) and changes nothing. */
export function takeBatch(inbox: Inbox, batch: EventBatch): void {
  if (batch.lastSeq <= inbox.lastSeq) return;
  inbox.lastSeq = batch.lastSeq;
  inbox.events += batch.count;
  for (const [kind, n] of Object.entries(batch.kinds) as [EventKind, number][]) {
    if (OVER.has(kind)) inbox.quiet += n;
    else inbox.failing += n;
  }
  addMembers(inbox, batch.members ?? []);
}

/** Keeps the first word on a storm, and everybody in it. Storms are counted in the sieve: a repeated one adds nothing. */
export function takeStorm(inbox: Inbox, storm: Storm): void {
  addMembers(inbox, storm.members);
  inbox.storm ??= { domain: storm.domain, members: [], lastSeq: storm.lastSeq };
}

function addMembers(inbox: Inbox, names: readonly string[]): void {
  const known = new Set(inbox.members);
  for (const name of names) if (known.size < MAX_MEMBERS) known.add(name);
  inbox.members = [...known];
}
