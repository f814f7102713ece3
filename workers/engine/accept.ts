import type { DeadLetterReason } from '../../events/dead-letter.js';
import { MAX_EVENT_BYTES } from '../../events/envelope.js';
import { aspectOf, event as eventSchema, EVENT_KINDS, KIND_CLASS, type NightshiftEvent } from '../../events/event.js';
import { parseEventSubject } from '../../events/subjects.js';
import type { AcceptedEvent } from '../../workflows/messages.js';
import { describeEvent } from './describe-event.js';

/** A message as it came from EVT. */
export interface Arrival {
  subject: string;
  payload: Uint8Array;
  seq: number;
  receivedAtMs: number;
  redelivered?: boolean;
  headers?: Iterable<string>;
}
/** What must be known of the fleet to accept an event. */
export interface Inventory {
  site: string;
  hasHost(host: string): boolean;
  eventMaxAgeMs: number;
}

/** An event that parsed, is allowed to say what it says, and is about a host of ours. */
export interface Accepted {
  event: AcceptedEvent;
  /** The same, as it was parsed. */
  parsed: NightshiftEvent;
  host: string;
  aspect: string;
  receivedAtMs: number;
  /** Too old to act on: it may start a look, not an act. */
  stale: boolean;
  /** It was handed over before, and not answered. */
  redelivered: boolean;
}
export type Acceptance = { ok: Accepted } | { deadLetter: DeadLetterReason; detail: string };

/** Deeper than any event of ours can be; checked before anything recursive touches the text. */
const MAX_DEPTH = 16;
const MAX_AHEAD_MS = 2 * 60_000;
const KINDS: ReadonlySet<string> = new Set(EVENT_KINDS);
/** Keys that mean something to JavaScript and nothing to an event. */
const POISON: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);
const decoder = new TextDecoder('utf-8', { fatal: true });

/**
 * Decides whether a message is an event that may be acted on. Pure, never throws, and cheap for garbage: what is wrong is found before what costs.
 * The subject is the identity, because the server enforces it; the body must agree with it.
 */
