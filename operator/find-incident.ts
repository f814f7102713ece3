import type { AuditLog, Stored } from '../activities/audit-log.js';
import { isIncidentId } from '../events/incident.js';
import { foldIncidents, type Incident } from './incidents.js';

/** Why a word names no incident, or more than one. */
export type NoIncident = { found: null; reason: 'unknown' | 'none-yet' | 'ambiguous'; candidates: string[] };
export type FoundIncident = { found: Incident; records: Stored[] };

/** The incident of an id, of a prefix that only one id has, or of `@latest`. */
export async function findIncident(audit: AuditLog, word: string): Promise<FoundIncident | NoIncident> {
  const candidates = isIncidentId(word) ? [word] : await named(audit, word);
  const [only] = candidates;
  if (only === undefined) return { found: null, reason: word === '@latest' ? 'none-yet' : 'unknown', candidates };
  if (candidates.length > 1) return { found: null, reason: 'ambiguous', candidates };
  const records = await audit.ofIncident(only);
  const [incident] = foldIncidents(records);
  return incident === undefined ? { found: null, reason: 'unknown', candidates: [] } : { found: incident, records };
}

async function named(audit: AuditLog, word: string): Promise<string[]> {
  const ids = [...new Set((await audit.all({ facts: ['opened'] })).map(({ record }) => ('incident' in record ? record.incident : '')))];
  if (word === '@latest') return ids.slice(-1);
  const prefix = word.startsWith('i-') ? word : `i-${word}`;
  return ids.filter((id) => id.startsWith(prefix));
}
