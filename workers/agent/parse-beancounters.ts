import { containerId } from '../../events/envelope.js';
import { RESOURCES, type Resource } from '../../events/kinds/container.js';
import { MOST, type ContainerReading, type CounterRow } from './raw-sample.js';

export type Beancounters =
  | {
      ok: true;
      containers: ContainerReading[];
      /** How many rows each container has, holes included. */ rowsOfEach: number;
      /** Names that cannot be one of ours: left out. */ strange: string[];
    }
  | { ok: false; problem: string };

const LINE_FEED = 10;
const SPACE = 32;
const ZERO = 48;
const NINE = 57;
const COLON = 58;
/** held, maxheld, barrier, limit, failcnt. */
const NUMBERS = 5;
const HOST_ITSELF = '0';
const HEAD = 'Version: 2.';
const HEADING = /^ *uid +resource +held +maxheld +barrier +limit +failcnt *\n$/;

/**
 * Reads `/proc/user_beancounters`, version 2.5: two lines of heading, then the rows of each container, whose number stands before a colon on its
 * first row only. Columns are padded to 20 (64-bit kernels) or 10 (32-bit), and wider when a value is, so they are told apart by spaces. Rows named
 * `dummy` are holes in the kernel's numbering. Container 0 is the host itself and is left out.
 *
 * A file cut anywhere is refused whole, never taken for containers that went away or counters that fell: each row must have all its
 * figures and be as long as the heading, and all containers must have equally many rows (the kernel prints the same list for each), no fewer than `atLeastRows` when the caller
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
  if (at === 0 || !HEADING.test(file.toString('latin1', second, Math.min(at, second + 1000)))) return { ok: false, problem: 'no heading in the second line' };
  const width = at - second;

  // Figures first, rows when somebody looks at them: five thousand objects a second that live until the next one cost more than reading the file.
  const mostRows = Math.ceil((end - at) / width);
  const figures = new Float64Array(mostRows * NUMBERS);
  const known = new Int8Array(mostRows);
  const blocks: { name: string; from: number; to: number }[] = [];
  const seen = new Set<string>();
  let row = 0;
  let guess = 0;

  while (at < end) {
    const rowFrom = at;
    while (file[at] === SPACE) at += 1;
    let from = at;
    while (isInk(file[at])) at += 1;

    if (at > from && file[at - 1] === COLON) {
      const name = file.toString('latin1', from, at - 1);
      if (seen.has(name)) return { ok: false, problem: `container ${JSON.stringify(name)} stands there twice` };
      seen.add(name);
      blocks.push({ name, from: row, to: row });
      guess = 0;
      while (file[at] === SPACE) at += 1;
      from = at;
      while (isInk(file[at])) at += 1;
    }
    const block = blocks[blocks.length - 1];
    if (block === undefined || at === from) return { ok: false, problem: `no container or resource at byte ${from}` };
    const resource = resourceAt(file, from, at, guess);
    if (resource >= 0) guess = resource + 1;

    let column = 0;
    for (; column < NUMBERS; column += 1) {
      while (file[at] === SPACE) at += 1;
      const start = at;
      let value = 0;
      for (let digit = file[at] ?? 0; digit >= ZERO && digit <= NINE; digit = file[at] ?? 0) {
        value = value * 10 + (digit - ZERO);
        at += 1;
      }
      if (at === start) break;
      figures[row * NUMBERS + column] = value > MOST ? MOST : value;
    }
    while (file[at] === SPACE) at += 1;
    if (column < NUMBERS || file[at] !== LINE_FEED) return { ok: false, problem: `a row of container ${block.name} has not its five figures` };
    at += 1;
    // Rows are padded like the heading: a shorter one has lost digits, and its last figure with them.
    if (at - rowFrom < width)
      return { ok: false, problem: `a row of container ${block.name} has ${at - rowFrom} bytes, the heading ${width}: the file is half-written` };
    known[row] = resource;
    row += 1;
    block.to = row;
  }

  const rowsOfEach = Math.max(atLeastRows, ...blocks.map((b) => b.to - b.from));
  const short = blocks.find((b) => b.to - b.from < rowsOfEach);
  if (short !== undefined)
    return { ok: false, problem: `container ${short.name} has ${short.to - short.from} rows, others ${rowsOfEach}: the file is half-written` };
  const containers: ContainerReading[] = [];
  const strange: string[] = [];
  for (const { name, from, to } of blocks) {
    if (name === HOST_ITSELF) continue;
    if (containerId.safeParse(name).success)
      containers.push({
        container: name,
        get rows() {
          return rowsOf(figures, known, from, to);
        },
      });
    else strange.push(name);
  }
  return { ok: true, containers, rowsOfEach, strange };
}

function rowsOf(figures: Float64Array, known: Int8Array, from: number, to: number): CounterRow[] {
  const rows: CounterRow[] = [];
  for (let row = from; row < to; row += 1) {
    const name = NAMES[known[row]!];
    const at = row * NUMBERS;
    if (name !== undefined)
      rows.push({ resource: name.resource, held: figures[at]!, barrier: figures[at + 2]!, limit: figures[at + 3]!, failcnt: figures[at + 4]! });
  }
  return rows;
}

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
