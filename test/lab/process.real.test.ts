import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { chmod, mkdtemp, readFile, rm, writeFile, chown } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { connectNats, type NatsConnection } from '../../activities/nats.js';
import { labClient, type LabClient } from '../../lab/client.js';
import { labConfig } from '../../lab/config.js';
import { readLabFacts, type LabFacts } from '../../lab/facts.js';
import { cgroupName } from '../../lab/prepare.js';
import { loadConfig } from '../../config/load.js';
import { inCheckout } from '../../stack/root.js';
import { processTable } from '../../stack/process-table.js';
import { freePort, natsServer, type TestNats } from '../servers.js';
import { until } from '../until.js';
import { needs, run } from './lab-under-test.js';

/** The lab as a process, from the build, as the supervisor starts it; by root also as the least of all users. */
let nats: TestNats;
let nc: NatsConnection;
beforeAll(async () => {
  nats = await natsServer({ provisioned: false });
  nc = await connectNats({ servers: nats.url, name: 'test' });
});
const children = new Set<ChildProcess>();
afterEach(() => {
  // Only what a failed test has left: its host ends with it.
  for (const child of children) if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
  children.clear();
});
afterAll(async () => {
  await nc?.close();
  await nats?.close();
});

interface Running {
  child: ChildProcess;
  healthPort: number;
  facts: LabFacts;
  client: LabClient;
  said: () => string;
}
const NOBODY = 65_534;

