import type { JetStreamManager } from '@nats-io/jetstream';
import { JetStreamApiError } from '@nats-io/jetstream';
import type { EventSummary, Target } from '../../events/audit.js';
import { EVENT_KINDS, type EventKind } from '../../events/event.js';
import type { AcceptedEvent } from '../../workflows/messages.js';
import { acceptEvent, type Inventory } from './accept.js';

const NO_SUCH_MESSAGE = 10037;

/**
 * The event that a record of the audit speaks of, with its figures where EVT still keeps it. Without them the event names its target and no more:
 * a playbook that begins with a look loses nothing.
 */
export async function readEvent(jsm: JetStreamManager, summary: EventSummary, target: Target, inventory: Inventory): Promise<AcceptedEvent> {
  try {
    const stored = await jsm.streams.getMessage('EVT', { seq: summary.seq });
    if (stored !== null) {
      const found = acceptEvent({ subject: stored.subject, payload: stored.data, seq: stored.seq, receivedAtMs: stored.time.getTime() }, inventory, Date.now());
      if ('ok' in found && found.ok.event.id === summary.id) return found.ok.event;
    }
  } catch (error) {
    if (!(error instanceof JetStreamApiError) || error.code !== NO_SUCH_MESSAGE) throw error;
  }
  const kind = EVENT_KINDS.find((k): k is EventKind => k === summary.type);
  if (kind === undefined) throw new Error(`the audit speaks of an event of kind ${JSON.stringify(summary.type)}, which this version does not know`);
  return { ...summary, kind, data: { ...target } as AcceptedEvent['data'] };
}
