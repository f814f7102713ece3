import type { PubAck } from '@nats-io/jetstream';
import { z } from 'zod';
import { MAX_EVENT_BYTES } from '../events/envelope.js';
import { event as eventSchema, type NightshiftEvent } from '../events/event.js';
import { eventSubject } from '../events/subjects.js';
import { jetstream, JetStreamApiError, type NatsConnection } from './nats.js';
import type { Spool, SpoolEntry } from './spool.js';

/**
 * Publishes events so that none is lost: an event is on this machine's disk before `publish` resolves, and leaves it only when the stream has
 * answered that it is stored (PubAck). Until then it is sent again, with the same Nats-Msg-Id, through server restarts, a full stream and our own
 * death. Sent is a request whose reply is the PubAck: core `publish` is dropped silently when the connection breaks, and a request needs no
 * JetStream permission, so it works for agents, who reach the stream through a service import.
 */
export interface EventPublisher {
  /** Resolves when all events are on disk. Rejects with InvalidEvent, SpoolFull or SpoolWriteFailed: then none of them is. */
  publish(events: readonly NightshiftEvent[]): Promise<void>;
  status(): PublisherStatus;
  /** Sends what there is for at most `deadlineMs`, then closes the spool. What did not leave stays on disk: `left` of them. */
  close(deadlineMs: number): Promise<{ left: number }>;
}

export interface PublisherStatus {
  connected: boolean;
  /** Sent and not answered yet. */
  inFlight: number;
  /** Answered by the stream since the start. */
  acknowledged: number;
  /** Attempts that were answered with an error or not at all. */
  failedAttempts: number;
  /** Why nothing leaves at the moment, or null. */
  holdUp: string | null;
}

/** The part of a pino logger that is used. */
export interface PublisherLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface EventPublisherOptions {
  /** A connection, or the promise of one: events are spooled meanwhile. */
  nc: NatsConnection | Promise<NatsConnection>;
  spool: Spool;
  log: PublisherLog;
}

/** The event is not one, or its parts contradict each other. Trying again does not help. */
export class InvalidEvent extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'InvalidEvent';
  }
}

/** The stream did not say within the deadline that it has the event. It may have it: publishing it again with the same id is safe. */
export class NotAcknowledged extends Error {
  constructor(id: string, subject: string, afterMs: number, cause: unknown) {
    super(`event ${id} on ${subject} was not acknowledged within ${afterMs} ms: ${saw(cause)}; publish it again with the same id`, { cause });
    this.name = 'NotAcknowledged';
  }
}

/** So many are on their way at once: fills the line to a distant server, and bounds what a crash sends twice. */
const WINDOW = 256;
/** A healthy server answers in milliseconds; a disk that syncs slowly, in tenths of a second. */
const ACK_TIMEOUT_MS = 5_000;
/** After a refusal or silence: a quarter of a second, doubled up to half a minute, each less up to a quarter, so that a fleet does not return in step. */
const BACKOFF_FIRST_MS = 250;
const BACKOFF_MOST_MS = 30_000;
/** A hold-up that lasts is said again this often. */
const HOLD_UP_AGAIN_MS = 60_000;

