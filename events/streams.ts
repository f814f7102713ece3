/**
 * The four streams. Retention is by limits and a full stream refuses (`discard: new`): what was accepted is never thrown out to make room.
 * `denyDelete` and `denyPurge`: nobody but a break-glass administrator can make a record disappear.
 */
export interface StreamSpec {
  name: 'EVT' | 'AUDIT' | 'DLQ' | 'ADV';
  subjects: string[];
  maxBytes: number;
  /** 0: for ever. */
  maxAgeDays: number;
  maxMessageBytes: number;
  denyDelete: boolean;
}

const MiB = 1024 * 1024;

export const STREAMS = [
  { name: 'EVT', subjects: ['evt.*.*.*'], maxBytes: 1024 * MiB, maxAgeDays: 7, maxMessageBytes: 64 * 1024, denyDelete: true },
  { name: 'AUDIT', subjects: ['aud.>'], maxBytes: 2048 * MiB, maxAgeDays: 0, maxMessageBytes: 256 * 1024, denyDelete: true },
  { name: 'DLQ', subjects: ['dlq.>'], maxBytes: 512 * MiB, maxAgeDays: 30, maxMessageBytes: 256 * 1024, denyDelete: true },
  {
    name: 'ADV',
    subjects: ['$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>', '$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>', '$JS.EVENT.ADVISORY.CONSUMER.MSG_NAKED.>'],
    maxBytes: 64 * MiB,
    maxAgeDays: 14,
    maxMessageBytes: 64 * 1024,
    denyDelete: true,
  },
] as const satisfies StreamSpec[];

/** The durable pull consumer through which the engine reads EVT. */
export const BRIDGE_CONSUMER = 'bridge';

/** How long the server remembers an event's id, in minutes: the first filter against duplicates, never the only one. */
export const DUPLICATE_WINDOW_MINUTES = 10;
