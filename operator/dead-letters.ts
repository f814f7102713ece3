import type { NatsConnection } from '../activities/nats.js';
import { deadLetter, type DeadLetter } from '../events/dead-letter.js';
import { parseEventSubject } from '../events/subjects.js';
import { event } from '../events/event.js';
import { messageAt, readStream, type Lying } from './read-stream.js';

/** A dead letter with its place in DLQ. */
export interface StoredLetter {
  seq: number;
  receivedAt: string;
  letter: DeadLetter;
}

/** The newest dead letters, oldest first, at most `limit`; and how many there are in all. */
export async function newestLetters(
  nc: NatsConnection,
  { reason, since, limit, signal }: { reason?: string; since?: Date; limit: number; signal: AbortSignal },
): Promise<{ letters: StoredLetter[]; total: number }> {
  const letters: StoredLetter[] = [];
  let total = 0;
  for await (const lying of readStream(nc, {
    stream: 'DLQ',
    subjects: [reason === undefined ? 'dlq.>' : `dlq.${reason}.>`],
    signal,
    ...(since === undefined ? {} : { since }),
  })) {
    total += 1;
    letters.push(letterOf(lying));
    // The stream may be half a gigabyte; only what will be shown is kept.
    if (letters.length > limit) letters.shift();
  }
  return { letters, total };
}

export async function letterAt(nc: NatsConnection, seq: number): Promise<StoredLetter | null> {
  const lying = await messageAt(nc, 'DLQ', seq);
  return lying === null ? null : letterOf(lying);
}

export const payloadOf = (letter: DeadLetter): Uint8Array => Buffer.from(letter.payload, 'base64');

/**
 * Whether the letter would be an event today (a kind may have been added since, a host entered in the inventory): null when it would, else what is
 * wrong. The inventory is the engine's to check; it will say so in a new dead letter.
 */
export function stillWrong(letter: DeadLetter): string | null {
  if (parseEventSubject(letter.subject) === null) return `subject ${letter.subject} is not evt.<site>.<host>.<class>`;
  try {
    const parsed = event.safeParse(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payloadOf(letter))));
    if (parsed.success) return null;
    const [issue] = parsed.error.issues;
    return `${issue?.path.map(String).join('.') || 'event'}: ${issue?.message ?? 'not an event'}`;
  } catch (error) {
    return error instanceof Error ? error.message : 'not JSON';
  }
}

function letterOf(lying: Lying): StoredLetter {
  return { seq: lying.seq, receivedAt: lying.receivedAt, letter: deadLetter.parse(JSON.parse(new TextDecoder().decode(lying.data))) };
}
