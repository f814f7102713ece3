import { containerId } from '../../events/envelope.js';
import { RESOURCES, type Resource } from '../../events/kinds/container.js';
import { MOST, type ContainerReading, type CounterRow } from './raw-sample.js';

export type Beancounters =
  | { ok: true; containers: ContainerReading[]; /** How many rows each container has, holes included. */ rowsOfEach: number; /** Names that cannot be one of ours: left out. */ strange: string[] }
  | { ok: false; problem: string };

const LINE_FEED = 10;
const SPACE = 32;
const ZERO = 48;
const NINE = 57;
const COLON = 58;
/** uid, resource, held, maxheld, barrier, limit, failcnt. */
const NUMBERS = 5;
const HEAD = 'Version: 2.';

/**
 * Reads `/proc/user_beancounters`, version 2.5: two lines of heading, then the rows of each container, whose number stands before a colon on its
 * first row only. Columns are padded to 20 (64-bit kernels) or 10 (32-bit), and wider when a value is, so they are told apart by spaces. Rows named
 * `dummy` are holes in the kernel's numbering. Container 0 is the host itself and is left out.
 *
 * A file cut anywhere is refused whole, never taken for containers that went away or counters that fell: the last row must end, each row must have all
 * its figures, and all containers must have equally many rows (the kernel prints the same list for each), no fewer than `atLeastRows` when the caller
 * has seen more before.
 * Works on bytes: a host with 200 containers prints 600 KB a second.
 */
export function parseBeancounters(file: Buffer, atLeastRows = 0): Beancounters {
  const end = file.length;
  if (end === 0) return { ok: false, problem: 'the file is empty' };
  if (file[end - 1] !== LINE_FEED) return { ok: false, problem: 'the file ends in the middle of a line' };
  if (file.toString('latin1', 0, Math.min(end, HEAD.length)) !== HEAD) return { ok: false, problem: 'no "Version: 2.x" in the first line' };
  const second = file.indexOf(LINE_FEED) + 1;
  let at = file.indexOf(LINE_FEED, second) + 1;
  if (at === 0) return { ok: false, problem: 'no heading' };
  const width = at - second;
  let rowFrom = at;

  const containers: ContainerReading[] = [];
  const strange: string[] = [];
  const seen = new Set<string>();
  let rows: CounterRow[] = [];
  let rowCount = 0;
  let rowsOfEach = -1;
  let name: string | null = null;
  let guess = 0;

  while (at < end) {
    rowFrom = at;
    while (file[at] === SPACE) at += 1;
    let from = at;
    while (isInk(file[at])) at += 1;

    if (at > from && file[at - 1] === COLON) {
      if (name !== null && rowsOfEach !== -1 && rowCount !== rowsOfEach) return uneven(name, rowCount, rowsOfEach);
      if (name !== null) rowsOfEach = rowCount;
      name = file.toString('latin1', from, at - 1);
      if (seen.has(name)) return { ok: false, problem: `container ${JSON.stringify(name)} stands there twice` };
      seen.add(name);
      rows = [];
      rowCount = 0;
      guess = 0;
      if (name !== '0') {
        if (containerId.safeParse(name).success) containers.push({ container: name, rows });
        else strange.push(name);
      }
      while (file[at] === SPACE) at += 1;
      from = at;
      while (isInk(file[at])) at += 1;
    }
    if (name === null || at === from) return { ok: false, problem: `no container or resource at byte ${from}` };
    const known = resourceAt(file, from, at, guess);
    if (known >= 0) guess = known + 1;

    let column = 0;
    let held = 0;
    let barrier = 0;
    let limit = 0;
    let failcnt = 0;
    for (; column < NUMBERS; column += 1) {
      while (file[at] === SPACE) at += 1;
      const start = at;
      let value = 0;
      for (let digit = file[at] ?? 0; digit >= ZERO && digit <= NINE; digit = file[at] ?? 0) {
        value = value * 10 + (digit - ZERO);
        at += 1;
      }
      if (at === start) break;
      if (value > MOST) value = MOST;
      if (column === 0) held = value;
      else if (column === 2) barrier = value;
      else if (column === 3) limit = value;
      else if (column === 4) failcnt = value;
    }
    while (file[at] === SPACE) at += 1;
    if (column < NUMBERS || file[at] !== LINE_FEED) return { ok: false, problem: `a row of container ${name} has not its five figures` };
    at += 1;
    rowCount += 1;
    if (known >= 0) rows.push({ resource: NAMES[known]!.resource, held, barrier, limit, failcnt });
  }
  if (name !== null && rowsOfEach !== -1 && rowCount !== rowsOfEach) return uneven(name, rowCount, rowsOfEach);
  if (name !== null && rowCount < atLeastRows) return uneven(name, rowCount, atLeastRows);
  // Rows are padded like the heading: a shorter last one has lost digits, and its last figure with them.
  if (end - rowFrom < width) return { ok: false, problem: `the last row has ${end - rowFrom} bytes, the heading ${width}: the file is half-written` };
  return { ok: true, containers, rowsOfEach: rowCount, strange };
}

const uneven = (name: string, rows: number, rowsOfOthers: number): Beancounters =>
  ({ ok: false, problem: `container ${name} has ${rows} rows, others ${rowsOfOthers}: the file is half-written` });

const isInk = (byte: number | undefined): boolean => byte !== undefined && byte > SPACE;

const NAMES = RESOURCES.map((resource): { resource: Resource; bytes: Buffer } => ({ resource, bytes: Buffer.from(resource) }));

/** Index of the resource named between `from` and `to`, or -1. Containers list them in the same order, so the next one is tried first. */
function resourceAt(file: Buffer, from: number, to: number, guess: number): number {
  for (let i = 0; i < NAMES.length; i += 1) {
    const index = (guess + i) % NAMES.length;
    if (spells(file, from, to, NAMES[index]!.bytes)) return index;
  }
  return -1;
}

function spells(file: Buffer, from: number, to: number, word: Buffer): boolean {
  if (to - from !== word.length) return false;
  for (let i = 0; i < word.length; i += 1) if (file[from + i] !== word[i]) return false;
  return true;
}
