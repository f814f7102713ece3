import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, mkdir, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { STACK_MARK, becomeSupervisor, endLeftovers, processesOf } from '../../stack/adopt.js';
import { keepRunning, type Child, type ChildSpec } from '../../stack/children.js';
import { intakeWanted, watchDisk } from '../../stack/disk.js';
import { openLog, rotateLog } from '../../stack/logs.js';
import { startOptions } from '../../stack/options.js';
import { writeUnlessEdited } from '../../stack/own-file.js';
import { openPids } from '../../stack/pids.js';
import { PortTaken, ensurePortsFree, holderOf, portsFrom } from '../../stack/ports.js';
import { carrying, isAlive, processEntry, type ProcessId } from '../../stack/process-table.js';
import { freeBasePort } from '../servers.js';
import { until } from '../until.js';

let dir: string;
let said: string[];
const cleanUp: (() => unknown)[] = [];
const say = (line: string): void => void said.push(line);
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'nightshift-stack-'));
  await mkdir(join(dir, 'run'));
  said = [];
});
afterEach(async () => {
  for (const work of cleanUp.splice(0).toReversed()) await work();
  await rm(dir, { recursive: true, force: true });
});

const idOf = (pid: number | undefined): ProcessId => {
  const entry = processEntry(pid ?? 0);
  if (entry === null) throw new Error(`no process ${pid}`);
  return { pid: entry.pid, startTicks: entry.startTicks };
};
/** A process of our own that is ended with the test whatever happens. */
function running(script: string, env: Record<string, string> = {}): ChildProcess {
  const child = spawn(process.execPath, ['-e', script], { detached: true, stdio: ['ignore', 'pipe', 'inherit'], env: { PATH: process.env['PATH'], ...env } });
  const id = idOf(child.pid);
  cleanUp.push(() => isAlive(id) && process.kill(id.pid, 'SIGKILL'));
  return child;
}
const FOREVER = 'setInterval(() => {}, 1000);';

/** A child that says so in a file when it serves, and leaves a line for each of its lives. */
function spec(script: string, more: Partial<ChildSpec> = {}): ChildSpec {
  const ready = join(dir, 'ready');
  const prelude = `const fs = require('fs'); const child = require('child_process'); const DIR = ${JSON.stringify(dir)}; fs.appendFileSync(DIR + '/lives', process.pid + '\\n');`;
  return {
    role: 'agent',
    argv: [process.execPath, '-e', `${prelude}${script}`],
    env: { PATH: process.env['PATH'], [STACK_MARK]: dir },
    logFile: join(dir, 'agent.log'),
    serves: async () => (await readFile(ready, 'utf8')).includes(`${(await lives()).at(-1)}`),
    graceMs: 2_000,
    familyDiesToo: false,
    ...more,
  };
}
const SERVE = "fs.writeFileSync(DIR + '/ready', String(process.pid)); setInterval(() => {}, 1000);";
const lives = async (): Promise<number[]> => (await readFile(join(dir, 'lives'), 'utf8')).trim().split('\n').map(Number);

function keep(childSpec: ChildSpec, changed: (change: string) => void = () => {}): Child {
  const child = keepRunning(childSpec, { pids: openPids(dir, 'mark-of-test', say), say, changed });
  cleanUp.push(() => child.stop());
  return child;
}

test('a child that is killed is started again, and it is said', async () => {
  const changes: string[] = [];
  const child = keep(spec(SERVE), (change) => void changes.push(change));
  await child.up;
  const first = child.current;
  process.kill(first?.pid ?? 0, 'SIGKILL');
  await until(() => changes.includes('restarted'));
  expect(child.current?.pid).not.toBe(first?.pid);
  expect(said.join('\n')).toMatch(/agent \(process \d+\) was ended by SIGKILL after .* starting it again in 250 ms; its log: .*agent\.log/);
  expect(changes).toEqual(['started', 'restarted']);
});

test('a child that keeps dying is waited for longer each time', async () => {
  const child = keep(spec("fs.writeFileSync(DIR + '/ready', String(process.pid)); setTimeout(() => process.exit(3), 150);"));
  await child.up;
  await until(() => said.filter((line) => line.includes('starting it again')).length >= 3);
  expect(said.filter((line) => line.includes('starting it again')).map((line) => /in (\d+) ms/.exec(line)?.[1])).toEqual(['250', '500', '1000']);
});

