import { copyFileSync, existsSync, readdirSync } from 'node:fs';
import { appendFile, mkdtemp, open, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openSpool, SpoolFull, SpoolWriteFailed, type Spool, type SpoolOptions } from '../../activities/spool.js';
import { until } from '../until.js';

let dir: string;
let problems: Parameters<SpoolOptions['onProblem']>[0][];
const opened: Spool[] = [];

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'nightshift-spool-'));
  problems = [];
});
afterEach(async () => {
  for (const spool of opened.splice(0)) await spool.close();
  await rm(dir, { recursive: true, force: true });
});

/** Not closed in between: what an agent leaves that was killed. */
async function start(maxBytes = 8 * 1024 * 1024): Promise<Spool> {
  const spool = await openSpool({ dir, maxBytes, onProblem: (p) => problems.push(p) });
  opened.push(spool);
  return spool;
}
const texts = (n: number, from = 0): string[] => Array.from({ length: n }, (_, i) => `evt.lab.dauntless.container {"id":"event-${from + i}","ü":"☃"}`);
const taken = async (spool: Spool, max = 1e6): Promise<string[]> => (await spool.take(max)).map((e) => e.text);
const files = async (): Promise<string[]> => (await readdir(dir)).filter((f) => f.endsWith('.spool')).sort();

