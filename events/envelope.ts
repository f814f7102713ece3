import { z } from 'zod';

/** One subject token: what a site, host, container or resource may be called everywhere in Nightshift. */
export const token = z.string().regex(/^[a-z0-9](?:[a-z0-9_-]{0,62})$/, 'lower-case letters, digits, "-" and "_", at most 63, starting with a letter or digit');

/** Container ids: OpenVZ CTIDs are numbers, cgroup containers have names. */
export const containerId = z.string().regex(/^[a-z0-9](?:[a-z0-9_.-]{0,62})$/i, 'letters, digits, "-", "_" and ".", at most 63');

/**
 * The CloudEvents 1.0 envelope in structured JSON mode; every kind narrows `type` and `data`.
 * Unknown attributes are refused: an event is a statement that somebody may act upon.
 * Source of the attribute rules: CloudEvents 1.0.2, sections 3.1 to 3.3.
 */
export const envelope = z.strictObject({
  specversion: z.literal('1.0'),
  /** Random (UUID); repeated when the same event is sent again. At most 100 characters. */
  id: z.string().regex(/^[\x21-\x7e]{8,100}$/, '8 to 100 printable characters without spaces'),
  /** `/<site>/<host>`: must agree with the subject that the event was published on. */
  source: z.string().max(130),
  type: z.string().max(64),
  /** When it was observed, by the clock of the observer. Advisory: the server's time of receipt decides. */
  time: z.iso.datetime({ offset: true }),
  datacontenttype: z.literal('application/json').optional(),
  /** Boot id of the observed host, where the observer knows it: tells a new incarnation from an old one. */
  bootid: z.uuid().optional(),
  /** `edge`: it has just begun. `standing`: it is still so; said again every minute. */
  assertion: z.enum(['edge', 'standing']).default('edge'),
});

/** The data every kind has: who it is about. */
export const aboutHost = z.strictObject({ host: token });

/** The largest event that is read at all, in bytes. The server refuses larger ones from agents. */
export const MAX_EVENT_BYTES = 64 * 1024;