test('a child that cannot come up is given up after three tries, with the name of its log', async () => {
  const child = keep(spec("console.error('no such setting'); process.exit(2);"));
  await expect(child.up).rejects.toThrow(/agent does not come up: it \(process \d+\) ended with exit code 2 after .*; its log is .*agent\.log/);
  expect(await lives()).toHaveLength(3);
  expect(await readFile(join(dir, 'agent.log'), 'utf8')).toContain('no such setting');
});

test('a child that does not listen to SIGTERM is ended all the same, and what it started with it', async () => {
  const grandchild = `child.spawn(process.execPath, ['-e', "process.on('SIGTERM', () => {}); setInterval(() => {}, 1000)"], { stdio: 'ignore' });`;
  const child = keep(spec(`process.on('SIGTERM', () => {}); ${grandchild} ${SERVE}`, { graceMs: 300 }));
  await child.up;
  const family = await until(() => {
    const found = carrying(STACK_MARK, dir);
    return found.length === 2 && found;
  });
  await child.stop();
  expect(family.filter(isAlive)).toEqual([]);
  expect(said).toEqual([]);
});

test('what an effector has begun outlives the effector, and what a lab host ran dies with it', async () => {
  const withGrandchild = `const g = child.spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' }); fs.writeFileSync(DIR + '/g' + process.pid, String(g.pid)); ${SERVE}`;
  for (const familyDiesToo of [false, true]) {
    await rm(join(dir, 'ready'), { force: true });
    const child = keep(spec(withGrandchild, { familyDiesToo }));
    await child.up;
    const pid = child.current?.pid ?? 0;
    const grandchild = idOf(Number(await readFile(join(dir, `g${pid}`), 'utf8')));
    cleanUp.push(() => isAlive(grandchild) && process.kill(grandchild.pid, 'SIGKILL'));
    process.kill(pid, 'SIGKILL');
    await until(async () => (await lives()).at(-1) !== pid);
    expect(isAlive(grandchild)).toBe(!familyDiesToo);
    await child.stop();
  }
});

test('the next start ends what a killed supervisor has left, by pid and start time, daemons of daemons included', async () => {
  const leader = running(
    `const g = require('child_process').spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { detached: true, stdio: 'ignore' }); console.log(g.pid); ${FOREVER}`,
    { [STACK_MARK]: 'mark-of-test' },
  );
  const [line] = (await once(leader.stdout ?? process.stdin, 'data')) as [Buffer];
  const daemon = idOf(Number(String(line)));
  const bystander = idOf(running(FOREVER).pid);
  openPids(dir, 'mark-of-test', say).add('engine', leader.pid ?? 0);
  const leaderId = idOf(leader.pid);

  await endLeftovers(dir, say);
  expect([leaderId, daemon].filter(isAlive)).toEqual([]);
  expect(isAlive(bystander)).toBe(true);
  expect(said[0]).toContain(`engine ${leaderId.pid}`);
});

test('a process that has been given the pid of one of ours is left alone', async () => {
  const stranger = idOf(running(FOREVER).pid);
  await writeFile(
    join(dir, 'run', 'pids.json'),
    JSON.stringify({ ...JSON.parse(await recordOf()), processes: [{ role: 'engine', pid: stranger.pid, startTicks: stranger.startTicks - 1 }] }),
  );
  await endLeftovers(dir, say);
  expect(isAlive(stranger)).toBe(true);
});

test('the pid file of a directory that was copied, or of another boot, ends nothing', async () => {
  const ours = idOf(running(FOREVER, { [STACK_MARK]: 'mark-of-test' }).pid);
  openPids(dir, 'mark-of-test', say).add('engine', ours.pid);
  const copy = join(dir, 'copy');
  await mkdir(join(copy, 'run'), { recursive: true });
  const record = JSON.parse(await readFile(join(dir, 'run', 'pids.json'), 'utf8'));
  await writeFile(join(copy, 'run', 'pids.json'), JSON.stringify(record));
  await endLeftovers(copy, say);
  await writeFile(join(dir, 'run', 'pids.json'), JSON.stringify({ ...record, boot: 'another' }));
  await endLeftovers(dir, say);
  expect(isAlive(ours)).toBe(true);
});

async function recordOf(): Promise<string> {
  openPids(dir, 'mark-of-test', say);
  return readFile(join(dir, 'run', 'pids.json'), 'utf8');
}

test('a stack without leftovers has no process that carries its mark', () => {
  expect(processesOf('a mark that nobody carries', [])).toEqual([]);
});

