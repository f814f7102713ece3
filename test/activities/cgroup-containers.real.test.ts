import { spawn, type ChildProcess } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, rmdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseAnswer, type Answer } from '../../activities/far-side/answer.js';
import { runBounded } from '../../activities/transports/run-bounded.js';
import { until } from '../until.js';
import { helperFile, lines } from './fixtures/managed-host.js';
import { which } from './fixtures/needs.js';

const soon = ['begin-within-ms 20000', 'not-after-cs 99999999999', 'limit-ms 20000'];

async function ask(conf: string, body: string[]): Promise<Answer> {
  const ran = await runBounded('sh', [helperFile, '--conf', conf], {
    input: lines(body),
    timeoutMs: 30_000,
    maxBytes: 1 << 20,
    env: { PATH: process.env['PATH'] },
    whenLate: 'end',
  });
  if (ran.stderr !== '' || ran.exitCode !== 0) throw new Error(`${ran.exitCode} ${ran.stderr}\n${ran.stdout}`);
  return parseAnswer(ran.stdout);
}

describe('a cgroup v2 container, its files on paper', () => {
  let dir: string;
  let conf: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'ns-cg2-'));
    const shop = join(dir, 'cgroup/lab/shop');
    mkdirSync(shop, { recursive: true });
    writeFileSync(join(dir, 'cgroup/cgroup.controllers'), 'cpu memory pids\n');
    for (const [name, text] of Object.entries({
      'cgroup.procs': `${process.pid}\n`,
      'memory.current': '1048576',
      'memory.peak': '2097152',
      'memory.max': '4194304',
      'memory.events': 'low 0\nhigh 3\nmax 17\noom 2\noom_kill 1',
      'pids.current': '5',
      'pids.max': 'max',
      'pids.events': 'max 0',
    }))
      writeFileSync(join(shop, name), `${text}\n`);
    conf = join(dir, 'conf');
    writeFileSync(conf, `cgroup=${dir}/cgroup\nstate=${dir}/state\npath=/usr/bin:/bin\n`);
  });
  afterEach(() => rmSync(dir, { recursive: true }));
  const target = ['engine cgroup', 'cgroup lab/shop'];

  test('its limits are counters: what hit the limit is counted, no limit is a very high one', async () => {
    const look = await ask(conf, ['verb look', ...target, 'want counters']);
    expect(look.running).toBe(true);
    expect(look.counters).toEqual([
      { resource: 'memory', held: 1_048_576, maxheld: 2_097_152, barrier: 4_194_304, limit: 4_194_304, failcnt: 17 },
      { resource: 'pids', held: 5, maxheld: 5, barrier: Number.MAX_SAFE_INTEGER, limit: Number.MAX_SAFE_INTEGER, failcnt: 0 },
    ]);
    expect(await ask(conf, ['verb look', 'engine cgroup', 'cgroup lab/other', 'want counters'])).toMatchObject({
      running: false,
      counters: null,
      incarnation: null,
    });
  });

  test('its limit is set to whole pages; it has no services and keeps no configuration', async () => {
    const { incarnation } = await ask(conf, ['verb look', ...target]);
    const limit = (op: string, bytes: number, more: string[] = []): string[] => [
      'verb ensure-limit',
      `op ${op}`,
      ...target,
      `incarnation ${incarnation}`,
      ...soon,
      'resource memory',
      `barrier ${bytes}`,
      `limit ${bytes}`,
      ...more,
    ];
    expect((await ask(conf, limit('a.1', 8_388_608))).result).toEqual({ word: 'done', reason: 'changed' });
    expect(readFileSync(join(dir, 'cgroup/lab/shop/memory.max'), 'utf8')).toBe('8388608\n');
    expect((await ask(conf, limit('a.2', 8_388_700))).result).toEqual({ word: 'done', reason: 'already' });
    expect((await ask(conf, limit('a.3', 9_000_000, ['save yes']))).result).toEqual({ word: 'refused', reason: 'not-supported' });
    expect((await ask(conf, ['verb ensure-service', 'op a.4', ...target, `incarnation ${incarnation}`, ...soon, 'service httpd'])).result).toEqual({
      word: 'refused',
      reason: 'not-supported',
    });
    expect(
      (await ask(conf, ['verb ensure-limit', 'op a.5', ...target, `incarnation ${incarnation}`, ...soon, 'resource tcpsndbuf', 'barrier 1', 'limit 1'])).result,
    ).toEqual({ word: 'refused', reason: 'facts-unreadable' });
  });
});

