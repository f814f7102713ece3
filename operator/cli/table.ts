import { stripVTControlCharacters } from 'node:util';
import Table from 'cli-table3';
import { displayWidth } from '../width.js';

const BARE = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
};

/**
 * Columns with a heading, without lines. With `columns` the last column takes what the others leave and wraps. Cells must be inert already.
 */
export function table(head: readonly string[], rows: readonly (readonly string[])[], columns: number | undefined): string {
  const lastWidth = columns === undefined ? null : restOf(head, rows, columns);
  const t = new Table({
    head: [...head],
    chars: BARE,
    style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 },
    wordWrap: true,
    colWidths: head.map((_, at) => (at === head.length - 1 ? lastWidth : null)),
  });
  t.push(...rows.map((row) => [...row]));
  return t
    .toString()
    .split('\n')
    .map((line) => line.trimEnd())
    .join('\n');
}

function restOf(head: readonly string[], rows: readonly (readonly string[])[], columns: number): number | null {
  const widths = head.map((title, at) => Math.max(title.length, ...rows.map((row) => displayWidth(stripVTControlCharacters(row[at] ?? '')))));
  const last = widths.at(-1) ?? 0;
  const rest = columns - widths.slice(0, -1).reduce((sum, width) => sum + width + 2, 0);
  return last <= rest ? null : Math.max(12, rest);
}
