import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { inert, inertLines } from '../../operator/inert.js';
import { asciiJson } from '../../operator/output.js';
import { HOSTILE } from './hostile.js';

/** What a terminal acts on, or an eye cannot see: written here a second time, independently of the code. */
// eslint-disable-next-line no-control-regex
const ACTS =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufe00-\ufe0f\ufff9-\ufffb]|[\u{e0000}-\u{e01ef}]|\p{Cs}|\p{Co}/u;

describe('text from outside', () => {
  test.each(HOSTILE)('cannot act on a terminal: %s', (_name, text) => {
    expect(inert(text)).not.toMatch(ACTS);
    expect(inert(text).split('\n')).toHaveLength(1);
  });

  test.each(HOSTILE)('is still there to be read, not dropped: %s', (_name, text) => {
    expect(inert(text).length).toBeGreaterThanOrEqual(text.length);
    for (const word of text.match(/[a-z]{3,}/gi) ?? []) expect(inert(text)).toContain(word);
  });

  test.each(HOSTILE)('as JSON it is inert and still says the same to a parser: %s', (_name, text) => {
    const json = asciiJson({ text });
    expect(json).not.toMatch(ACTS);
    expect(JSON.parse(json)).toEqual({ text });
  });

  test('any text becomes inert, once and for all', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const once = inert(text);
        expect(once).not.toMatch(ACTS);
        expect(inert(once)).toBe(once);
      }),
      { numRuns: 2000 },
    );
  });

  test('letters of living languages stay as they are', () => {
    for (const text of ['Grüße aus Köln', '東京のサーバー', 'привет', 'שלום', 'مرحبا', 'नमस्ते', 'Tiếng Việt', 'é à ô', '34 of 34 httpd, 4 s; 80 % (R1)'])
      expect(inert(text)).toBe(text);
  });

  test('a payload of several lines keeps its lines and nothing else', () => {
    expect(inertLines('a\tb\nc\x1b[2Jd\r\n')).toEqual(['a\\tb', 'c\\x1b[2Jd\\r', '']);
  });
});
