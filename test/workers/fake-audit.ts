import type { AuditLog, Stored } from '../../activities/audit-log.js';
import { auditRecord, auditSubject, type AuditFact, type AuditOf, type AuditRecord } from '../../events/audit.js';
import { problemKey } from '../../events/incident.js';

/** The audit stream at the port: keeps what the real one would keep, and fails when told to. */
export function fakeAudit() {
  const records: Stored[] = [];
  const keys = new Set<string>();
  let broken: ((operation: string) => Error | null) | null = null;
  const try_ = (operation: string): void => {
    const error = broken?.(operation) ?? null;
    if (error !== null) throw error;
  };
  const lastOn = (subject: string): Stored | null => records.findLast((s) => auditSubject(s.record, problemKey) === subject) ?? null;
  const put = (record: AuditRecord): number => {
    records.push({ seq: records.length + 1, receivedAt: new Date().toISOString(), record: auditRecord.parse(structuredClone(record)) });
    return records.length;
  };
  const last = async <F extends AuditFact>(operation: string, subject: string): Promise<Stored<AuditOf<F>> | null> => {
    try_(operation);
    return lastOn(subject) as Stored<AuditOf<F>> | null;
  };
  const after = (record: AuditRecord, seq: number): number | null => ((lastOn(auditSubject(record, problemKey))?.seq ?? 0) === seq ? put(record) : null);
  const audit: Pick<AuditLog, 'append' | 'appendAfter' | 'claim' | 'intentOf' | 'outcomeOf' | 'openedOf' | 'problem'> = {
    async append(record, { key } = {}) {
      try_(`append:${record.fact}`);
      if (key !== undefined && keys.has(key)) return { seq: 0, duplicate: true };
      if (key !== undefined) keys.add(key);
      return { seq: put(record), duplicate: false };
    },
    async claim(record) {
      try_(`claim:${record.fact}`);
      const seq = after(record, 0);
      return seq === null ? { claimed: false } : { claimed: true, seq };
    },
    async appendAfter(record, lastSeq) {
      try_(`append:${record.fact}`);
      return after(record, lastSeq) !== null;
    },
    intentOf: (incident, step) => last('intentOf', `aud.intent.${incident}.${step}`),
    outcomeOf: (incident, step) => last('outcomeOf', `aud.outcome.${incident}.${step}`),
    openedOf: (incident) => last('openedOf', `aud.opened.${incident}`),
    problem: (problem) => last('problem', `aud.problem.${problemKey(problem)}`),
  };
  return {
    ...audit,
    records,
    of: <F extends AuditFact>(fact: F): AuditOf<F>[] => records.map((s) => s.record).filter((r): r is AuditOf<F> => r.fact === fact),
    /** `when` is asked before each operation, named as `claim:intent`, `outcomeOf`... */
    breakWhen(when: ((operation: string) => Error | null) | null) {
      broken = when;
    },
  };
}
export type FakeAudit = ReturnType<typeof fakeAudit>;
