import {
  AckPolicy,
  DeliverPolicy,
  DiscardPolicy,
  JetStreamApiError,
  RetentionPolicy,
  StorageType,
  jetstreamManager,
  type ConsumerConfig,
  type StreamConfig,
} from '@nats-io/jetstream';
import type { NatsConnection } from 'nats';
import { BRIDGE_CONSUMER, DUPLICATE_WINDOW_MINUTES, STREAMS, type StreamSpec } from '../events/streams.js';

const SECOND = 1_000_000_000;
const NO_SUCH = new Set([10059, 10014]);

/** How a stream is kept. No rollup, no schedules, no per-message lifetime: each of them lets a publisher take away what others wrote. */
export function streamConfig(spec: StreamSpec): WithName {
  return {
    name: spec.name,
    subjects: [...spec.subjects],
    retention: RetentionPolicy.Limits,
    storage: StorageType.File,
    discard: DiscardPolicy.New,
    max_bytes: spec.maxBytes,
    max_age: spec.maxAgeDays * 86_400 * SECOND,
    max_msg_size: spec.maxMessageBytes,
    duplicate_window: Math.min(DUPLICATE_WINDOW_MINUTES * 60, spec.maxAgeDays === 0 ? Infinity : spec.maxAgeDays * 86_400) * SECOND,
    deny_delete: spec.denyDelete,
    deny_purge: spec.denyDelete,
    allow_rollup_hdrs: false,
    allow_direct: true,
    num_replicas: 1,
  };
}
type WithName = Partial<StreamConfig> & { name: string };

/**
 * `max_ack_pending` is the backpressure: the engine is handed no more than it has not yet answered for. It gathers for a quarter of a second, so this
 * is also four times that many events a second for one incident: at 1,000 the sieve would be the bottleneck. Deliveries are not counted (`max_deliver` -1):
 * what is poison is decided by the engine, which writes a dead letter first.
 */
export const BRIDGE: Partial<ConsumerConfig> & { durable_name: string } = {
  durable_name: BRIDGE_CONSUMER,
  ack_policy: AckPolicy.Explicit,
  deliver_policy: DeliverPolicy.All,
  ack_wait: 30 * SECOND,
  max_ack_pending: 5000,
  max_deliver: -1,
};

/** Leaves the four streams and the engine's consumer as they should be, whatever there was. What lies in them is not touched. */
export async function provision(nc: NatsConnection): Promise<void> {
  const jsm = await jetstreamManager(nc, { checkAPI: false, timeout: 10_000 });
  for (const spec of STREAMS) {
    const wanted = streamConfig(spec);
    const found = await unlessMissing(jsm.streams.info(spec.name));
    if (found === null) await jsm.streams.add(wanted);
    else if (differs(found.config, wanted)) await jsm.streams.update(spec.name, wanted);
  }
  const consumer = await unlessMissing(jsm.consumers.info('EVT', BRIDGE_CONSUMER));
  if (consumer === null) await jsm.consumers.add('EVT', BRIDGE);
  else if (differs(consumer.config, BRIDGE)) await jsm.consumers.update('EVT', BRIDGE_CONSUMER, BRIDGE);
}

/**
 * Shuts or opens the door for new events. A stream of at most one byte refuses every message (`discard: new`) and keeps what it has, so that publishers
 * hear of it and spool, while what runs can go on writing its audit.
 */
export async function setIntake(nc: NatsConnection, open: boolean): Promise<void> {
  const jsm = await jetstreamManager(nc, { checkAPI: false, timeout: 5_000 });
  await jsm.streams.update('EVT', { max_bytes: open ? STREAMS[0].maxBytes : 1 });
}

async function unlessMissing<T>(asked: Promise<T>): Promise<T | null> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof JetStreamApiError && NO_SUCH.has(error.code)) return null;
    throw error;
  }
}

function differs(found: object, wanted: object): boolean {
  const has = new Map(Object.entries(found));
  return Object.entries(wanted).some(([key, value]) => JSON.stringify(has.get(key) ?? absent(value)) !== JSON.stringify(value));
}
/** The server leaves out what is false or zero. */
const absent = (value: unknown): unknown => (value === false ? false : value === 0 ? 0 : undefined);
