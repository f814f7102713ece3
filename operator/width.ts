/** How many columns text takes on a terminal. For text that is inert already: no controls in it. */
export function displayWidth(text: string): number {
  let width = 0;
  for (const char of text) width += charWidth(char);
  return width;
}

/**
 * Lines of at most `columns`, broken at spaces where there is one, else anywhere. The first line may be shorter by `first` columns already used.
 * Never drops a character other than the space it breaks at.
 */
export function wrapped(text: string, columns: number, first = 0): string[] {
  const most = Math.max(8, columns);
  const lines: string[] = [];
  let line = '';
  let used = first;
  for (const word of text.split(' ')) {
    const gap = line === '' ? 0 : 1;
    if (used + gap + displayWidth(word) <= most) {
      line += (gap === 1 ? ' ' : '') + word;
      used += gap + displayWidth(word);
      continue;
    }
    if (line !== '') lines.push(line);
    line = '';
    used = lines.length === 0 ? first : 0;
    for (const char of word) {
      if (used + charWidth(char) > most) {
        lines.push(line);
        line = '';
        used = 0;
      }
      line += char;
      used += charWidth(char);
    }
  }
  lines.push(line);
  return lines;
}

/** Text padded on the right to `columns`. */
export const padded = (text: string, columns: number): string => text + ' '.repeat(Math.max(0, columns - displayWidth(text)));

function charWidth(char: string): number {
  if (/\p{M}/u.test(char)) return 0;
  const code = char.codePointAt(0) ?? 0;
  if (code < 0x1100) return 1;
  return WIDE.some(([from, to]) => code >= from && code <= to) ? 2 : 1;
}

// East Asian Wide and Fullwidth blocks and pictographs, by block: enough for padding; exactness per character is not worth a table of 3,000 rows.
const WIDE: readonly (readonly [number, number])[] = [
  [0x1100, 0x115f],
  [0x231a, 0x231b],
  [0x23e9, 0x23f3],
  [0x25fd, 0x25fe],
  [0x2614, 0x2615],
  [0x2648, 0x2653],
  [0x26a1, 0x26a1],
  [0x26d4, 0x26d4],
  [0x2705, 0x2705],
  [0x274c, 0x274e],
  [0x2753, 0x2757],
  [0x2e80, 0x303e],
  [0x3041, 0x4dbf],
  [0x4e00, 0xa4cf],
  [0xa960, 0xa97f],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe30, 0xfe6f],
  [0xff00, 0xff60],
  [0xffe0, 0xffe6],
  [0x16fe0, 0x18aff],
  [0x1b000, 0x1b2ff],
  [0x1f004, 0x1f004],
  [0x1f0cf, 0x1f0cf],
  [0x1f18e, 0x1f19a],
  [0x1f200, 0x1f320],
  [0x1f32d, 0x1f64f],
  [0x1f680, 0x1f6ff],
  [0x1f7e0, 0x1f7eb],
  [0x1f900, 0x1faff],
  [0x20000, 0x3fffd],
];
