import { z } from 'zod';

/** Why an event was not accepted. One token each: it stands in the subject `dlq.<reason>.<site>.<host>`. */
export const DEAD_LETTER_REASONS = [
  'not-json', // not UTF-8 JSON, or truncated
  'too-large', // larger than an event may be
  'too-deep', // nested deeper than an event can be
  'bad-schema', // JSON, but not an event
  'unknown-kind', // an event of a kind nobody knows
  'wrong-host', // body and subject name different hosts or sites
  'wrong-class', // the subject's class is not that of the kind
  'bad-subject', // the subject is not one of ours
  'unknown-host', // no such host in the inventory
  'from-the-future', // its time is more than two minutes ahead of the server
  'handling-failed', // accepted, but handing it on failed for good
] as const;
export type DeadLetterReason = (typeof DEAD_LETTER_REASONS)[number];

/** What lies in DLQ: the message as it came, and why it was not accepted. */
export const deadLetter = z.strictObject({
  v: z.literal(1),
  at: z.iso.datetime(),
  reason: z.enum(DEAD_LETTER_REASONS),
  /** For people: what exactly is wrong, with the path inside the event; at most 1,000 characters, control characters escaped. */
  detail: z.string().max(1000),
  subject: z.string().max(300),
  /** Sequence of the message in EVT. */
  seq: z.int(),
  /** The payload as it came, base64. */
  payload: z.base64(),
});
export type DeadLetter = z.infer<typeof deadLetter>;
