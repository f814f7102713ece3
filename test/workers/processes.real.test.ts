import { spawn, type ChildProcess } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { closeSync, openSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openAuditLog, type AuditLog } from '../../activities/audit-log.js';
import { connectNats, jetstream, type NatsConnection } from '../../activities/nats.js';
import { problemId } from '../../events/incident.js';
import { inCheckout } from '../../stack/root.js';
import { VIEW, type IncidentView } from '../../workflows/messages.js';
import { freePort, natsServer, temporalServer, type TestNats, type TestTemporal } from '../servers.js';
import { until } from '../until.js';
import { spike } from './events.js';

/** The two processes as `npm start` runs them, from build/, on servers without accounts. */
let nats: TestNats;
let temporal: TestTemporal;
let dir: string;
let nc: NatsConnection;
let audit: AuditLog;
let client: Client;
let temporalConnection: Connection;
const children = new Map<string, ChildProcess>();
const ports = { engine: 0, effector: 0 };
type Role = keyof typeof ports;

const yaml = (o: { verifyFor?: string; bad?: boolean } = {}): string => `
version: 1
site: lab
fleet:
  hosts:
    dauntless: { transport: local, helperConfigFile: ${join(dir, 'helper.conf')}, containers: { "204": { engine: openvz, service: httpd, runaways: [httpd] } } }
rules:
  - { name: spikes, on: container.failcnt_spike, when: ${o.bad === true ? 'event.dleta >= 5' : 'event.delta >= 5'}, playbook: relieve-container, mode: auto }
policy:
  profile: lab
  relieveContainer: { verifyFor: ${o.verifyFor ?? '8s'}, watchFor: 3s, enterWithin: 1s }
`;

const start = async (role: Role): Promise<void> => {
  const settings = {
    role,
    site: 'lab',
    dir,
    dataDir: join(dir, 'data', role),
    healthPort: ports[role],
    logLevel: 'info',
    nats: { servers: nats.url },
    temporal: { address: temporal.address, namespace: temporal.namespace },
    configFile: join(dir, 'nightshift.yaml'),
    bundleFile: inCheckout('build', 'workflow-bundle.js'),
    helperFile: inCheckout('activities', 'far-side', 'nightshift-helper'),
  };
  await mkdir(settings.dataDir, { recursive: true });
  await writeFile(join(dir, `${role}.json`), JSON.stringify(settings));
  const log = openSync(join(dir, `${role}.log`), 'a');
  const child = spawn(process.execPath, [inCheckout('build', 'workers', role, 'main.js'), '--settings', join(dir, `${role}.json`)], {
    stdio: ['ignore', log, log],
  });
  closeSync(log);
  children.set(role, child);
  await until(
    async () => {
      if (child.exitCode !== null) throw new Error(await readFile(join(dir, `${role}.log`), 'utf8'));
      return (await fetch(`http://127.0.0.1:${ports[role]}/healthz`)).status === 200;
    },
    { timeoutMs: 30_000, what: `${role} serving` },
  );
};
const end = async (role: Role, signal: NodeJS.Signals): Promise<number | null> => {
  const child = children.get(role) as ChildProcess;
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve));
  child.kill(signal);
  return exited;
};
const ask = async (subject: string): Promise<Record<string, unknown>> => (await nc.request(subject, '{}', { timeout: 5_000 })).json();
const publish = (): Promise<unknown> => jetstream(nc).publish('evt.lab.dauntless.container', JSON.stringify(spike('dauntless')));
const PROBLEM = problemId('lab', 'dauntless', '204/tcpsndbuf', 'relieve-container');
const view = (): Promise<IncidentView | null> =>
  client.workflow
    .getHandle(PROBLEM)
    .query<IncidentView>(VIEW)
    .catch(() => null);

beforeAll(async () => {
  [nats, temporal] = await Promise.all([natsServer(), temporalServer()]);
  dir = await mkdtemp(join(tmpdir(), 'nightshift-processes-'));
  [ports.engine, ports.effector] = [await freePort(), await freePort()];
  await writeFile(join(dir, 'nightshift.yaml'), yaml());
  await writeFile(
    join(dir, 'helper.conf'),
    `beancounters=${join(dir, 'none')}\nproc=/proc\nstate=${join(dir, 'far-side')}\npath=/usr/bin:/bin\ncgroup=/sys/fs/cgroup\n`,
  );
  nc = await connectNats({ servers: nats.url, name: 'test' });
  audit = await openAuditLog(nc);
  temporalConnection = await Connection.connect({ address: temporal.address });
  client = new Client({ connection: temporalConnection, namespace: temporal.namespace });
  await Promise.all([start('engine'), start('effector')]);
}, 90_000);
afterAll(async () => {
  for (const child of children.values()) if (child.exitCode === null) child.kill('SIGKILL');
  await nc.close();
  await temporalConnection.close();
  await Promise.all([nats.close(), temporal.close()]);
  await rm(dir, { recursive: true, force: true });
});

