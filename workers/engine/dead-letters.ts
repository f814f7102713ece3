import type { JetStreamClient } from '@nats-io/jetstream';
import type { AuditLog } from '../../activities/audit-log.js';
import { deadLetter as deadLetterSchema, type DeadLetterReason } from '../../events/dead-letter.js';
import { deadLetterSubject, parseEventSubject } from '../../events/subjects.js';
import type { Log } from '../log.js';
import { patiently } from './patiently.js';

/** A message that is not to come again, once it lies in DLQ. */
export interface Refused {
  subject: string;
  seq: number;
  payload: Uint8Array;
  term(): void;
}

export interface DeadLetters {
  /** Writes it to DLQ, then terminates it. Never rejects: while DLQ cannot be written the message stays unanswered, and the server keeps it. */
  put(message: Refused, reason: DeadLetterReason, detail: string): Promise<void>;
  /** Waits until all that was put lies in DLQ and the audit has its counts. */
  flush(): Promise<void>;
}

/** Runs of the same reason and host become one audit record a second; of more than this many at once the host is left out. */
const MAX_RUNS = 500;

export function createDeadLetters({
  js,
  audit,
  site,
  log,
  signal,
  everyMs = 1_000,
}: {
  js: JetStreamClient;
  audit: Pick<AuditLog, 'append'>;
  site: string;
  log: Log;
  signal: AbortSignal;
  everyMs?: number;
}): DeadLetters {
  const runs = new Map<string, { reason: DeadLetterReason; host: string | null; count: number }>();
  const writing = new Set<Promise<void>>();
  let timer: NodeJS.Timeout | null = null;
  let counting: Promise<void> = Promise.resolve();

  const writeCounts = (): Promise<void> => {
    timer = null;
    const now = [...runs.values()];
    runs.clear();
    counting = counting
      .then(async () => {
        for (const { reason, host, count } of now) {
          const record = { v: 1, at: new Date().toISOString(), site, by: 'engine', fact: 'deadletters', reason, host, count } as const;
          await patiently(() => audit.append(record), { what: 'the count of dead letters', log, signal });
        }
      })
      .catch((error: unknown) => log.warn({ error: String(error) }, 'dead letters lie in DLQ, but their count is not in the audit'));
    return counting;
  };
  const count = (reason: DeadLetterReason, host: string | null): void => {
    let key = `${reason} ${host ?? ''}`;
    if (!runs.has(key) && runs.size >= MAX_RUNS) key = `${reason} `;
    const run = runs.get(key) ?? { reason, host: key === `${reason} ` ? null : host, count: 0 };
    run.count += 1;
    runs.set(key, run);
    timer ??= setTimeout(() => void writeCounts(), everyMs);
  };
  const write = async (message: Refused, reason: DeadLetterReason, detail: string): Promise<void> => {
    const subject = parseEventSubject(message.subject);
    const letter = deadLetterSchema.parse({
      v: 1,
      at: new Date().toISOString(),
      reason,
      detail: detail.slice(0, 1000),
      subject: message.subject.slice(0, 300),
      seq: message.seq,
      payload: Buffer.from(message.payload).toString('base64'),
    });
    // The id makes a second delivery of the same message no second letter.
    await patiently(
      () => js.publish(deadLetterSubject(reason, subject?.site ?? null, subject?.host ?? null), JSON.stringify(letter), { msgID: `evt-${message.seq}` }),
      {
        what: 'a dead letter',
        log,
        signal,
      },
    );
    // Plain: older servers ignore a term with a reason, and hand the message out again.
    message.term();
    count(reason, subject?.host ?? null);
  };

  return {
    put(message, reason, detail) {
      const written = write(message, reason, detail)
        .catch((error: unknown) =>
          log.error({ seq: message.seq, reason, error: String(error) }, 'a message that is no event could not be put into DLQ; it stays in EVT unanswered'),
        )
        .finally(() => writing.delete(written));
      writing.add(written);
      return written;
    },
    async flush() {
      await Promise.all(writing);
      if (timer !== null) clearTimeout(timer);
      await writeCounts();
    },
  };
}
