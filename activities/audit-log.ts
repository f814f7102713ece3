import { JetStreamApiError, jetstream, jetstreamManager, type JetStreamClient, type JetStreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from 'nats';
import { auditOfIncident, auditRecord, auditSubject, type AuditFact, type AuditOf, type AuditRecord } from '../events/audit.js';
import { problemKey } from '../events/incident.js';

/** A record as it lies in the stream. */
export interface Stored<R extends AuditRecord = AuditRecord> {
  seq: number;
  /** The server's time of receipt, RFC 3339. */
  receivedAt: string;
  record: R;
}

/** The audit stream as a port: append only. Everything rejects when the server does not answer; nothing is buffered and forgotten. */
export interface AuditLog {
  /** Resolves when the record is on the disk. `key` names this append for ever: a repeated one within the server's window is not stored twice. */
  append(record: AuditRecord, options?: { key?: string }): Promise<{ seq: number; duplicate: boolean }>;
  /** Appends the record only if it is the first on its subject. Of any number that try, one is told `claimed`. */
  claim(record: AuditRecord): Promise<{ claimed: true; seq: number } | { claimed: false }>;
  /** Appends only if the last record on its subject still has sequence `lastSeq` (0: none). False when somebody else was first. */
  appendAfter(record: AuditRecord, lastSeq: number): Promise<boolean>;
  ofIncident(incident: string): Promise<Stored[]>;
  intentOf(incident: string, step: string): Promise<Stored<AuditOf<'intent'>> | null>;
  outcomeOf(incident: string, step: string): Promise<Stored<AuditOf<'outcome'>> | null>;
  openedOf(incident: string): Promise<Stored<AuditOf<'opened'>> | null>;
  /** The last word on a problem: which incident, open or ended. */
  problem(problem: string): Promise<Stored<AuditOf<'problem'>> | null>;
  openProblems(): Promise<Stored<AuditOf<'problem'>>[]>;
  /** Records of these facts (all, without), after a sequence. */
  all(options?: { facts?: AuditFact[]; afterSeq?: number }): Promise<Stored[]>;
  /** Records as they come, in order, until `signal` aborts. Survives a restart of the server. */
  follow(options: { incident?: string; afterSeq?: number; signal: AbortSignal }): AsyncIterable<Stored>;
  lastSeq(): Promise<number>;
}

const STREAM = 'AUDIT';
const WRONG_LAST_SEQUENCE = 10071;

export async function openAuditLog(nc: NatsConnection): Promise<AuditLog> {
  const js = jetstream(nc, { timeout: 5_000 });
  // checkAPI asks for account information, which least-privileged users may not have.
  const jsm = await jetstreamManager(nc, { checkAPI: false, timeout: 5_000 });

  const publish = async (record: AuditRecord, options: Parameters<JetStreamClient['publish']>[2]): Promise<{ seq: number; duplicate: boolean }> => {
    const parsed = auditRecord.parse(record);
    return js.publish(auditSubject(parsed, problemKey), JSON.stringify(parsed), options);
  };
  const conditionally = async (record: AuditRecord, lastSeq: number): Promise<number | null> => {
    try {
      return (await publish(record, { expect: { lastSubjectSequence: lastSeq } })).seq;
    } catch (error) {
      if (error instanceof JetStreamApiError && error.code === WRONG_LAST_SEQUENCE) return null;
      throw error;
    }
  };
  const last = async <F extends AuditFact>(fact: F, subject: string): Promise<Stored<AuditOf<F>> | null> => {
    const found = await jsm.direct.getMessage(STREAM, { last_by_subj: subject });
    if (found === null) return null;
    const record = auditRecord.parse(found.json());
    if (record.fact !== fact) throw new Error(`the audit holds a ${record.fact} on ${subject}`);
    return { seq: found.seq, receivedAt: found.time.toISOString(), record: record as AuditOf<F> };
  };
  const select = (subjects: string[], afterSeq = 0): Promise<Stored[]> => readAll(js, jsm, subjects, afterSeq);

  return {
    append: (record, { key } = {}) => publish(record, key === undefined ? {} : { msgID: key }),
    async claim(record) {
      const seq = await conditionally(record, 0);
      return seq === null ? { claimed: false } : { claimed: true, seq };
    },
    appendAfter: async (record, lastSeq) => (await conditionally(record, lastSeq)) !== null,
    ofIncident: (incident) => select(auditOfIncident(incident)),
    intentOf: (incident, step) => last('intent', `aud.intent.${incident}.${step}`),
    outcomeOf: (incident, step) => last('outcome', `aud.outcome.${incident}.${step}`),
    openedOf: (incident) => last('opened', `aud.opened.${incident}`),
    problem: (problem) => last('problem', `aud.problem.${problemKey(problem)}`),
    async openProblems() {
      const newest = new Map<string, Stored<AuditOf<'problem'>>>();
      for (const stored of await select(['aud.problem.*'])) {
        if (stored.record.fact === 'problem') newest.set(stored.record.problem, stored as Stored<AuditOf<'problem'>>);
      }
      return [...newest.values()].filter((s) => s.record.status === 'open');
    },
    all: ({ facts, afterSeq } = {}) => select(facts === undefined ? ['aud.>'] : facts.map((fact) => `aud.${fact}.>`), afterSeq),
    follow: (options) => follow(js, options),
    lastSeq: async () => (await jsm.streams.info(STREAM)).state.last_seq,
  };
}

function parse(msg: { json(): unknown; seq: number }, receivedAt: Date): Stored {
  return { seq: msg.seq, receivedAt: receivedAt.toISOString(), record: auditRecord.parse(msg.json()) };
}

const receivedAt = (timestampNanos: number | bigint): Date => new Date(Number(BigInt(timestampNanos) / 1_000_000n));

async function readAll(js: JetStreamClient, jsm: JetStreamManager, subjects: string[], afterSeq: number): Promise<Stored[]> {
  const found: Stored[] = [];
  const end = (await jsm.streams.info(STREAM)).state.last_seq;
  if (end <= afterSeq) return found;
  const consumer = await js.consumers.get(STREAM, { filter_subjects: subjects, opt_start_seq: afterSeq + 1 });
  let pending = (await consumer.info(true)).num_pending;
  while (pending > 0) {
    const batch = await consumer.fetch({ max_messages: 500, expires: 5_000 });
    let got = 0;
    for await (const msg of batch) {
      got += 1;
      found.push(parse(msg, receivedAt(msg.info.timestampNanos)));
      pending = msg.info.pending;
      if (pending === 0 || got >= 500) break;
    }
    if (got === 0) throw new Error(`the audit stream stopped answering with ${pending} records to come`);
  }
  await consumer.delete();
  return found;
}

async function* follow(
  js: JetStreamClient,
  { incident, afterSeq = 0, signal }: { incident?: string; afterSeq?: number; signal: AbortSignal },
): AsyncIterable<Stored> {
  const consumer = await js.consumers.get(STREAM, {
    filter_subjects: incident === undefined ? ['aud.>'] : auditOfIncident(incident),
    opt_start_seq: afterSeq + 1,
  });
  // An ordered consumer dies with its server and is missed after two heartbeats: by default that is half a minute in which a restart looks like silence.
  const messages = await consumer.consume({ max_messages: 200, expires: 5_000, idle_heartbeat: 1_000 });
  const stop = (): void => messages.stop();
  signal.addEventListener('abort', stop);
  try {
    // Aborted while it was being made: told to stop rather than left, for what is never iterated is never closed.
    if (signal.aborted) stop();
    for await (const msg of messages) {
      yield parse(msg, receivedAt(msg.info.timestampNanos));
    }
  } finally {
    signal.removeEventListener('abort', stop);
    await messages.close();
  }
}
