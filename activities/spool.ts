import { mkdir, open, readdir, readFile, rename, unlink, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';

/**
 * A queue on disk that outlives its process. A line goes in and is on the disk when `append` resolves; it comes out oldest first with `take`, and
 * leaves for good with `acknowledge`. What was taken and not acknowledged is there again after a restart.
 *
 * On disk: `<first number>.spool`, a few of them, each a run of lines `<crc32 in hex> <number> <text>`; and `acknowledged`, the number up to which
 * everything has left, replaced by rename. A line that a power cut tore, or that does not match its checksum, is skipped and said, never a crash.
 * A reopened spool begins a new file, so that a torn end stays where it is and does no harm.
 */
export interface Spool {
  /** Resolves when all lines are on the disk (one fsync, shared by whoever waits); rejects with SpoolFull or SpoolWriteFailed, and then none is kept. */
  append(texts: readonly string[]): Promise<void>;
  /** The next lines that nobody has taken yet, at most `max`, oldest first; empty when there are none. */
  take(max: number): Promise<SpoolEntry[]>;
  acknowledge(seq: number): void;
  status(): SpoolStatus;
  /** Writes down what was acknowledged and closes the files. */
  close(): Promise<void>;
}

/** `recovered`: it was in the spool before this process began, so somebody may have sent it already. */
export interface SpoolEntry {
  seq: number;
  text: string;
  recovered: boolean;
}

export interface SpoolStatus {
  /** Lines that have not been acknowledged. */
  pending: number;
  bytes: number;
  maxBytes: number;
  /** Lines that were refused since the start because the spool was full or the disk would not take them. */
  refused: number;
  /** Lines that were skipped because they were torn or did not match their checksum. */
  skipped: number;
}

export interface SpoolOptions {
  dir: string;
  /** The spool refuses what would make it larger than this. */
  maxBytes: number;
  /** Told of what had to be skipped or could not be written. */
  onProblem: (problem: { what: 'torn' | 'corrupt' | 'acknowledged-unreadable' | 'write-failed'; file: string; detail: string }) => void;
}

/** Nothing of the batch was taken in; what is in the spool stays. Send, or give it more room. */
export class SpoolFull extends Error {
  constructor(
    readonly dir: string,
    readonly bytes: number,
    readonly maxBytes: number,
    readonly lines: number,
  ) {
    super(`spool ${dir} is full: ${bytes} of ${maxBytes} bytes wait to be sent; refused ${lines} more`);
    this.name = 'SpoolFull';
  }
}

/** The disk did not take the batch (full, read-only, failing): nothing of it counts as spooled. */
export class SpoolWriteFailed extends Error {
  constructor(dir: string, cause: unknown) {
    super(`spool ${dir} cannot be written: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.name = 'SpoolWriteFailed';
  }
}

/** A file is given back to the disk when all of it has left, so files are small beside the whole. */
const SEGMENT_BYTES = 1024 * 1024;
/** Larger than any line: an event is at most 64 KiB. */
const CHUNK_BYTES = 192 * 1024;
export const MAX_LINE_BYTES = 96 * 1024;
const NEWLINE = 10;

interface Segment {
  file: string;
  /** Bytes that are known to be whole lines on the disk. */
  good: number;
  /** Bytes of the file. */
  bytes: number;
  last: number;
  /** Open for writing: only the newest one of this process. */
  handle: FileHandle | null;
}

export async function openSpool({ dir, maxBytes, onProblem }: SpoolOptions): Promise<Spool> {
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const segmentBytes = Math.min(SEGMENT_BYTES, Math.ceil(maxBytes / 4));
  const left = await readAcknowledged(dir, onProblem);
  const { segments, pending: recovered, skipped, last } = await scan(dir, left, onProblem);
  const lastRecovered = last;
  const counts = { pending: recovered, refused: 0, skipped };
  let nextSeq = Math.max(left, last) + 1;
  let closed = false;

  // Taking: where the next line is, and which taken lines have not been acknowledged, in order.
  let reader: { segment: Segment; offset: number; handle: FileHandle } | null = null;
  let lastTaken = left;
  const outstanding = new Set<number>();

  // Appending: whoever comes while a batch is being written shares the next one.
  let waiting: { lines: readonly string[]; bytes: number; done: () => void; failed: (error: Error) => void }[] = [];
  let writing: Promise<void> | null = null;
  let waitingBytes = 0;

  // The position: written at most one at a time.
  let savedLeft = left;
  let saving: Promise<void> | null = null;
  let taking: Promise<unknown> = Promise.resolve();
  let busyTaking = false;

  const bytes = (): number => segments.reduce((sum, s) => sum + s.bytes, 0);
  const lowWater = (): number => {
    const first = outstanding.values().next();
    return first.done === true ? lastTaken : first.value - 1;
  };

  function append(texts: readonly string[]): Promise<void> {
    if (texts.length === 0) return Promise.resolve();
    let size = 0;
    for (const text of texts) {
      const length = Buffer.byteLength(text) + 32;
      if (length > MAX_LINE_BYTES || text.includes('\n')) throw new RangeError(`a spooled line is at most ${MAX_LINE_BYTES} bytes and has no newline`);
      size += length;
    }
    if (bytes() + waitingBytes + size > maxBytes) {
      counts.refused += texts.length;
      return Promise.reject(new SpoolFull(dir, bytes() + waitingBytes, maxBytes, texts.length));
    }
    return new Promise((done, failed) => {
      waiting.push({ lines: texts, bytes: size, done, failed });
      waitingBytes += size;
      writing ??= writeWaiting();
    });
  }

  async function writeWaiting(): Promise<void> {
    while (waiting.length > 0) {
      const batch = waiting;
      waiting = [];
      try {
        await writeBatch(batch.flatMap((b) => b.lines));
        for (const b of batch) b.done();
      } catch (cause) {
        const error = new SpoolWriteFailed(dir, cause);
        for (const b of batch) {
          counts.refused += b.lines.length;
          b.failed(error);
        }
      }
      for (const b of batch) waitingBytes -= b.bytes;
    }
    // In the same breath as the last look at the queue: a line added by whoever was just told "done" must find either the writer or none.
    writing = null;
  }

  async function writeBatch(lines: readonly string[]): Promise<void> {
    const segment = await writable();
    const handle = segment.handle;
    if (handle === null) throw new Error('the newest file of the spool is not open');
    const first = nextSeq;
    const data = Buffer.from(lines.map((text, i) => seal(first + i, text)).join(''), 'utf8');
    try {
      for (let at = 0; at < data.length;) at += (await handle.write(data, at, data.length - at, segment.good + at)).bytesWritten;
      await handle.datasync();
    } catch (cause) {
      // What the disk has of it is not to be trusted. After a failed fsync the same file would answer "fine" the next time: leave it, begin another.
      // Its numbers are not used again: what is left of it must never stand in the way of a line that was promised to be kept.
      nextSeq = first + lines.length;
      onProblem({ what: 'write-failed', file: segment.file, detail: cause instanceof Error ? cause.message : String(cause) });
      await handle.truncate(segment.good).catch(() => {
        segment.bytes = segment.good + data.length;
      });
      await handle.close().catch(() => undefined);
      segment.handle = null;
      throw cause;
    }
    segment.good += data.length;
    segment.bytes = segment.good;
    nextSeq = first + lines.length;
    segment.last = nextSeq - 1;
    counts.pending += lines.length;
  }

  /** The newest file while it is small; else a new one. */
  async function writable(): Promise<Segment> {
    if (closed) throw new Error('the spool is closed');
    const newest = segments.at(-1);
    if (newest !== undefined && newest.handle !== null) {
      if (newest.good < segmentBytes) return newest;
      await newest.handle.close();
      newest.handle = null;
    }
    const file = join(dir, `${String(nextSeq).padStart(16, '0')}.spool`);
    const segment: Segment = { file, good: 0, bytes: 0, last: nextSeq - 1, handle: await open(file, 'w', 0o600) };
    segments.push(segment);
    await syncDirectory(dir);
    return segment;
  }

  async function take(max: number): Promise<SpoolEntry[]> {
    const turn = taking.then(() => takeNow(max));
    taking = turn.catch(() => undefined);
    return turn;
  }

  async function takeNow(max: number): Promise<SpoolEntry[]> {
    busyTaking = true;
    try {
      return await takeUnread(max);
    } finally {
      busyTaking = false;
    }
  }

  async function takeUnread(max: number): Promise<SpoolEntry[]> {
    const taken: SpoolEntry[] = [];
    while (taken.length < max) {
      if (reader === null) {
        const segment = segments.find((s) => s.last > lastTaken && s.good > 0);
        if (segment === undefined) break;
        reader = { segment, offset: 0, handle: await open(segment.file, 'r') };
      }
      const at = reader;
      const { entries, offset } = await readLines(at.handle, at.offset, at.segment.good, max - taken.length, lastTaken);
      at.offset = offset;
      for (const entry of entries) {
        taken.push({ ...entry, recovered: entry.seq <= lastRecovered });
        outstanding.add(entry.seq);
        lastTaken = entry.seq;
      }
      if (at.offset >= at.segment.good) {
        // An open file grows: keep the place. A finished one is done with.
        if (at.segment.handle !== null) break;
        await at.handle.close();
        reader = null;
        if (lastTaken < at.segment.last) lastTaken = at.segment.last;
      }
    }
    return taken;
  }

  function acknowledge(seq: number): void {
    if (closed || !outstanding.delete(seq)) return;
    counts.pending -= 1;
    saving ??= save();
  }

  /** Writes the position down and gives finished files back; again while it moves. A write that fails is said, and tried with the next acknowledgement. */
  async function save(): Promise<void> {
    await new Promise((resolve) => {
      setImmediate(resolve);
    });
    await saveMoved();
    saving = null;
  }

  async function saveMoved(): Promise<void> {
    while (lowWater() > savedLeft) {
      const mark = lowWater();
      try {
        await writeAcknowledged(dir, mark);
      } catch (error) {
        onProblem({ what: 'write-failed', file: join(dir, 'acknowledged'), detail: error instanceof Error ? error.message : String(error) });
        return;
      }
      savedLeft = mark;
      await sealNewest(mark);
      for (const segment of segments.filter((s) => s.last <= mark && s.handle === null && s !== reader?.segment)) {
        segments.splice(segments.indexOf(segment), 1);
        await unlink(segment.file).catch(() => undefined);
      }
    }
  }

  /** A newest file that is large enough and has left entirely is finished here, not by the next line: a full spool might refuse that line. */
  async function sealNewest(mark: number): Promise<void> {
    const newest = segments.at(-1);
    if (newest === undefined || newest.handle === null || newest.good < segmentBytes || newest.last > mark || writing !== null || busyTaking) return;
    const { handle } = newest;
    const read = reader?.segment === newest ? reader.handle : null;
    newest.handle = null;
    if (read !== null) reader = null;
    await handle.close();
    await read?.close();
  }

  return {
    append: async (texts) => append(texts),
    take,
    acknowledge,
    status: () => ({ ...counts, bytes: bytes(), maxBytes }),
    close: async () => {
      await writing;
      closed = true;
      await taking;
      await saving;
      await saveMoved();
      await reader?.handle.close();
      for (const segment of segments) {
        await segment.handle?.close();
        segment.handle = null;
        if (segment.last <= savedLeft) await unlink(segment.file).catch(() => undefined);
      }
    },
  };
}

const checksum = (text: string): string => crc32(text).toString(16).padStart(8, '0');

function seal(seq: number, text: string): string {
  const body = `${seq} ${text}`;
  return `${checksum(body)} ${body}\n`;
}

/** Null for a line that is not what was written. */
function unseal(line: string): { seq: number; text: string } | null {
  const body = line.slice(9);
  if (line[8] !== ' ' || line.slice(0, 8) !== checksum(body)) return null;
  const space = body.indexOf(' ');
  const seq = Number(body.slice(0, space));
  return space > 0 && Number.isSafeInteger(seq) ? { seq, text: body.slice(space + 1) } : null;
}

/** Whole lines from `offset`, none beyond `end`, none that is not after `after`. Lines that do not match were reported when the spool was opened. */
async function readLines(
  handle: FileHandle,
  offset: number,
  end: number,
  max: number,
  after: number,
): Promise<{ entries: { seq: number; text: string }[]; offset: number }> {
  const size = Math.min(CHUNK_BYTES, end - offset);
  const entries: { seq: number; text: string }[] = [];
  if (size <= 0) return { entries, offset };
  const buffer = Buffer.allocUnsafe(size);
  const { bytesRead } = await handle.read(buffer, 0, size, offset);
  let from = 0;
  while (entries.length < max) {
    const to = buffer.subarray(0, bytesRead).indexOf(NEWLINE, from);
    if (to < 0) {
      // No newline in a whole chunk, or in what is left of the file: nothing of it is a line of ours.
      if (from === 0) from = bytesRead === 0 ? end - offset : bytesRead;
      break;
    }
    const entry = unseal(buffer.toString('utf8', from, to));
    if (entry !== null && entry.seq > after) entries.push(entry);
    from = to + 1;
  }
  return { entries, offset: offset + from };
}

/** Reads everything once, one file at a time: what is whole, what is torn, what has left already and can go. */
async function scan(
  dir: string,
  left: number,
  onProblem: SpoolOptions['onProblem'],
): Promise<{ segments: Segment[]; pending: number; skipped: number; last: number }> {
  const segments: Segment[] = [];
  let pending = 0;
  let skipped = 0;
  let last = 0;
  for (const name of (await readdir(dir)).filter((n) => /^\d{16}\.spool$/.test(n)).sort()) {
    const file = join(dir, name);
    const content = await readFile(file);
    let segmentLast = 0;
    let from = 0;
    let waits = 0;
    let bad = 0;
    let badAt = 0;
    let torn = false;
    while (from < content.length) {
      const newline = content.indexOf(NEWLINE, from);
      const entry = newline < 0 ? null : unseal(content.toString('utf8', from, newline));
      if (entry === null) {
        bad += 1;
        badAt = from;
        torn = newline < 0 || newline === content.length - 1;
      } else {
        segmentLast = Math.max(segmentLast, entry.seq);
        if (entry.seq > left && entry.seq > last) waits += 1;
      }
      if (newline < 0) break;
      from = newline + 1;
    }
    // A power cut tears the last line; anything else is a damaged disk.
    if (bad > 0)
      onProblem({
        what: bad === 1 && torn ? 'torn' : 'corrupt',
        file,
        detail: `${bad} unreadable line(s) skipped, the last at byte ${badAt} of ${content.length}`,
      });
    skipped += bad;
    last = Math.max(last, segmentLast);
    pending += waits;
    if (waits === 0) await unlink(file);
    else segments.push({ file, good: content.length, bytes: content.length, last: segmentLast, handle: null });
  }
  return { segments, pending, skipped, last };
}

async function readAcknowledged(dir: string, onProblem: SpoolOptions['onProblem']): Promise<number> {
  const file = join(dir, 'acknowledged');
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 0;
    throw error;
  }
  const entry = unseal(text.trimEnd());
  // Sending twice is harmless, not sending is not: without the position everything that is there is sent again.
  if (entry === null) onProblem({ what: 'acknowledged-unreadable', file, detail: 'everything in the spool will be sent again' });
  return entry?.seq ?? 0;
}

async function writeAcknowledged(dir: string, seq: number): Promise<void> {
  const next = join(dir, 'acknowledged.next');
  const handle = await open(next, 'w', 0o600);
  try {
    await handle.writeFile(seal(seq, 'left'));
    await handle.datasync();
  } finally {
    await handle.close();
  }
  await rename(next, join(dir, 'acknowledged'));
}

async function syncDirectory(dir: string): Promise<void> {
  const handle = await open(dir, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
