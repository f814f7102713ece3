import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DEAD_LETTER_REASONS } from '../../events/dead-letter.js';
import { containerId, token } from '../../events/envelope.js';
import { EVENT_CLASSES, EVENT_KINDS, KIND_CLASS } from '../../events/event.js';
import { deadLetterSubject, eventSubject, isToken, parseEventSubject, tokenOrThrow } from '../../events/subjects.js';
import { STREAMS } from '../../events/streams.js';

const tokens = fc.stringMatching(/^[a-z0-9][a-z0-9_-]{0,62}$/);
/** Text as attackers and accidents write it: whatever Unicode has, and tokens with something wrong in them. */
const hostile = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 80 }),
  fc.string({ maxLength: 80 }),
  fc
    .tuple(tokens, fc.constantFrom('.', '*', '>', ' ', '\n', '\r\n', '\t', '\u0000', '\u2028', '$', '/', 'A', 'é', '\ud800'))
    .chain(([text, poison]) => fc.nat(text.length).map((at) => text.slice(0, at) + poison + text.slice(at))),
  fc.constantFrom('', '_INBOX', '-x', '_x', '$JS', 'a'.repeat(64), '__proto__', 'ａ'),
);
/** Said a second time, without a regular expression, so that a slip in the first one shows. */
const looksLikeToken = (text: string): boolean =>
  text.length >= 1 && text.length <= 63 && [...text].every((c, i) => (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (i > 0 && (c === '_' || c === '-')));

describe('tokens', () => {
  test('whatever is not a token is refused everywhere', () => {
    fc.assert(
      fc.property(hostile, (text) => {
        fc.pre(!looksLikeToken(text));
        expect(isToken(text)).toBe(false);
        expect(token.safeParse(text).success).toBe(false);
        expect(() => tokenOrThrow(text, 'host')).toThrow(RangeError);
        expect(() => eventSubject('lab', text, 'host.unreachable')).toThrow(RangeError);
        expect(() => eventSubject(text, 'dauntless', 'host.unreachable')).toThrow(RangeError);
        expect(parseEventSubject(`evt.lab.${text}.host`)).toBeNull();
        expect(parseEventSubject(`evt.${text}.dauntless.host`)).toBeNull();
        expect(deadLetterSubject('not-json', text, text)).toBe('dlq.not-json.unknown.unknown');
      }),
      { numRuns: 2000 },
    );
  });

  test('every token is taken', () => {
    fc.assert(
      fc.property(tokens, (text) => {
        expect(looksLikeToken(text)).toBe(true);
        expect(isToken(text)).toBe(true);
        expect(token.parse(text)).toBe(text);
        expect(tokenOrThrow(text, 'host')).toBe(text);
      }),
    );
  });

  test('the refusal does not repeat a megabyte, and shows control characters as escapes', () => {
    expect(() => tokenOrThrow(`\u001b[2J${'x'.repeat(1e6)}`, 'host')).toThrow(/^host "\\u001b\[2Jx{60,80}" cannot stand in a subject/);
  });

  test('a container id is text that no shell and no subject can be steered with', () => {
    fc.assert(
      fc.property(hostile, (text) => {
        if (containerId.safeParse(text).success) expect(text).toMatch(/^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/);
      }),
      { numRuns: 1000 },
    );
  });
});

describe('subjects', () => {
  test('what is composed is parsed to the same site, host and class', () => {
    fc.assert(
      fc.property(tokens, tokens, fc.constantFrom(...EVENT_KINDS), (site, host, kind) => {
        expect(parseEventSubject(eventSubject(site, host, kind))).toEqual({ site, host, class: KIND_CLASS[kind] });
      }),
    );
  });

  test('a subject has exactly four tokens, and a class that is known', () => {
    for (const subject of [
      'evt.lab.dauntless',
      'evt.lab.dauntless.host.more',
      'evt.lab.dauntless.hosts',
      'aud.lab.dauntless.host',
      'evt.lab.*.host',
      'evt.>',
      '',
      '....',
      'evt.lab.dauntless.host\n',
    ]) {
      expect(parseEventSubject(subject), subject).toBeNull();
    }
  });

  test('each class and each reason is a token itself', () => {
    expect([...EVENT_CLASSES, ...DEAD_LETTER_REASONS].filter((word) => !isToken(word))).toEqual([]);
  });

  test('dead letters keep the tokens that they have', () => {
    expect(deadLetterSubject('bad-schema', 'lab', null)).toBe('dlq.bad-schema.lab.unknown');
    expect(() => deadLetterSubject('no such.reason', 'lab', 'x')).toThrow(RangeError);
  });
});

test('the four streams do not overlap, forget nothing by hand, and are bounded', () => {
  expect(STREAMS.map((s) => s.name)).toEqual(['EVT', 'AUDIT', 'DLQ', 'ADV']);
  const heads = STREAMS.flatMap((s) => s.subjects.map((subject) => (subject.startsWith('$') ? subject : subject.split('.')[0])));
  expect(new Set(heads).size).toBe(heads.length);
  for (const stream of STREAMS) {
    expect(stream.denyDelete).toBe(true);
    expect(stream.maxBytes).toBeGreaterThan(0);
    expect(stream.maxBytes).toBeLessThan(4 * 1024 ** 3);
  }
});