test('a directory has one supervisor; when that one is dead the next may have it', async () => {
  const release = becomeSupervisor(dir);
  expect(() => becomeSupervisor(dir)).toThrow(new RegExp(`a stack runs in .* already \\(process ${process.pid}\\).*--base-port`));
  release();
  await writeFile(join(dir, 'run', 'supervisor.json'), JSON.stringify({ pid: process.pid, startTicks: 1, boot: 'x' }));
  becomeSupervisor(dir)();
  expect(await readdir(join(dir, 'run'))).toEqual([]);
});

test('a port that is taken is named, with who has it', async () => {
  const ports = portsFrom(await freeBasePort());
  const server = createServer().listen(ports.effector, '127.0.0.1');
  cleanUp.push(() => server.close());
  await once(server, 'listening');
  const refusal = await ensurePortsFree(ports).catch((error: unknown) => error);
  expect(refusal).toBeInstanceOf(PortTaken);
  expect((refusal as Error).message).toMatch(
    new RegExp(`^port ${ports.effector} on 127.0.0.1 \\(for effector\\) is taken by process ${process.pid} .*--base-port`),
  );
  expect(holderOf(ports.effector)?.pid).toBe(process.pid);
});

test('a log above its size is moved on and the writer goes on writing into the emptied file', async () => {
  const path = join(dir, 'engine.log');
  const descriptor = openLog(path);
  const child = spawn(process.execPath, ['-e', "process.stdin.on('data', (d) => process.stdout.write(d))"], { stdio: ['pipe', descriptor, 'inherit'] });
  cleanUp.push(() => child.kill('SIGKILL'));
  child.stdin?.write('a'.repeat(5_000));
  await until(async () => (await stat(path)).size === 5_000);
  expect(await rotateLog(path, 10_000)).toBe(false);
  expect(await rotateLog(path, 4_000)).toBe(true);
  child.stdin?.write('after');
  await until(async () => (await readFile(path, 'utf8')) === 'after');
  expect((await readFile(`${path}.1`, 'utf8')).length).toBe(5_000);
  for (let i = 0; i < 5; i += 1) {
    await appendFile(path, 'b'.repeat(5_000));
    await rotateLog(path, 4_000);
  }
  expect((await readdir(dir)).filter((name) => name.startsWith('engine.log')).toSorted()).toEqual([
    'engine.log',
    'engine.log.1',
    'engine.log.2',
    'engine.log.3',
  ]);
});

test('intake shuts below the minimum and opens again only with a quarter more', () => {
  expect(intakeWanted(199, 200, true)).toBe(false);
  expect(intakeWanted(200, 200, false)).toBe(false);
  expect(intakeWanted(250, 200, false)).toBe(true);
});

test('a disk that fills shuts intake once, says what it could not do, and opens it when there is room', async () => {
  const free = [300, 100, 100, 90, 240, 400, 400];
  const done: string[] = [];
  const end = new AbortController();
  let refuse = true;
  await watchDisk({
    minFreeBytes: 200,
    signal: end.signal,
    say,
    free: async () => free.shift() ?? 400,
    pause: async () => (free.length === 0 ? end.abort() : undefined),
    async shut() {
      if (refuse) {
        refuse = false;
        throw new Error('NATS does not answer');
      }
      done.push('shut');
    },
    reopen: async () => void done.push('open'),
  });
  expect(done).toEqual(['shut', 'open']);
  expect(said).toEqual(['watching the disk: NATS does not answer; trying again every second']);
});

test('a configuration that somebody has edited is never written over', async () => {
  const [path, hash] = [join(dir, 'nightshift.yaml'), join(dir, 'run', 'hash')];
  expect(await writeUnlessEdited(path, 'one', hash)).toBe('ours');
  expect(await writeUnlessEdited(path, 'two', hash)).toBe('ours');
  await appendFile(path, ' edited');
  expect(await writeUnlessEdited(path, 'three', hash)).toBe('theirs');
  expect(await readFile(path, 'utf8')).toBe('two edited');
});

test('options of npm start', () => {
  expect(startOptions([], '/home/x')).toMatchObject({ basePort: 7400, drill: 'relieve-container', once: false, configFile: null });
  expect(startOptions(['--dir', 'here', '--base-port', '7500', '--no-drill'], '/home/x')).toMatchObject({ dir: '/home/x/here', basePort: 7500, drill: null });
  expect(startOptions(['--help'], '/')).toBeNull();
  for (const wrong of [['--dirr', 'x'], ['--base-port', 'many'], ['--no-drill', '--once'], ['something']]) expect(() => startOptions(wrong, '/')).toThrow();
});
