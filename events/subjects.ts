import { EVENT_CLASSES, KIND_CLASS, type EventClass, type EventKind } from './event.js';

/** `evt.<site>.<host>.<class>`: exactly four tokens. The server enforces who may publish below which host, so the subject is the identity. */
export interface EventSubject {
  site: string;
  host: string;
  class: EventClass;
}

const TOKEN = /^[a-z0-9][a-z0-9_-]{0,62}$/;

/** True for text that may stand as one token of a subject: no dots, wildcards, spaces or control characters. */
export const isToken = (text: string): boolean => TOKEN.test(text);

/** Throws RangeError for text that may not stand as one token: nothing that came from outside is ever put into a subject unchecked. */
export function tokenOrThrow(text: string, what: string): string {
  if (!isToken(text))
    throw new RangeError(`${what} ${JSON.stringify(text.slice(0, 80))} cannot stand in a subject: lower-case letters, digits, "-" and "_" only, at most 63`);
  return text;
}

export const eventSubject = (site: string, host: string, kind: EventKind): string =>
  `evt.${tokenOrThrow(site, 'site')}.${tokenOrThrow(host, 'host')}.${KIND_CLASS[kind]}`;

/** Returns null for a subject that is not one of ours. */
export function parseEventSubject(subject: string): EventSubject | null {
  const parts = subject.split('.');
  const [evt, site, host, cls] = parts;
  if (parts.length !== 4 || evt !== 'evt' || site === undefined || host === undefined || cls === undefined) return null;
  if (!isToken(site) || !isToken(host) || !(EVENT_CLASSES as string[]).includes(cls)) return null;
  return { site, host, class: cls as EventClass };
}

/** Dead letters: `dlq.<reason>.<site>.<host>`, with `unknown` where the subject did not say. */
export const deadLetterSubject = (reason: string, site: string | null, host: string | null): string =>
  `dlq.${tokenOrThrow(reason, 'reason')}.${site !== null && isToken(site) ? site : 'unknown'}.${host !== null && isToken(host) ? host : 'unknown'}`;