describe('the spool', () => {
  test('gives back what went in, oldest first, each line once', async () => {
    const spool = await start();
    await spool.append(texts(3));
    await spool.append(texts(2, 3));
    expect(await taken(spool, 2)).toEqual(texts(2));
    expect(await taken(spool)).toEqual(texts(3, 2));
    expect(await taken(spool)).toEqual([]);
    await spool.append(texts(1, 5));
    expect(await taken(spool)).toEqual(texts(1, 5));
  });

  test('has everything again after a kill that was not acknowledged, and nothing that was', async () => {
    const before = await start();
    await before.append(texts(10));
    for (const entry of (await before.take(10)).slice(0, 4)) before.acknowledge(entry.seq);
    await until(async () => (await readFile(join(dir, 'acknowledged'), 'utf8')).includes(' 4 '), { what: 'the position is on disk' });
    const after = await start();
    expect(after.status().pending).toBe(6);
    const entries = await after.take(100);
    expect(entries.map((e) => e.text)).toEqual(texts(6, 4));
    expect(entries.every((e) => e.recovered)).toBe(true);
    await after.append(texts(1, 10));
    expect(await after.take(1)).toMatchObject([{ text: texts(1, 10)[0], recovered: false }]);
  });

  test('an answer that comes out of order does not move the position beyond one that is missing', async () => {
    const before = await start();
    await before.append(texts(4));
    const [first, ...rest] = await before.take(4);
    for (const entry of rest) before.acknowledge(entry.seq);
    await before.append(texts(1, 4));
    expect(await taken(await start())).toEqual(texts(5));
    before.acknowledge(first!.seq);
    before.acknowledge(first!.seq);
    expect(before.status().pending).toBe(1);
  });

  test('a last line torn by a power cut is skipped and said, wherever it is torn, and what was there before stays', async () => {
    const before = await start();
    await before.append(texts(3));
    const file = join(dir, (await files())[0]!);
    const whole = await readFile(file);
    const lastAt = whole.subarray(0, -1).lastIndexOf(10) + 1;
    for (let cut = lastAt + 1; cut < whole.length; cut += 7) {
      problems = [];
      await writeFile(file, whole.subarray(0, cut));
      const after = await openSpool({ dir, maxBytes: 1e6, onProblem: (p) => problems.push(p) });
      expect(await taken(after)).toEqual(texts(2));
      expect(problems).toMatchObject([{ what: 'torn', file }]);
      expect(after.status().skipped).toBe(1);
      await after.close();
    }
  });

  test('after a torn line new ones are taken in and come out behind the old ones', async () => {
    await (await start()).append(texts(2));
    await appendFile(join(dir, (await files())[0]!), 'deadbeef 3 evt.lab.dau');
    const after = await start();
    await after.append(texts(2, 2));
    expect(await taken(after)).toEqual(texts(4));
    expect(await taken(await start())).toEqual(texts(4));
  });

  test('a line whose bytes rotted is skipped and said, and the lines after it are not lost', async () => {
    await (await start()).append(texts(3));
    const file = join(dir, (await files())[0]!);
    const content = await readFile(file);
    content[content.indexOf('event-1')]! ^= 1;
    await writeFile(file, content);
    const after = await start();
    expect(problems).toMatchObject([{ what: 'corrupt', file, detail: expect.stringContaining('1 unreadable') }]);
    const entries = await after.take(10);
    expect(entries.map((e) => e.text)).toEqual([texts(1)[0], texts(1, 2)[0]]);
    for (const e of entries) after.acknowledge(e.seq);
    expect(after.status().pending).toBe(0);
    await until(async () => (await readFile(join(dir, 'acknowledged'), 'utf8')).includes(' 3 '), { what: 'the gap does not hold the position back' });
  });

  test('garbage in place of files is survived: any bytes, any lengths', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 3000 }), fc.uint8Array({ maxLength: 40 }), async (segment, acknowledged) => {
        await rm(dir, { recursive: true });
        const fresh = await openSpool({ dir, maxBytes: 1e6, onProblem: () => undefined });
        await fresh.append(texts(2));
        await fresh.close();
        await writeFile(join(dir, '0000000000000009.spool'), segment);
        await writeFile(join(dir, 'acknowledged'), acknowledged);
        const spool = await openSpool({ dir, maxBytes: 1e6, onProblem: () => undefined });
        await spool.append(texts(1, 2));
        expect(await taken(spool)).toEqual(texts(3));
        await spool.close();
      }),
      { numRuns: 40 },
    );
  });

  test('a position that cannot be read is said, and everything is sent again rather than nothing', async () => {
    const before = await start();
    await before.append(texts(2));
    before.acknowledge((await before.take(1))[0]!.seq);
    await before.close();
    await truncate(join(dir, 'acknowledged'), 3);
    expect(await taken(await start())).toEqual(texts(2));
    expect(problems).toMatchObject([{ what: 'acknowledged-unreadable' }]);
  });

  test('a full spool refuses the whole batch aloud and counts it; room made by acknowledging is room again', async () => {
    const spool = await start(8_000);
    const big = (i: number): string => `evt ${i} ${'x'.repeat(900)}`;
    const accepted: string[] = [];
    await expect(
      (async () => {
        for (let i = 0; ; i += 1) {
          await spool.append([big(i)]);
          accepted.push(big(i));
        }
      })(),
    ).rejects.toBeInstanceOf(SpoolFull);
    await expect(spool.append([big(98), big(99)])).rejects.toThrow(/is full: \d+ of 8000 bytes/);
    expect(spool.status().refused).toBe(3);
    expect(spool.status().bytes).toBeLessThanOrEqual(8_000);
    expect(accepted.length).toBeGreaterThan(5);
    const entries = await spool.take(100);
    expect(entries.map((e) => e.text)).toEqual(accepted);
    for (const e of entries) spool.acknowledge(e.seq);
    await until(
      () =>
        spool.append([big(100)]).then(
          () => true,
          () => false,
        ),
      { what: 'there is room again' },
    );
    expect(await taken(spool)).toEqual([big(100)]);
  });

  test('a disk that stops taking lines refuses them, keeps what it has, and takes them again when it can', async () => {
    const spool = await start();
    await spool.append(texts(2));
    // The open file becomes unwritable under our hands: a full or failing disk looks the same from here.
    const prototype = Object.getPrototypeOf(
      await open(join(dir, 'probe'), 'w').then(async (h) => {
        await h.close();
        return h;
      }),
    ) as { datasync: () => Promise<void> };
    const real = prototype.datasync;
    prototype.datasync = () => Promise.reject(Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' }));
    try {
      await expect(spool.append(texts(2, 90))).rejects.toBeInstanceOf(SpoolWriteFailed);
    } finally {
      prototype.datasync = real;
    }
    expect(problems).toMatchObject([{ what: 'write-failed', detail: expect.stringContaining('ENOSPC') }]);
    await spool.append(texts(2, 2));
    expect(await taken(spool)).toEqual(texts(4));
    expect(await taken(await start())).toEqual(texts(4));
    expect(spool.status()).toMatchObject({ pending: 4, refused: 2 });
  });

  test('files that have left entirely are given back to the disk', async () => {
    const spool = await start(64 * 1024 * 1024);
    for (let i = 0; i < 40; i += 1) await spool.append([`a ${'y'.repeat(90_000)}`]);
    expect((await files()).length).toBeGreaterThan(2);
    for (const e of await spool.take(100)) spool.acknowledge(e.seq);
    await spool.close();
    expect(await files()).toEqual([]);
  });

  test('writers that come together share their fsyncs and none is forgotten', async () => {
    const spool = await start();
    await Promise.all(
      Array.from({ length: 500 }, (_, i) => spool.append(texts(1, i)).then(() => (i % 5 === 0 ? spool.append(texts(1, 1000 + i)) : undefined))),
    );
    expect(new Set(await taken(spool)).size).toBe(600);
  });

  test('whatever is appended, taken, acknowledged and killed in any order: no line is lost, none comes back after it was acknowledged on disk', async () => {
    const step = fc.oneof(
      fc.record({ do: fc.constant('append' as const), n: fc.integer({ min: 1, max: 20 }) }),
      fc.record({ do: fc.constant('take' as const), n: fc.integer({ min: 1, max: 20 }) }),
      fc.record({ do: fc.constant('acknowledge' as const), n: fc.integer({ min: 1, max: 20 }) }),
      fc.record({ do: fc.constantFrom('kill' as const, 'close' as const), n: fc.constant(0) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
        let at = await mkdtemp(join(dir, 'run-'));
        const openThere = (): Promise<Spool> => openSpool({ dir: at, maxBytes: 1e7, onProblem: (p) => problems.push(p) });
        let spool = await openThere();
        let killed = false;
        let next = 0;
        const waiting = new Set<string>();
        let inHand: { seq: number; text: string }[] = [];
        for (const s of steps) {
          if (s.do === 'append') {
            const lines = texts(s.n, next);
            next += s.n;
            await spool.append(lines);
            for (const l of lines) waiting.add(l);
          } else if (s.do === 'take') inHand.push(...(await spool.take(s.n)));
          else if (s.do === 'acknowledge')
            for (const e of inHand.splice(0, s.n)) {
              spool.acknowledge(e.seq);
              waiting.delete(e.text);
            }
          else {
            // A kill may forget the last acknowledgements, never a line; a close forgets neither.
            if (s.do === 'close') await spool.close();
            else {
              // The disk as it is at this moment: the killed one writes nothing to it any more.
              killed = true;
              opened.push(spool);
              const copy = await mkdtemp(join(dir, 'run-'));
              for (const name of readdirSync(at).filter((n) => n.endsWith('.spool') || n === 'acknowledged')) {
                // A file that has just left entirely.
                if (existsSync(join(at, name))) copyFileSync(join(at, name), join(copy, name));
              }
              at = copy;
            }
            spool = await openThere();
            inHand = [];
            if (s.do === 'close' && !killed) expect(spool.status().pending).toBe(waiting.size);
          }
        }
        const left = new Set([...inHand.map((e) => e.text), ...(await taken(spool))]);
        for (const line of waiting) expect(left.has(line)).toBe(true);
        expect(problems).toEqual([]);
        await spool.close();
      }),
      { numRuns: 40 },
    );
  });
});