/** The program and its arguments, so that it runs as that user. */
const as = (uid: number | null, ...argv: string[]): [string, string[]] =>
  uid === null ? [argv[0] ?? '', argv.slice(1)] : ['setpriv', [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups', ...argv]];

async function prepared(uid: number | null): Promise<{ dir: string; remove(): Promise<void> }> {
  const dir = await mkdtemp(join(tmpdir(), 'nightshift-lab-'));
  await chmod(dir, 0o755);
  if (uid !== null) await chown(dir, uid, uid);
  const prepare = `import(${JSON.stringify(inCheckout('build', 'lab', 'prepare.js'))}).then((m) => m.prepareLab(${JSON.stringify({ dir, sshPort: await freePort() })}))`;
  const { code, stderr } = await run(...as(uid, process.execPath, '-e', prepare));
  expect(stderr).toBe('');
  expect(code).toBe(0);
  return { dir, remove: () => rm(dir, { recursive: true, force: true }) };
}

async function started(dir: string, uid: number | null, site: string): Promise<Running> {
  const facts = readLabFacts(dir);
  const healthPort = await freePort();
  const settings = join(dir, 'settings.json');
  await writeFile(
    settings,
    JSON.stringify({ role: 'lab', site, dir, dataDir: dir, healthPort, nats: { servers: nats.url }, host: facts.host, sshPort: facts.sshPort, labDir: dir }),
  );
  const child = spawn(...as(uid, process.execPath, inCheckout('build', 'lab', 'main.js'), '--settings', settings), { stdio: ['ignore', 'pipe', 'pipe'] });
  children.add(child);
  let said = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
  await until(
    async () => {
      if (child.exitCode !== null) throw new Error(`the lab ended: ${said}`);
      return (await fetch(`http://127.0.0.1:${healthPort}/healthz`)).ok;
    },
    { timeoutMs: 15_000, what: 'the lab is healthy' },
  );
  const client = labClient(nc, site);
  await until(() => client.state().catch(() => null), { what: 'it answers' });
  return { child, healthPort, facts, client, said: () => said };
}

async function ended({ child, said }: Running, signal: NodeJS.Signals): Promise<void> {
  const exit = once(child, 'exit');
  child.kill(signal);
  const [code] = (await exit) as [number | null];
  if (signal === 'SIGTERM') expect(code, said()).toBe(0);
}

/** Everything whose command line names this directory. */
const ofDir = (dir: string): number[] =>
  processTable()
    .map(({ pid }) => pid)
    .filter((pid) => {
      try {
        return pid !== process.pid && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(dir);
      } catch {
        return false;
      }
    });
const cgroups = (dir: string): string[] =>
  ['pids', 'memory', 'cpu', 'freezer', '.'].map((one) => join('/sys/fs/cgroup', one, cgroupName(dir))).filter(existsSync);

test('an orderly end leaves nothing: no process, no cgroup, nobody listening', async () => {
  const { dir, remove } = await prepared(null);
  const lab = await started(dir, null, 'orderly');
  await lab.client.play({ scene: 'surge' });
  await until(async () => !(await lab.client.state()).enterable, { what: 'it runs away' });
  expect(ofDir(dir).length).toBeGreaterThan(60);
  await ended(lab, 'SIGTERM');
  expect(ofDir(dir)).toEqual([]);
  expect(cgroups(dir)).toEqual([]);
  await remove();
}, 60_000);

test('killed in the middle of a surge it leaves nothing that burns, and its successor cleans up the rest', async () => {
  const { dir, remove } = await prepared(null);
  const first = await started(dir, null, 'killed');
  await first.client.play({ scene: 'surge' });
  await until(async () => !(await first.client.state()).enterable, { what: 'it runs away' });
  await ended(first, 'SIGKILL');
  await until(() => ofDir(dir).length === 0, { what: 'the runaways notice that their world has ended' });

  const second = await started(dir, null, 'killed');
  expect(await second.client.state()).toMatchObject({ scene: 'quiet', workers: 6, enterable: true, tcpsndbuf: { failcnt: 0 } });
  expect((await second.client.log()).filter((line) => line.what === 'booted')).toHaveLength(2);
  await ended(second, 'SIGTERM');
  expect(cgroups(dir)).toEqual([]);
  await remove();
}, 60_000);

test('requests that make no sense are refused in words, and the lab goes on', async () => {
  const { dir, remove } = await prepared(null);
  const lab = await started(dir, null, 'words');
  const ask = async (subject: string, body: string): Promise<unknown> => (await nc.request(subject, body, { timeout: 5_000 })).json();
  expect(await ask('lab.words.play', '{"scene":"flood"}')).toMatchObject({ ok: false, error: expect.stringContaining('surge') });
  expect(await ask('lab.words.misbehave', '{"how":{"set":"explode"}}')).toMatchObject({ ok: false });
  expect(await ask('lab.words.state', 'not json')).toMatchObject({ ok: false });
  await lab.client.play({ scene: 'surge' });
  await expect(lab.client.play({ scene: 'surge' })).rejects.toThrow('reset the lab first');
  expect(await lab.client.reset()).toMatchObject({ scene: 'quiet', workers: 6 });
  await ended(lab, 'SIGTERM');
  await remove();
}, 60_000);

test('what the lab writes as nightshift.yaml is a configuration that is taken', async () => {
  const { dir, remove } = await prepared(null);
  const facts = readLabFacts(dir);
  const file = join(dir, 'nightshift.yaml');
  await writeFile(file, labConfig(facts, { site: 'lab' }));
  const loaded = await loadConfig(file);
  expect(loaded, JSON.stringify(loaded)).toMatchObject({ ok: true });
  expect(await readFile(file, 'utf8')).toContain('OpenVZ is a fake');
  await remove();
});

test('without root it is the same outage: a POSIX session stands for the cgroup, and the lab says so', async (context) => {
  const uid = process.getuid?.() === 0 ? NOBODY : null;
  needs(context, uid === null || (await run('setpriv', ['--version'])).code === 0, 'no setpriv here, to become somebody without root');
  const { dir, remove } = await prepared(uid);
  const lab = await started(dir, uid, 'nobody');
  const { facts } = lab;
  expect(facts).toMatchObject({ group: 'session', namespaces: false });
  expect(facts.notes.join('\n')).toMatch(/no root: a POSIX session stands for the container's cgroup/);
  // The shell of nobody runs no commands, so sshd could let nobody do anything.
  if (uid !== null) expect(facts).toMatchObject({ transport: 'local', keyFile: null });
  const vzctl = (...args: string[]) => run(...as(uid, join(facts.hostDir, 'usr', 'sbin', 'vzctl'), ...args));

  await lab.client.play({ scene: 'surge' });
  await until(async () => !(await lab.client.state()).enterable, { what: 'it runs away' });
  const init = processTable().find(
    ({ pid, session }) => pid === session && ofDir(dir).includes(pid) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('/vz/private/204/sbin/init'),
  );
  const members = processTable().filter(({ session }) => session === init?.pid);
  expect(members).toHaveLength(62);
  expect((await lab.client.state()).processes).toBe(62);
  if (uid !== null) expect(readdirSync(`/proc/${init?.pid}`).length > 0 && readFileSync(`/proc/${init?.pid}/status`, 'utf8')).toContain(`Uid:\t${uid}\t`);

  // The helper as the effector would start it on this machine; it enters, kills nothing here, and sees what we see.
  const look = await run(...as(uid, 'sh', facts.helperFile, '--conf', facts.helperConfigFile), {
    input: 'nightshift 1\nverb look\nengine openvz\ncontainer 204\nwant processes\nwant counters\nwant enter\nenter-ms 300\nend\n',
  });
  expect(look.stdout).toContain('enter no\n');
  const burning = look.stdout
    .split('\n')
    .filter((line) => /^process .* R .* httpd$/.test(line))
    .map((line) => Number(line.split(' ')[1]));
  expect(burning.length).toBeGreaterThanOrEqual(30);
  for (const pid of burning.slice(0, 20)) process.kill(pid, 'SIGKILL');
  await until(async () => (await lab.client.state()).enterable, { what: 'it can be entered again' });
  expect(await vzctl('exec2', '204', 'service', 'httpd', 'restart')).toMatchObject({ code: 0 });
  await vzctl('set', '204', '--save', '--tcpsndbuf', '2275124:3575194');
  await until(async () => (await lab.client.state()).tcpsndbuf.held === 3_190_632, { what: 'everybody has a buffer' });
  expect((await lab.client.log()).filter((line) => line.what === 'died' && line.by === 'outside' && line.signal === 9)).toHaveLength(20);

  await lab.client.reset();
  await lab.client.play({ scene: 'surge' });
  await until(async () => !(await lab.client.state()).enterable, { what: 'it runs away again' });
  await ended(lab, 'SIGKILL');
  await until(() => ofDir(dir).length === 0, { what: 'the runaways notice that their world has ended' });
  const again = await started(dir, uid, 'nobody');
  await ended(again, 'SIGTERM');
  expect(ofDir(dir)).toEqual([]);
  await remove();
}, 90_000);
