import type { AuditLog } from '../activities/audit-log.js';
import type { IncidentState } from '../events/incident.js';
import { ENDED } from '../events/incident.js';
import { foldIncidents } from './incidents.js';
import { toldInOrder, type Told } from './timeline.js';

/**
 * Tells an incident from its beginning: what is known at once, then each record as it comes, each once. Resolves with the state it ended in;
 * null when `signal` aborted before. A restart of NATS in between is waited out.
 */
export async function watchIncident(audit: AuditLog, incident: string, tell: (stored: Told) => void, signal: AbortSignal): Promise<IncidentState | null> {
  const known = await audit.ofIncident(incident);
  for (const stored of toldInOrder(known)) tell(stored);
  const [sofar] = foldIncidents(known);
  if (sofar !== undefined && ENDED.has(sofar.state)) return sofar.state;

  const trigger = openedBy(known);
  let state: IncidentState | null = null;
  let last = known.at(-1)?.seq ?? 0;
  while (!signal.aborted && state === null) {
    for await (const stored of audit.follow({ incident, afterSeq: last, signal })) {
      if (stored.seq <= last) continue;
      last = stored.seq;
      const { record } = stored;
      const repeated = record.fact === 'events' && record.count === 1 && record.first.id === (trigger ?? openedBy([stored]));
      if (!repeated) tell(stored);
      if (record.fact === 'state' && ENDED.has(record.to)) {
        state = record.to;
        break;
      }
    }
  }
  return state;
}

function openedBy(records: readonly Told[]): string | null {
  for (const { record } of records) if (record.fact === 'opened') return record.trigger.id;
  return null;
}