export function openEventPublisher({ nc: connection, spool, log }: EventPublisherOptions): EventPublisher {
  const inFlight = new Set<SpoolEntry>();
  /** Taken from the spool, failed at least once, to be sent before anything newer. */
  let again: SpoolEntry[] = [];
  const attempts = new WeakMap<SpoolEntry, number>();
  const counts = { acknowledged: 0, failedAttempts: 0 };
  let connected = false;
  let failuresInARow = 0;
  let notBefore = 0;
  let holdUp: { why: string; saidAt: number } | null = null;
  let closing = false;
  let gone = false;

  // One sleeper: the sending loop. `wake` is cheap and may be called at any time.
  let wakeLoop: (() => void) | null = null;
  let woken = false;
  const wake = (): void => {
    woken = true;
    wakeLoop?.();
  };
  const sleep = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      if (woken) {
        resolve();
        return;
      }
      const timer = ms === Infinity ? null : setTimeout(done, ms);
      function done(): void {
        if (timer !== null) clearTimeout(timer);
        wakeLoop = null;
        resolve();
      }
      wakeLoop = done;
    });

  /** What is in flight when the connection breaks will not be answered, so nobody waits for its timeout. A set, not a promise to race: that would keep every event ever sent. */
  const lost = new Set<(error: Error) => void>();
  const breakAll = (why: string): void => {
    for (const reject of lost) reject(new Error(why));
    lost.clear();
  };

  async function followConnection(nc: NatsConnection): Promise<void> {
    connected = !nc.isClosed();
    wake();
    for await (const status of nc.status()) {
      if (status.type === 'disconnect') {
        connected = false;
        breakAll('the connection broke');
      } else if (status.type === 'reconnect') {
        connected = true;
        failuresInARow = 0;
        notBefore = 0;
        wake();
      }
    }
    connected = false;
    gone = true;
    breakAll('the connection is closed');
    wake();
  }

  async function attempt(nc: NatsConnection, js: ReturnType<typeof jetstream>, entry: SpoolEntry): Promise<void> {
    inFlight.add(entry);
    const tries = (attempts.get(entry) ?? 0) + 1;
    attempts.set(entry, tries);
    const { subject, body, id } = unpack(entry.text);
    let giveUp: ((error: Error) => void) | null = null;
    try {
      const ack = await new Promise<PubAck>((resolve, reject) => {
        giveUp = reject;
        lost.add(reject);
        js.publish(subject, body, { msgID: id, timeout: ACK_TIMEOUT_MS }).then(resolve, reject);
      });
      inFlight.delete(entry);
      spool.acknowledge(entry.seq);
      counts.acknowledged += 1;
      // Nobody has sent this one before, yet the stream knows its id: somebody else used it, and an event of ours was suppressed.
      if (ack.duplicate && tries === 1 && !entry.recovered)
        log.error(
          { alarm: 'duplicate-on-first-attempt', id, subject, seq: ack.seq },
          'the stream already knew the id of a new event: this event was suppressed',
        );
      if (holdUp !== null) {
        log.info({ after: holdUp.why, pending: spool.status().pending }, 'events leave again');
        holdUp = null;
      }
      failuresInARow = 0;
    } catch (error) {
      inFlight.delete(entry);
      again.push(entry);
      counts.failedAttempts += 1;
      if (!nc.isClosed() && connected) backOff(error);
    } finally {
      if (giveUp !== null) lost.delete(giveUp);
    }
    wake();
  }

  /** Many fail together when one thing is wrong: they are one failure, and wait once. */
  function backOff(error: unknown): void {
    const now = Date.now();
    if (now >= notBefore) {
      const most = Math.min(BACKOFF_MOST_MS, BACKOFF_FIRST_MS * 2 ** failuresInARow);
      notBefore = now + most * (0.75 + Math.random() * 0.25);
      failuresInARow += 1;
    }
    const why = saw(error);
    if (holdUp === null || now - holdUp.saidAt > HOLD_UP_AGAIN_MS) {
      holdUp = { why, saidAt: now };
      log.warn({ why, pending: spool.status().pending, retryInMs: Math.round(notBefore - now) }, 'events are not accepted; they are kept and sent again');
    }
  }

  async function sendForEver(nc: NatsConnection): Promise<void> {
    const js = jetstream(nc);
    void followConnection(nc);
    while (!gone && !(closing && inFlight.size === 0 && spool.status().pending === 0)) {
      woken = false;
      const wait = notBefore - Date.now();
      if (!connected || inFlight.size >= WINDOW) {
        await sleep(Infinity);
        continue;
      }
      if (wait > 0) {
        await sleep(wait);
        continue;
      }
      const room = WINDOW - inFlight.size;
      again.sort((a, b) => a.seq - b.seq);
      const batch = again.slice(0, room);
      again = again.slice(room);
      try {
        if (batch.length < room) batch.push(...(await spool.take(room - batch.length)));
      } catch (error) {
        // The disk does not give back what it was given; it may in a while.
        backOff(error);
      }
      for (const entry of batch) void attempt(nc, js, entry);
      if (batch.length === 0) await sleep(notBefore > Date.now() ? notBefore - Date.now() : Infinity);
    }
  }

  const connecting = Promise.resolve(connection);
  const sending = connecting.then(sendForEver).catch((error: unknown) => {
    holdUp = { why: saw(error), saidAt: Date.now() };
    log.error({ why: saw(error) }, 'sending events has stopped; they stay on disk');
  });

  return {
    publish: async (events) => {
      if (closing) throw new Error('the publisher is closed');
      await spool.append(events.map((e) => pack(e)));
      wake();
    },
    status: () => ({ connected, inFlight: inFlight.size, ...counts, holdUp: holdUp?.why ?? (connected ? null : 'no connection') }),
    close: async (deadlineMs) => {
      closing = true;
      notBefore = 0;
      wake();
      let timer: NodeJS.Timeout | undefined;
      await Promise.race([
        sending,
        new Promise((resolve) => {
          timer = setTimeout(resolve, deadlineMs);
        }),
      ]);
      clearTimeout(timer);
      gone = true;
      wake();
      const { pending } = spool.status();
      await spool.close();
      if (pending > 0) log.warn({ left: pending }, 'closed before everything left; it stays on disk and is sent at the next start');
      return { left: pending };
    },
  };
}