test('both say which configuration is in force, and answer health and metrics', async () => {
  const configs = await until(async () => {
    const all = await audit.all({ facts: ['config'] });
    return all.length >= 2 && all;
  });
  expect(configs.map(({ record }) => record.by).sort()).toEqual(['effector', 'engine']);
  for (const port of Object.values(ports)) {
    expect(await (await fetch(`http://127.0.0.1:${port}/healthz`)).json()).toMatchObject({ ok: true, checks: { nats: { ok: true }, temporal: { ok: true } } });
    expect(await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()).toContain('process_cpu_seconds_total');
  }
});

test('a spike becomes an incident that asks the effector for looks, and the audit tells it', async () => {
  await publish();
  const seen = await until(view, { timeoutMs: 15_000 });
  expect(seen).toMatchObject({ problem: PROBLEM, playbook: 'relieve-container' });
  // There is no OpenVZ here: the look finds nothing, says so, and nothing is touched.
  await until(async () => (await audit.ofIncident(seen.incident)).some(({ record }) => record.fact === 'looked' || record.fact === 'decided'), {
    timeoutMs: 30_000,
  });
  expect((await audit.ofIncident(seen.incident)).some(({ record }) => record.fact === 'outcome' && record.changed)).toBe(false);
});

test('a bad configuration is refused and the last good one stays; a good one is taken', async () => {
  const before = (await until(async () => (await audit.all({ facts: ['config'] })).at(-1)))?.record;
  await writeFile(join(dir, 'nightshift.yaml'), yaml({ bad: true }));
  for (const role of ['engine', 'effector']) {
    const said = await ask(`ctl.lab.reload.${role}`);
    expect(said).toMatchObject({ accepted: false, version: before?.fact === 'config' ? before.config : '' });
    expect(JSON.stringify(said['problems'])).toContain('dleta');
  }
  await writeFile(join(dir, 'nightshift.yaml'), yaml({ verifyFor: '9s' }));
  const [a, b] = [await ask('ctl.lab.reload.engine'), await ask('ctl.lab.reload.effector')];
  expect(a).toMatchObject({ accepted: true, version: b['version'] });
  expect((await audit.all({ facts: ['config'] })).filter(({ record }) => record.fact === 'config' && !record.accepted)).toHaveLength(2);
});

test('intake rests when it is asked to, and goes on', async () => {
  expect(await ask('ctl.lab.intake.pause')).toEqual({ paused: true });
  const health = async (): Promise<string> =>
    ((await (await fetch(`http://127.0.0.1:${ports.engine}/healthz`)).json()) as { checks: { intake: { detail: string } } }).checks.intake.detail;
  await until(async () => (await health()).startsWith('resting'));
  expect(await ask('ctl.lab.intake.resume')).toEqual({ paused: false });
  await until(async () => (await health()).startsWith('pulling'));
});

test('killed and started again, both go on: the incident is the same', async () => {
  const before = await until(view);
  await Promise.all([end('engine', 'SIGKILL'), end('effector', 'SIGKILL')]);
  await Promise.all([start('engine'), start('effector')]);
  await publish();
  expect((await until(view, { timeoutMs: 20_000 })).incident).toBe(before.incident);
  expect(await audit.all({ facts: ['opened'] })).toHaveLength(1);
}, 90_000);

test('asked to end, both end in order and with 0', async () => {
  expect(await Promise.all([end('engine', 'SIGTERM'), end('effector', 'SIGTERM')])).toEqual([0, 0]);
}, 60_000);

test('failpoints are refused outside of the lab', async () => {
  await writeFile(
    join(dir, 'nightshift.yaml'),
    yaml()
      .replace('profile: lab', 'profile: production')
      .replace(/relieveContainer.*\n/, '\n'),
  );
  const settings = JSON.parse(await readFile(join(dir, 'effector.json'), 'utf8')) as object;
  await writeFile(join(dir, 'failing.json'), JSON.stringify({ ...settings, dataDir: join(dir, 'data', 'failing'), failpoints: join(dir, 'failpoints') }));
  const child = spawn(process.execPath, [inCheckout('build', 'workers', 'effector', 'main.js'), '--settings', join(dir, 'failing.json')], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  expect(await new Promise((resolve) => child.once('exit', resolve))).toBe(1);
  expect(said).toContain('failpoints are for the lab');
});
