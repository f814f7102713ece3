import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createFarSide } from '../../activities/far-side/create-far-side.js';
import type { FarSide } from '../../activities/far-side/far-side.js';
import { FarSideFailure } from '../../activities/far-side/far-side-failure.js';
import type { FarSideRequest } from '../../activities/far-side/request.js';
import { createPerHostLimit } from '../../activities/per-host-limit.js';
import { createLocalTransport } from '../../activities/transports/local.js';
import { createSshTransport } from '../../activities/transports/ssh.js';
import { createVerbs } from '../../activities/verbs/index.js';
import { container, type Host } from '../../config/schema.js';
import { until } from '../until.js';
import { helperFile, managedHost, type ManagedHost } from './fixtures/managed-host.js';
import { mustSkipWithout } from './fixtures/needs.js';
import { freePort, sshServer, type SshServer } from './fixtures/ssh-server.js';

const look: FarSideRequest = { verb: 'look', target: { engine: 'openvz', container: '204' }, want: ['counters'], enterMs: 500 };
const limits = () => ({ reads: createPerHostLimit({ atOnce: 4, waiting: 20 }), effects: createPerHostLimit({ atOnce: 4, waiting: 20 }) });

describe.skipIf(mustSkipWithout('sshd') || mustSkipWithout('ssh'))('hosts over a real sshd', () => {
  let managed: ManagedHost;
  let server: SshServer;
  let farSide: FarSide;
  const more: { close(): unknown }[] = [];
  const shop = container.parse({ engine: 'openvz', service: 'httpd', runaways: ['httpd'], ceilings: { tcpsndbuf: { barrier: 7_000_000, limit: 8_000_000 } } });

  beforeAll(async () => {
    managed = await managedHost('dash');
    server = await sshServer(`sh ${helperFile} --conf ${managed.conf}`, { 204: shop });
    farSide = createFarSide({ ssh: createSshTransport({ connectTimeoutSeconds: 2 }), local: createLocalTransport({ helperFile }), limits: limits() });
  });
  afterEach(async () => {
    for (const thing of more.splice(0)) await thing.close();
  });
  afterAll(async () => {
    await farSide?.close();
    server?.close();
    managed?.close();
  });

  const failureOf = async (host: Host, options: { timeoutMs?: number; partial?: boolean; signal?: AbortSignal } = {}): Promise<FarSideFailure> => {
    const error: unknown = await farSide.request(host, look, { timeoutMs: 10_000, ...options }).then(
      (answer) => answer,
      (reason: unknown) => reason,
    );
    if (!(error instanceof FarSideFailure)) throw new Error(`no failure but ${JSON.stringify(error)} ${String(error)}`);
    return error;
  };
  const withSsh = (changes: Partial<NonNullable<Host['ssh']>>, host: Partial<Host> = {}): Host => ({
    ...server.host,
    ...host,
    ssh: { ...server.host.ssh!, ...changes },
  });
  const serverWith = async (command: string): Promise<SshServer> => {
    const other = await sshServer(command, { 204: shop });
    more.push(other);
    return other;
  };

  test('a host is looked at, and one connection serves many requests', async () => {
    for (let i = 0; i < 3; i++) expect((await farSide.request(server.host, look, { timeoutMs: 10_000 })).counters).toHaveLength(2);
    const answers = await Promise.all([1, 2, 3, 4, 5, 6].map(() => farSide.request(server.host, look, { timeoutMs: 10_000 })));
    expect(answers.every((a) => a.whole)).toBe(true);
    expect(server.logins()).toBe(1);
  });

  test('a host whose key is not the pinned one gets nothing', async () => {
    const other = await serverWith('true');
    writeFileSync(other.host.ssh!.knownHostsFile, '');
    expect(await failureOf(other.host)).toMatchObject({ kind: 'unauthorized', mayHaveArrived: false });
    writeFileSync(
      other.host.ssh!.knownHostsFile,
      execFileSync('sed', ['s/^.*$/[127.0.0.1]:PORT &/', server.host.ssh!.knownHostsFile], { encoding: 'utf8' }).replace(
        /^\S+ \S+/,
        `[127.0.0.1]:${other.port}`,
      ),
    );
    const failure = await failureOf(other.host);
    expect(failure).toMatchObject({ kind: 'unauthorized', mayHaveArrived: false });
    expect(failure.message).toMatch(/host key is not the pinned one/);
    expect(other.logins()).toBe(0);
  });

  test('a host that does not take our key is not asked again', async () => {
    const other = await serverWith('true');
    const failure = await failureOf(withSsh({ keyFile: other.host.ssh!.keyFile }));
    expect(failure).toMatchObject({ kind: 'unauthorized', mayHaveArrived: false });
    expect(failure.message).toMatch(/does not take our key/);
    expect(await failureOf(withSsh({ keyFile: '/no/such/key' }))).toMatchObject({ kind: 'unauthorized' });
  });

  test('a host without sshd is unreachable at once', async () => {
    const startedAt = Date.now();
    expect(await failureOf(withSsh({ port: await freePort() }))).toMatchObject({ kind: 'unreachable', mayHaveArrived: false });
    expect(Date.now() - startedAt).toBeLessThan(1500);
    expect(await failureOf(withSsh({}, { address: 'no-such-host.invalid' }))).toMatchObject({ kind: 'unreachable', mayHaveArrived: false });
  });

  test('a host that takes the connection and says nothing is unreachable in time', async () => {
    const silent = await listen(() => undefined);
    const failure = await failureOf(withSsh({ port: silent.port }));
    expect(failure).toMatchObject({ kind: 'unreachable', mayHaveArrived: false });
    expect(failure.message).toMatch(/it hangs/);
    more.push(silent);
  });

  test('dead hosts take no turns from the living', async () => {
    const silent = await listen(() => undefined);
    more.push(silent);
    const dead = Array.from({ length: 12 }, () => failureOf(withSsh({ port: silent.port }), { timeoutMs: 6000 }));
    const startedAt = Date.now();
    expect((await farSide.request(server.host, look, { timeoutMs: 10_000 })).whole).toBe(true);
    expect(Date.now() - startedAt).toBeLessThan(2000);
    for (const failure of await Promise.all(dead)) expect(['unreachable', 'incomplete']).toContain(failure.kind);
  });

  test('something that is no sshd is unreachable', async () => {
    const web = await listen((socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    more.push(web);
    expect(await failureOf(withSsh({ port: web.port }))).toMatchObject({ kind: 'unreachable' });
  });

  test('an answer that breaks off is incomplete, and a look may make do with what came', async () => {
    const half = await serverWith(
      `printf 'nightshift 1\\nclock 100 -\\nload 0.50\\ncounter tcpsndbuf 1 2 3 4 5\\npart counters ok\\nrunni'; sleep 0.2; kill -9 $PPID`,
    );
    expect(await failureOf(half.host)).toMatchObject({ kind: 'incomplete', mayHaveArrived: true });
    const answer = await farSide.request(half.host, look, { timeoutMs: 10_000, partial: true });
    expect(answer).toMatchObject({ whole: false, result: null, load1: 0.5, running: null, counters: [{ resource: 'tcpsndbuf', failcnt: 5 }], processes: null });
  });

  test('a host that says something else is refused, not believed', async () => {
    const chatty = await serverWith(`echo 'Welcome to dauntless'; echo 'nightshift 1'; echo 'result done read'; echo end`);
    expect(await failureOf(chatty.host)).toMatchObject({ kind: 'refused' });
    const missing = await serverWith('sh /no/such/helper');
    expect(await failureOf(missing.host)).toMatchObject({ kind: 'refused' });
  });

  test('an answer without end is not waited for, nor read without limit', async () => {
    const hanging = await serverWith('sleep 15');
    expect(await failureOf(hanging.host, { timeoutMs: 1000 })).toMatchObject({ kind: 'unreachable', mayHaveArrived: true });
    const endless = await serverWith(`printf 'nightshift 1\\nclock 100 -\\n'; yes 'detail x'`);
    const failure = await failureOf(endless.host, { timeoutMs: 30_000 });
    expect(failure).toMatchObject({ kind: 'incomplete' });
    expect(failure.message).toMatch(/more than \d+ bytes/);
  });

  test('a caller who leaves is let go at once', async () => {
    const hanging = await serverWith('sleep 15');
    const leave = new AbortController();
    const asked = farSide.request(hanging.host, look, { timeoutMs: 60_000, signal: leave.signal });
    await until(() => hanging.logins() === 1);
    leave.abort(new Error('the activity was cancelled'));
    await expect(asked).rejects.toThrow('the activity was cancelled');
  });

  test('nothing in the configuration becomes an option of ssh', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'ns-hostile-'));
    more.push({ close: () => rmSync(dir, { recursive: true }) });
    const canary = join(dir, 'canary');
    for (const host of [
      withSsh({}, { address: `-oProxyCommand=touch ${canary}` }),
      withSsh({ user: `-oProxyCommand=touch ${canary}` }),
      withSsh({ user: 'root -o' }),
      withSsh({ keyFile: `key"\n ProxyCommand touch ${canary}` }),
      withSsh({ knownHostsFile: `/x" "/y` }),
      withSsh({ knownHostsFile: `relative` }),
    ])
      expect(await failureOf(host)).toMatchObject({ kind: 'refused', mayHaveArrived: false });
    // Tokens of ssh in a path stay what they are: this file does not exist, and none of that name appears.
    expect(await failureOf(withSsh({ keyFile: join(dir, '%h%p') }))).toMatchObject({ kind: 'unauthorized' });
    expect(existsSync(canary)).toBe(false);
    expect(readdirSync(dir)).toEqual([]);
  });

  test('the key can do nothing but ask the helper', () => {
    const { user, port, keyFile, knownHostsFile } = server.host.ssh!;
    const said = execFileSync(
      'ssh',
      [
        '-F',
        '/dev/null',
        '-T',
        '-o',
        'BatchMode=yes',
        '-o',
        `UserKnownHostsFile=${knownHostsFile}`,
        '-o',
        'IdentitiesOnly=yes',
        '-i',
        keyFile,
        '-p',
        String(port),
        '-l',
        user,
        '--',
        '127.0.0.1',
        'touch',
        join(managed.dir, 'canary'),
      ],
      { encoding: 'utf8', input: '' },
    );
    expect(said).toContain('result refused command-given');
    expect(existsSync(join(managed.dir, 'canary'))).toBe(false);
  });

  test('an effect whose connection breaks is asked after, not repeated', async () => {
    const verbs = createVerbs({ farSide });
    const ctx = { hostName: 'dauntless', host: server.host, containerName: '204', container: shop };
    const all = [];
    for (let i = 0; i < 10; i++) all.push(await managed.start('httpd', { stubborn: true }));
    managed.enterableBelow(2);
    const look1 = await verbs['container.ensure-limit'].read(ctx, { resource: 'tcpsndbuf', barrier: 1, limit: 1, incarnation: '0' });
    const args = { incarnation: look1.incarnation!, maxKills: 50, enterWithinMs: 300, candidates: all.map(({ pid, ticks }) => ({ pid, startTicks: ticks })) };
    const acting = verbs['container.ensure-enterable'].act(ctx, args, { operation: 'i-1.kill', deadlineMs: 15_000 });
    await until(() => existsSync(join(managed.dir, 'state/ops/i-1.kill/progress')), { what: 'the killing has begun' });
    server.dropConnections();
    const outcome = await acting;
    expect(outcome).toMatchObject({ state: 'done', changed: true, data: { killed: 8, left: 2 } });
    expect(managed.effectsLog()).toHaveLength(8);
    expect(await verbs['container.ensure-enterable'].recall(ctx, 'i-1.kill')).toMatchObject({ state: 'done', data: { killed: 8 } });
    expect(await verbs['container.ensure-enterable'].recall(ctx, 'i-1.never')).toEqual({ state: 'never' });
    for (const { pid } of all) if (managed.alive(pid)) process.kill(pid, 'SIGKILL');
  });

  test('an effect that a stopped host gets too late is not begun there', async () => {
    const verbs = createVerbs({ farSide });
    const ctx = { hostName: 'dauntless', host: server.host, containerName: '204', container: shop };
    managed.enterableBelow(1000);
    const now = await verbs['container.ensure-limit'].read(ctx, { resource: 'tcpsndbuf', barrier: 1, limit: 1, incarnation: '0' });
    // The helper starts only after two seconds, as on a host that was stopped when the request came.
    const slow = await serverWith(`sleep 2; exec sh ${helperFile} --conf ${managed.conf}`);
    const late = { ...ctx, host: slow.host };
    await farSide.request(slow.host, look, { timeoutMs: 10_000 });
    const outcome = await verbs['container.ensure-limit'].act(
      late,
      { resource: 'tcpsndbuf', barrier: 5_000_000, limit: 6_000_000, incarnation: now.incarnation! },
      { operation: 'i-1.raise', deadlineMs: 1000 },
    );
    expect(outcome).toMatchObject({ state: 'refused', reason: 'too-late' });
    expect(managed.vzctlLog()).toEqual([]);
  });

  test('a directory too long for a socket is refused when the transport is made', () => {
    expect(() => createSshTransport({ runtimeDir: `/tmp/${'x'.repeat(90)}` })).toThrow(/too long for a socket/);
  });
});

async function listen(serve: (socket: import('node:net').Socket) => void): Promise<{ port: number; close(): Promise<void> }> {
  const sockets = new Set<import('node:net').Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    serve(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as { port: number }).port,
    close: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}
