import { mkdir, mkdtemp, readFile, rename, rm, rmdir, writeFile } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { jetstreamManager } from '../../activities/nats.js';
import { connectNats } from '../../activities/nats.js';
import { event, type NightshiftEvent } from '../../events/event.js';
import { helperFile } from '../activities/fixtures/managed-host.js';
import { mustSkipWithout } from '../activities/fixtures/needs.js';
import { sshServer } from '../activities/fixtures/ssh-server.js';
import { until } from '../until.js';
import { printBeancounters } from './fixtures/beancounters.js';
import { natsWithAgents, type NatsWithAgents } from './fixtures/nats-with-agents.js';
import { agentDir, removeDir, startAgent, type RunningAgent } from './fixtures/running-agent.js';

let nats: NatsWithAgents;
let dir: string;
let beancounters: string;
const running: RunningAgent[] = [];

beforeAll(async () => {
  nats = await natsWithAgents();
});
afterAll(async () => {
  await nats.close();
});
beforeEach(async () => {
  dir = await agentDir();
  beancounters = join(dir, 'user_beancounters');
});
afterEach(async () => {
  for (const agent of running.splice(0)) await agent.end('SIGKILL');
  await removeDir(dir);
});

const show = async (text: string): Promise<void> => {
  await writeFile(`${beancounters}.next`, text);
  await rename(`${beancounters}.next`, beancounters);
};
const refused = (container: string, failcnt: number): string =>
  printBeancounters([
    { uid: container, figures: { tcpsndbuf: [4_000_000, 4_000_000, 4_000_000, 4_000_000, failcnt] } },
    { uid: '0', figures: {} },
  ]);
const FAST = { sampleEveryMs: 100, quietAfterMs: 1000 };
async function agentHere(more: Partial<Parameters<typeof startAgent>[1]> = {}, args: string[] = []): Promise<RunningAgent> {
  const agent = await startAgent(dir, { servers: nats.server.url, credentialsFile: nats.agentCredentials, sources: { beancounters }, ...FAST, ...more }, args);
  running.push(agent);
  return agent;
}
const sampled = async (agent: RunningAgent, n = 2): Promise<void> => {
  const from = await agent.metric('samples_total');
  await until(async () => (await agent.metric('samples_total')) >= from + n, { what: `${n} samples` });
};
/** Everything the stream has about a container; each test has a container of its own. */
async function eventsAbout(container: string): Promise<NightshiftEvent[]> {
  const nc = await connectNats({
    servers: nats.server.url,
    credentialsFile: nats.identities.credentials.operator,
    inboxPrefix: '_INBOX.operator',
    name: 'test',
  });
  try {
    const manager = await jetstreamManager(nc, { checkAPI: false });
    const { state } = await manager.streams.info('EVT');
    const found: NightshiftEvent[] = [];
    for (let seq = state.first_seq; seq <= state.last_seq && state.messages > 0; seq += 1) {
      const message = await manager.streams.getMessage('EVT', { seq });
      const parsed = event.parse(message!.json());
      if ('container' in parsed.data && parsed.data.container === container) found.push(parsed);
    }
    return found;
  } finally {
    await nc.close();
  }
}
const soon = (container: string, ready: (events: NightshiftEvent[]) => boolean): Promise<NightshiftEvent[]> =>
  until(
    async () => {
      const events = await eventsAbout(container);
      return ready(events) ? events : false;
    },
    { timeoutMs: 20_000, everyMs: 100, what: `events about ${container}` },
  );