/** Publishes one event without a spool, again and again with its id until it is acknowledged or the deadline passes. For the command line. */
export async function publishOnce(
  nc: NatsConnection,
  event: NightshiftEvent,
  { deadlineMs = 10_000 } = {},
): Promise<{ subject: string; seq: number; duplicate: boolean }> {
  const { subject, body, id } = unpack(pack(event));
  const js = jetstream(nc);
  const end = Date.now() + deadlineMs;
  for (let tries = 0; ; tries += 1) {
    const left = end - Date.now();
    try {
      const { seq, duplicate } = await js.publish(subject, body, { msgID: id, timeout: Math.max(1, Math.min(left, ACK_TIMEOUT_MS)) });
      return { subject, seq, duplicate: duplicate && tries === 0 };
    } catch (cause) {
      const pause = BACKOFF_FIRST_MS * 2 ** Math.min(tries, 4);
      if (nc.isClosed() || Date.now() + pause >= end) throw new NotAcknowledged(id, subject, deadlineMs, cause);
      await new Promise((resolve) => {
        setTimeout(resolve, pause);
      });
    }
  }
}

/** `<subject> <event as JSON>`: what lies in the spool. Everything that can be wrong with an event is found here, before it is promised to be kept. */
function pack(event: NightshiftEvent): string {
  const parsed = eventSchema.safeParse(event);
  if (!parsed.success) throw new InvalidEvent(`not an event: ${z.prettifyError(parsed.error)}`);
  const e = parsed.data;
  const [nothing, site, host, ...more] = e.source.split('/');
  if (nothing !== '' || site === undefined || host === undefined || more.length > 0)
    throw new InvalidEvent(`event ${e.id}: its source is ${JSON.stringify(e.source)}, not /<site>/<host>`);
  if (e.data.host !== host) throw new InvalidEvent(`event ${e.id}: its source names host ${host}, its data ${e.data.host}`);
  const body = JSON.stringify(e);
  if (Buffer.byteLength(body) > MAX_EVENT_BYTES)
    throw new InvalidEvent(`event ${e.id} has ${Buffer.byteLength(body)} bytes; at most ${MAX_EVENT_BYTES} are read`);
  return `${eventSubject(site, host, e.type)} ${body}`;
}

function unpack(text: string): { subject: string; body: string; id: string } {
  const space = text.indexOf(' ');
  const body = text.slice(space + 1);
  return { subject: text.slice(0, space), body, id: (JSON.parse(body) as { id: string }).id };
}

function saw(error: unknown): string {
  if (error instanceof JetStreamApiError) return `${error.message} (JetStream error ${error.code})`;
  return error instanceof Error ? error.message : String(error);
}