export function acceptEvent(arrival: Arrival, inventory: Inventory, nowMs: number): Acceptance {
  const no = (deadLetter: DeadLetterReason, detail: string): Acceptance => ({ deadLetter, detail: inert(detail).slice(0, 1000) });
  const subject = parseEventSubject(arrival.subject);
  if (subject === null) return no('bad-subject', `${arrival.subject.slice(0, 200)} is not evt.<site>.<host>.<class>`);
  for (const name of arrival.headers ?? []) {
    // A scheduled message is one that the server sent again by itself: nobody observed it now.
    if (name.toLowerCase().startsWith('nats-schedul')) return no('bad-schema', `header ${name}: events are never scheduled`);
  }
  if (arrival.payload.length > MAX_EVENT_BYTES) return no('too-large', `${arrival.payload.length} bytes, at most ${MAX_EVENT_BYTES} are read`);
  let text: string;
  try {
    text = decoder.decode(arrival.payload);
  } catch {
    return no('not-json', 'not UTF-8');
  }
  if (deeperThan(text, MAX_DEPTH)) return no('too-deep', `nested deeper than ${MAX_DEPTH}`);
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch (error) {
    return no('not-json', error instanceof Error ? error.message : 'not JSON');
  }
  const poison = poisonIn(body, '');
  if (poison !== null) return no('bad-schema', poison);
  if (typeof body !== 'object' || body === null || Array.isArray(body)) return no('bad-schema', 'not an object');
  const type = (body as { type?: unknown }).type;
  if (typeof type === 'string' && !KINDS.has(type)) return no('unknown-kind', `type ${JSON.stringify(type.slice(0, 80))}`);
  const parsed = eventSchema.safeParse(body);
  if (!parsed.success) {
    return no(
      'bad-schema',
      parsed.error.issues
        .slice(0, 5)
        .map((issue) => `${issue.path.map(String).join('.') || 'event'}: ${issue.message}`)
        .join('; '),
    );
  }
  const e: NightshiftEvent = parsed.data;
  if (KIND_CLASS[e.type] !== subject.class) return no('wrong-class', `${e.type} belongs on class ${KIND_CLASS[e.type]}, came on ${subject.class}`);
  if (subject.site !== inventory.site) return no('wrong-host', `site ${subject.site}, this is ${inventory.site}`);
  const source = `/${subject.site}/${subject.host}`;
  if (e.source !== source) return no('wrong-host', `source ${JSON.stringify(e.source)}, the subject says ${source}`);
  const host = e.data.host;
  // A witness speaks on its own subject about another host; everybody else only about itself.
  const speaksFor = 'witness' in e.data ? [host, e.data.witness] : [host];
  if (!speaksFor.includes(subject.host)) return no('wrong-host', `data.host ${host}, the subject says ${subject.host}`);
  for (const name of [subject.host, host]) {
    if (!inventory.hasHost(name)) return no('unknown-host', `${name} is not in the inventory`);
  }
  const time = Date.parse(e.time);
  if (time > arrival.receivedAtMs + MAX_AHEAD_MS) {
    return no('from-the-future', `time ${e.time} is ${Math.round((time - arrival.receivedAtMs) / 1000)} s after the server received it`);
  }
  return {
    ok: {
      event: {
        id: e.id,
        type: e.type,
        kind: e.type,
        host,
        time: e.time,
        seq: arrival.seq,
        text: describeEvent(e),
        data: { ...e.data } as AcceptedEvent['data'],
      },
      parsed: e,
      host,
      aspect: aspectOf(e),
      receivedAtMs: arrival.receivedAtMs,
      stale: nowMs - Math.min(time, arrival.receivedAtMs) > inventory.eventMaxAgeMs,
      redelivered: arrival.redelivered === true,
    },
  };
}

/** True when brackets outside of strings nest deeper than `limit`; no recursion, no allocation. */
function deeperThan(text: string, limit: number): boolean {
  let depth = 0;
  let inString = false;
  for (let i = 0; i < text.length; i += 1) {
    const c = text.charCodeAt(i);
    if (inString) {
      if (c === 0x5c) i += 1;
      else if (c === 0x22) inString = false;
    } else if (c === 0x22) inString = true;
    else if (c === 0x7b || c === 0x5b) {
      depth += 1;
      if (depth > limit) return true;
    } else if (c === 0x7d || c === 0x5d) depth -= 1;
  }
  return false;
}

// C0, DEL, C1, line and paragraph separators, and what turns the direction of text: a timeline that lies is worse than an event refused.
const CONTROL = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/;

// With the u flag a pair is one code point, so this is only ever half of one.
const LONE_SURROGATE = /\p{Surrogate}/u;

/** The first key or text in it that must not go any further, with its path; null when there is none. Depth is bounded by the check before. */
function poisonIn(value: unknown, path: string): string | null {
  if (typeof value === 'string') return textTrouble(value, path);
  if (typeof value !== 'object' || value === null) return null;
  for (const [key, inner] of Object.entries(value)) {
    const here = path === '' ? key.slice(0, 80) : `${path}.${key.slice(0, 80)}`;
    if (POISON.has(key)) return `${here}: a key that no event has`;
    const found = textTrouble(key, here) ?? poisonIn(inner, here);
    if (found !== null) return found;
  }
  return null;
}

function textTrouble(text: string, path: string): string | null {
  if (LONE_SURROGATE.test(text)) return `${path || 'event'}: a lone surrogate`;
  return CONTROL.test(text) ? `${path || 'event'}: a control character` : null;
}

/** What a person reads of a message that was refused: anything that is not plain text is shown as its escape. */
const inert = (text: string): string =>
  text.replace(new RegExp(`${CONTROL.source}|\\p{Surrogate}`, 'gu'), (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