describe('the agent', () => {
  test('tells a rise of a counter to the stream within a moment, as the host it is, and its end', async () => {
    await show(refused('204', 90_274));
    const agent = await agentHere();
    await sampled(agent);
    expect(await agent.healthz()).toMatchObject({ status: 200, body: { ok: true } });
    await show(refused('204', 90_686));
    const events = await soon('204', (e) => e.length >= 2);
    expect(events).toMatchObject([
      {
        type: 'container.failcnt_spike',
        source: '/lab/dauntless',
        assertion: 'edge',
        data: { host: 'dauntless', resource: 'tcpsndbuf', delta: 412, held: 4_000_000 },
      },
      { type: 'container.failcnt_quiet', data: { container: '204' } },
    ]);
    expect(events[0]!.bootid).toBe((await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim());
    expect(await agent.end('SIGTERM')).toBe(0);
  });

  test('killed in a spike and started again, it says neither the old counter again nor forgets the end', async () => {
    await show(refused('301', 100));
    const first = await agentHere({ quietAfterMs: 5_000 });
    await sampled(first);
    await show(refused('301', 150));
    await soon('301', (e) => e.length === 1);
    await first.end('SIGKILL');
    await agentHere();
    const events = await soon('301', (e) => e.length >= 2);
    expect(events.map((e) => e.type)).toEqual(['container.failcnt_spike', 'container.failcnt_quiet']);
  });

  test('samples and keeps what it has to say while there is no server, and says so; then it is told', async () => {
    await show(refused('302', 1));
    const agent = await agentHere();
    await sampled(agent);
    await nats.server.kill();
    try {
      await until(async () => (await agent.healthz()).status === 503, { what: 'it says that it is not well' });
      await show(refused('302', 8));
      await until(async () => (await agent.metric('spool_pending')) >= 1, { what: 'it is in the spool' });
      // Even its own death does not lose it.
      await agent.end('SIGKILL');
    } finally {
      await nats.server.startAgain();
    }
    const again = await agentHere();
    const events = await soon('302', (e) => e.length >= 1);
    expect(events[0]).toMatchObject({ type: 'container.failcnt_spike', data: { delta: 7 } });
    await until(async () => (await again.healthz()).status === 200, { what: 'it is well again' });
  });

  test('started before the server, it takes part when the server comes', async () => {
    await show(refused('303', 1));
    await nats.server.kill();
    let agent: RunningAgent;
    try {
      agent = await agentHere();
      await sampled(agent);
      await show(refused('303', 2));
      await until(async () => (await agent.metric('spool_pending')) >= 1, { what: 'it is in the spool' });
    } finally {
      await nats.server.startAgain();
    }
    await soon('303', (e) => e.length >= 1);
  });

  test('a table that is cut short or gone is said once, is no event, and makes it unwell until it is whole again', async () => {
    await show(refused('304', 5));
    const agent = await agentHere();
    await sampled(agent);
    await show(refused('304', 900).slice(0, 700));
    await until(async () => (await agent.healthz()).status === 503, { what: 'it is unwell' });
    await sampled(agent, 5);
    await rm(beancounters);
    await sampled(agent, 5);
    await show(refused('304', 9));
    await soon('304', (e) => e.length >= 1);
    expect((await eventsAbout('304'))[0]).toMatchObject({ type: 'container.failcnt_spike', data: { delta: 4 } });
    const said = agent
      .log()
      .filter((line) => line['trouble'] === 'beancounters')
      .map((line) => line.level);
    expect(said).toEqual([40, 30]);
    expect((await agent.healthz()).status).toBe(200);
  });

  test('a spool that is full refuses aloud, and what it could not keep is told when there is room, in one', async () => {
    await show(refused('305', 0));
    await nats.server.kill();
    let agent: RunningAgent;
    try {
      // Room for one event.
      agent = await agentHere({ spoolMaxBytes: 800, quietAfterMs: 60_000 });
      await sampled(agent);
      await show(refused('305', 3));
      await until(async () => (await agent.metric('spool_pending')) === 1, { what: 'the first is kept' });
      for (let failcnt = 10; (await agent.metric('samples_refused_total')) < 5; failcnt += 10) {
        await show(refused('305', failcnt));
        await sampled(agent);
      }
      await show(refused('305', 1003));
      expect(agent.log().filter((line) => line['trouble'] === 'spool' && line.level === 40)).toHaveLength(1);
      expect((await agent.healthz()).body.checks['spool']).toMatchObject({ ok: false });
    } finally {
      await nats.server.startAgain();
    }
    const events = await soon('305', (e) => e.length >= 2);
    expect(events).toMatchObject([
      { assertion: 'edge', data: { delta: 3 } },
      { assertion: 'standing', data: { delta: 1000 } },
    ]);
  });
});

describe.skipIf(mustSkipWithout('sshd'))('a host that cannot run the agent', () => {
  test('is sampled over SSH by a key that can only read counters, with the same events', async () => {
    await show(refused('401', 7));
    await writeFile(join(dir, 'helper.conf'), `beancounters=${beancounters}\nstate=${join(dir, 'state')}\n`);
    const ssh = await sshServer(`sh ${helperFile} --conf ${join(dir, 'helper.conf')} --counters-only`);
    try {
      const { user, port, keyFile, knownHostsFile } = ssh.host.ssh!;
      const agent = await agentHere({ viaSsh: { address: 'nowhere.invalid', user, port, keyFile, knownHostsFile } }, ['--via-ssh', '127.0.0.1']);
      await sampled(agent, 3);
      expect(await agent.metric('containers')).toBe(1);
      await show(refused('401', 12));
      const events = await soon('401', (e) => e.length >= 2);
      expect(events).toMatchObject([{ type: 'container.failcnt_spike', data: { host: 'dauntless', delta: 5 } }, { type: 'container.failcnt_quiet' }]);
      expect(ssh.logins()).toBe(1);

      ssh.dropConnections();
      await show(refused('401', 20));
      await soon('401', (e) => e.length >= 3);
      expect(await agent.end('SIGTERM')).toBe(0);
    } finally {
      ssh.close();
    }
  });
});

/** A real cgroup of this machine's version 1 memory hierarchy; only root may make one. */
const V1 = '/sys/fs/cgroup/memory';
const canMakeCgroups = process.getuid?.() === 0 && existsSync(join(V1, 'memory.limit_in_bytes'));

describe.skipIf(!canMakeCgroups)('a real cgroup', () => {
  test("whose processes hit its memory limit is told of, from the kernel's own counter", async () => {
    const name = (await mkdtemp(join(tmpdir(), 'ns-cg-'))).split('/').at(-1)!.toLowerCase();
    const cgroup = join(V1, name);
    await mkdir(cgroup);
    try {
      await writeFile(join(cgroup, 'memory.limit_in_bytes'), String(16 * 1024 * 1024));
      const agent = await agentHere({ sources: { beancounters: null, cgroup1Memory: V1, containers: { 'cg-501': name } } });
      await sampled(agent);
      expect(await agent.metric('containers')).toBe(1);
      const hog = spawn('sh', ['-c', 'echo $$ >"$1/cgroup.procs" && exec dd if=/dev/zero of=/dev/null bs=64M count=1', 'sh', cgroup], { stdio: 'ignore' });
      await new Promise((resolve) => {
        hog.once('exit', resolve);
      });
      const events = await soon('cg-501', (e) => e.length >= 1);
      expect(events[0]).toMatchObject({ type: 'container.failcnt_spike', data: { resource: 'memory', limit: 16 * 1024 * 1024 } });
    } finally {
      await until(() => rmdir(cgroup).then(() => true), { what: 'the cgroup is empty' });
    }
  });
});
