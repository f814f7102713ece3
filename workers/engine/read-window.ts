import { DeliverPolicy, type JetStreamClient } from '@nats-io/jetstream';
import { acceptEvent, type Accepted, type Inventory } from './accept.js';

/** More of the past than this is not read at a start: the brake needs to know who failed, not how often. */
const MAX_EVENTS = 50_000;

/** The accepted events that the server received since then, oldest first. What was refused once is refused here too, silently: it lies in DLQ already. */
export async function readWindow(js: JetStreamClient, sinceMs: number, inventory: Inventory): Promise<Accepted[]> {
  const found: Accepted[] = [];
  const consumer = await js.consumers.get('EVT', { deliver_policy: DeliverPolicy.StartTime, opt_start_time: new Date(sinceMs).toISOString() });
  try {
    let pending = (await consumer.info(true)).num_pending;
    let read = 0;
    while (pending > 0 && read < MAX_EVENTS) {
      const batch = await consumer.fetch({ max_messages: Math.min(1_000, pending), expires: 5_000 });
      let got = 0;
      for await (const msg of batch) {
        got += 1;
        pending = msg.info.pending;
        const verdict = acceptEvent(
          { subject: msg.subject, payload: msg.data, seq: msg.seq, receivedAtMs: Number(msg.info.timestampNanos / 1_000_000) },
          inventory,
          Date.now(),
        );
        if ('ok' in verdict) found.push(verdict.ok);
        if (pending === 0) break;
      }
      if (got === 0) break;
      read += got;
    }
  } finally {
    await consumer.delete().catch(() => false);
  }
  return found;
}
