/**
 * Text from events, hosts and payloads must not be able to move a cursor, hide a line, or reorder what the reader sees.
 * What could is written out as its code point: `\x1b`, `\u{202e}`. A reader sees that it was there; a terminal does nothing.
 *
 * Covered: C0 and C1 controls and DEL (with them every ANSI escape), bidi controls, zero-width and other invisible characters, line and
 * paragraph separators, tag characters, variation selectors, private use, lone surrogates, noncharacters, and stacks of combining marks.
 */
const NOT_SHOWN =
  /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\u{fe00}-\u{fe0f}\u{e0100}-\u{e01ef}\u00a0\u2000-\u200a\u202f\u205f]/u;
/** More marks on one letter than any script needs climb over the lines above. */
const MOST_MARKS = 3;

/** One line, safe to print. Newlines and tabs become `\n` and `\t`. Idempotent: what is inert already stays as it is. */
export function inert(text: string): string {
  let out = '';
  let marks = 0;
  for (const char of text) {
    marks = /\p{M}/u.test(char) ? marks + 1 : 0;
    if (NOT_SHOWN.test(char) || marks > MOST_MARKS) out += written(char);
    else out += char;
  }
  return out;
}

/** Several lines: newlines stay, everything else is made inert, each line by itself. */
export const inertLines = (text: string): string[] => text.split('\n').map((line) => inert(line));

/** Text cut to `most` code points, with `...` where something was cut. */
export function clipped(text: string, most: number): string {
  if (text.length <= most) return text;
  const points = [...text];
  return points.length <= most ? text : `${points.slice(0, Math.max(0, most - 3)).join('')}...`;
}

function written(char: string): string {
  if (char === '\n') return '\\n';
  if (char === '\t') return '\\t';
  if (char === '\r') return '\\r';
  const code = char.codePointAt(0) ?? 0;
  return code <= 0xff ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`;
}
