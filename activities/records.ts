import type { AuditRecord } from '../events/audit.js';

/** Local activities of the engine: no host is touched, only NATS. */
export interface Records {
  /** Appends records to the audit, in order. Idempotent: `key` names this append for ever, a repeated one is dropped by the stream. */
  record(key: string, records: AuditRecord[]): Promise<void>;
}
