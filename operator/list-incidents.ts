import type { AuditLog } from '../activities/audit-log.js';
import type { NatsConnection } from '../activities/nats.js';
import { auditRecord } from '../events/audit.js';
import { foldIncidents, type Incident } from './incidents.js';
import { readStream } from './read-stream.js';
import type { Told } from './timeline.js';

/**
 * Incidents oldest first: all that were heard of since `since`, and all that are open however old they are. Null: all there ever were.
 * The records of one that began before `since` are fetched whole, so that what is said of it is right.
 */
export async function listIncidents(nc: NatsConnection, audit: AuditLog, { since, signal }: { since: Date | null; signal: AbortSignal }): Promise<Incident[]> {
  const records: Told[] = [];
  for await (const lying of readStream(nc, { stream: 'AUDIT', subjects: ['aud.>'], signal, ...(since === null ? {} : { since }) })) {
    const parsed = auditRecord.safeParse(JSON.parse(new TextDecoder().decode(lying.data)));
    if (parsed.success && 'incident' in parsed.data) records.push({ seq: lying.seq, receivedAt: lying.receivedAt, record: parsed.data });
  }
  if (since === null) return foldIncidents(records);

  const heardOf = new Set(records.map(({ record }) => ('incident' in record ? record.incident : '')));
  const begun = new Set(records.flatMap(({ record }) => (record.fact === 'opened' ? [record.incident] : [])));
  const open = (await audit.openProblems()).map(({ record }) => record.incident);
  const older = [...new Set([...heardOf, ...open])].filter((id) => !begun.has(id));
  const whole: Told[] = [];
  for (const id of older) whole.push(...(await audit.ofIncident(id)));
  return foldIncidents([...records, ...whole]);
}
