import type { AuditLog } from '../../activities/audit-log.js';
import type { Records } from '../../activities/records.js';

/** The engine's one local activity: what a workflow decided becomes a record. The key of an append makes a retry of it no second record. */
export const createRecords = (audit: Pick<AuditLog, 'append'>): Records => ({
  async record(key, records) {
    for (const [index, one] of records.entries()) await audit.append(one, { key: `${key}.${index}` });
  },
});
