import type { AuditLog } from '../../activities/audit-log.js';
import type { Log } from '../log.js';
import { patiently } from './patiently.js';

/** Tells of each problem that ends, as the audit says so; goes on where it was when the server comes back. Resolves when `signal` aborts. */
export async function followEnds({
  audit,
  afterSeq,
  signal,
  log,
  onEnded,
}: {
  audit: Pick<AuditLog, 'follow'>;
  afterSeq: number;
  signal: AbortSignal;
  log: Log;
  onEnded(problem: string, incident: string): void;
}): Promise<void> {
  let seen = afterSeq;
  await patiently(
    async () => {
      for await (const { seq, record } of audit.follow({ afterSeq: seen, signal })) {
        seen = seq;
        if (record.fact === 'problem' && record.status === 'ended') onEnded(record.problem, record.incident);
      }
      if (!signal.aborted) throw new Error('the audit stopped being told');
    },
    { what: 'follow the audit', log, signal },
  ).catch((error: unknown) => {
    if (!signal.aborted) throw error;
  });
}