const v1 = '/sys/fs/cgroup/memory';
const real = process.getuid!() === 0 && existsSync(`${v1}/memory.limit_in_bytes`) && existsSync('/sys/fs/cgroup/pids');
if (!real) console.warn('skipped: real cgroup v1 containers need root and the memory and pids hierarchies of cgroup v1; v2 is tested on fixtures');

describe.skipIf(!real)('a real cgroup v1 container', () => {
  const name = `ns-test-${process.pid}`;
  const dirs = [`${v1}/${name}`, `/sys/fs/cgroup/pids/${name}`];
  const children: ChildProcess[] = [];
  let dir: string;
  let conf: string;
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), 'ns-cg1-'));
    conf = join(dir, 'conf');
    writeFileSync(conf, `state=${dir}/state\npath=/usr/sbin:/usr/bin:/sbin:/bin\n`);
    for (const d of dirs) mkdirSync(d);
    for (const own of ['httpd', 'first']) copyFileSync(realpathSync(which('sleep') ?? '/bin/sleep'), join(dir, own));
  });
  afterEach(async () => {
    for (const child of children.splice(0)) child.kill('SIGKILL');
    for (const d of dirs) {
      await until(
        () => {
          rmdirSync(d);
          return true;
        },
        { what: `${d} is empty` },
      );
    }
    rmSync(dir, { recursive: true });
  });
  const start = async (own: string): Promise<{ pid: number; ticks: string }> => {
    const child = spawn(join(dir, own), ['300'], { stdio: 'ignore' });
    children.push(child);
    await until(() => readFileSync(`/proc/${child.pid}/comm`, 'utf8').trim() === own);
    for (const d of dirs) writeFileSync(join(d, 'cgroup.procs'), String(child.pid));
    return {
      pid: child.pid!,
      ticks: readFileSync(`/proc/${child.pid}/stat`, 'utf8')
        .replace(/^.*\) /s, '')
        .split(' ')[19]!,
    };
  };

  test('it cannot be entered when it is full, is relieved by ending runaways, and by more room', async () => {
    const first = await start('first');
    const all = [];
    for (let i = 0; i < 9; i++) all.push(await start('httpd'));
    // A shell that moves in and starts one more: two.
    writeFileSync(`/sys/fs/cgroup/pids/${name}/pids.max`, '10');
    const target = ['engine cgroup', `cgroup ${name}`];
    const full = await ask(conf, ['verb look', ...target, 'want counters', 'want processes', 'want enter', 'enter-ms 500']);
    expect(full).toMatchObject({ running: true, enteredInMs: null });
    expect(full.processes!.filter((p) => p.comm === 'httpd')).toHaveLength(9);
    expect(full.incarnation).toMatch(new RegExp(`^${first.ticks}\\.`));
    expect(full.counters!.map((c) => [c.resource, c.limit])).toEqual([
      ['memory', Number.MAX_SAFE_INTEGER],
      ['pids', 10],
    ]);
    const relieved = await ask(conf, [
      'verb ensure-enterable',
      'op a.kill',
      ...target,
      `incarnation ${full.incarnation}`,
      ...soon,
      'enter-ms 500',
      'max-kills 50',
      'runaway httpd',
      ...all.map(({ pid, ticks }) => `candidate ${pid}:${ticks}`),
    ]);
    expect(relieved.result).toEqual({ word: 'done', reason: 'changed' });
    expect(relieved.killed).toHaveLength(4);
    expect(relieved.enteredInMs).toBeLessThanOrEqual(500);

    const raised = await ask(conf, [
      'verb ensure-limit',
      'op a.raise',
      ...target,
      `incarnation ${full.incarnation}`,
      ...soon,
      'resource memory',
      'barrier 104857600',
      'limit 104857600',
    ]);
    expect(raised.result).toEqual({ word: 'done', reason: 'changed' });
    expect(readFileSync(`${v1}/${name}/memory.limit_in_bytes`, 'utf8')).toBe('104857600\n');
    expect(raised.is).toEqual({ barrier: 104_857_600, limit: 104_857_600 });
  });
});
