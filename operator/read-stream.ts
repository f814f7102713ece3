import { jetstream, jetstreamManager, type NatsConnection } from '../activities/nats.js';

/** A message as it lies in a stream. */
export interface Lying {
  seq: number;
  subject: string;
  receivedAt: string;
  data: Uint8Array;
  messageId: string;
}

export interface ReadStream {
  stream: 'EVT' | 'AUDIT' | 'DLQ' | 'ADV';
  subjects: string[];
  since?: Date;
  afterSeq?: number;
  /** Go on after the last message until `signal` aborts. */
  follow?: boolean;
  signal: AbortSignal;
}

/**
 * Messages of a stream in order, by an ephemeral ordered consumer: nothing is acknowledged, nobody else's position moves. Without `follow` it ends with
 * the last message that lay there when it began.
 */
export async function* readStream(nc: NatsConnection, { stream, subjects, since, afterSeq, follow = false, signal }: ReadStream): AsyncIterable<Lying> {
  const consumer = await jetstream(nc, { timeout: 5_000 }).consumers.get(stream, {
    filter_subjects: subjects,
    ...(since === undefined ? {} : { opt_start_time: since.toISOString() }),
    ...(since !== undefined || afterSeq === undefined ? {} : { opt_start_seq: afterSeq + 1 }),
  });
  if (!follow && (await consumer.info(true)).num_pending === 0) {
    await consumer.delete();
    return;
  }
  // An ordered consumer dies with its server. It is missed after two heartbeats, which are a quarter of a minute by default: a person is watching.
  const messages = await consumer.consume({ max_messages: 200, expires: 5_000, idle_heartbeat: 1_000 });
  const stop = (): void => messages.stop();
  signal.addEventListener('abort', stop);
  try {
    // Aborted while it was being made: told to stop rather than left, for what is never iterated is never closed.
    if (signal.aborted) stop();
    for await (const msg of messages) {
      yield {
        seq: msg.seq,
        subject: msg.subject,
        receivedAt: fromNanos(msg.info.timestampNanos),
        data: msg.data,
        messageId: msg.headers?.get('Nats-Msg-Id') ?? '',
      };
      if (!follow && msg.info.pending === 0) return;
    }
  } finally {
    signal.removeEventListener('abort', stop);
    await messages.close();
  }
}

/** One message by its sequence; null when there is none. */
export async function messageAt(nc: NatsConnection, stream: ReadStream['stream'], seq: number): Promise<Lying | null> {
  const manager = await jetstreamManager(nc, { checkAPI: false, timeout: 5_000 });
  const found = await manager.direct.getMessage(stream, { seq });
  if (found === null) return null;
  return { seq: found.seq, subject: found.subject, receivedAt: found.time.toISOString(), data: found.data, messageId: found.header.get('Nats-Msg-Id') };
}

const fromNanos = (nanos: number | bigint): string => new Date(Number(BigInt(nanos) / 1_000_000n)).toISOString();
