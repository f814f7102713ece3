import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectNats, jetstream, jetstreamManager, type NatsConnection } from '../../activities/nats.js';
import { freeBytes } from '../../stack/disk.js';
import { inCheckout } from '../../stack/root.js';
import { processOf, readStackFile } from '../../stack/stack-file.js';
import { freeBasePort } from '../servers.js';
import { until } from '../until.js';

const run = promisify(execFile);
const MiB = 1024 * 1024;

/** A small file system of its own takes the right to mount one: root, outside most containers. */
const canMount = process.getuid?.() === 0 && (await tryMount());
async function tryMount(): Promise<boolean> {
  const dir = await mkdtemp(join(tmpdir(), 'nightshift-mount-'));
  try {
    await run('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', dir]);
    await run('umount', [dir]);
    return true;
  } catch {
    return false;
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

let disk: string;
let dir: string;
let child: ChildProcess;
let said = '';
let nc: NatsConnection;

beforeAll(async () => {
  if (!canMount) return;
  disk = await mkdtemp(join(tmpdir(), 'nightshift-disk-'));
  await run('mount', ['-t', 'tmpfs', '-o', 'size=256m', 'tmpfs', disk]);
  dir = join(disk, 'stack');
  await mkdir(dir);
  child = spawn(process.execPath, [inCheckout('build', 'stack', 'start.js'), '--dir', dir, '--base-port', String(await freeBasePort()), '--no-drill'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, NIGHTSHIFT_MIN_FREE_MB: '64' },
  });
  child.stdout?.on('data', (part: Buffer) => (said += String(part)));
  const stack = await until(async () => existsSync(join(dir, 'stack.json')) && (await readStackFile(dir)), { timeoutMs: 60_000 });
  nc = await connectNats({
    servers: `127.0.0.1:${processOf(stack, 'nats').ports['client']}`,
    credentialsFile: processOf(stack, 'operator').credentials,
    inboxPrefix: '_INBOX.operator',
    name: 'test',
  });
}, 120_000);
afterAll(async () => {
  if (!canMount) return;
  await nc?.close();
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
  await run('umount', [disk]);
  await rm(disk, { recursive: true, force: true });
}, 120_000);

const publish = (): Promise<{ seq: number }> => jetstream(nc, { timeout: 2_000 }).publish('evt.lab.dauntless.container', '{"not":"an event"}');
/** Leaves about that much free. */
const fill = async (file: string, leave: number): Promise<void> => {
  const size = (await freeBytes(disk)) - leave;
  await writeFile(join(disk, file), Buffer.alloc(Math.max(0, size))).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOSPC') throw error;
  });
};
const openings = (): number => said.split('intake is open').length - 1;

test.skipIf(!canMount)(
  'a disk that fills stops intake aloud; what was accepted stays, what was refused is known as refused, and it goes on when there is room',
  async () => {
    const { seq } = await publish();
    await fill('some', 40 * MiB);
    await until(() => said.includes('Intake is stopped'), { timeoutMs: 10_000, what: 'the word that intake is stopped' });
    expect(said).toMatch(/the disk is nearly full: \d+ MB free below .*, less than 64 MB/);
    await until(
      () =>
        publish().then(
          () => false,
          (error: Error) => /maximum bytes/.test(error.message),
        ),
      { timeoutMs: 10_000, what: 'a refusal' },
    );

    await rm(join(disk, 'some'));
    await until(() => openings() === 1, { timeoutMs: 20_000, what: 'intake open again' });
    expect((await publish()).seq).toBeGreaterThan(seq);
    const jsm = await jetstreamManager(nc, { checkAPI: false });
    expect((await jsm.streams.getMessage('EVT', { seq }))?.json()).toEqual({ not: 'an event' });
  },
  120_000,
);

test.skipIf(!canMount)(
  'a disk that is full to the last byte stops NATS from writing; with room again it is started again by itself and has lost nothing that it acknowledged',
  async () => {
    const note = (text: string): Promise<{ seq: number }> => jetstream(nc, { timeout: 2_000 }).publish('aud.note.i-0000000000', text);
    const [kept, before] = [await note('kept'), openings()];
    await fill('all', 0);
    // Larger than what is left of the pages that the server has already.
    await until(
      () =>
        note('x'.repeat(200_000)).then(
          () => false,
          () => true,
        ),
      { timeoutMs: 60_000, what: 'an audit that cannot be written' },
    );

    await rm(join(disk, 'all'));
    await until(() => openings() > before, { timeoutMs: 60_000, what: 'intake open again' });
    await until(() => note('after').then(() => true), { timeoutMs: 30_000, what: 'an audit that can be written' });
    const jsm = await jetstreamManager(nc, { checkAPI: false });
    expect((await jsm.streams.getMessage('AUDIT', { seq: kept.seq }))?.string()).toBe('kept');
    expect(said).toMatch(/NATS has stopped writing .*starting it again/);
  },
  180_000,
);
