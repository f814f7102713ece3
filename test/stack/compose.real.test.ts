import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { prepareCompose } from '../../stack/compose.js';
import { layoutOf } from '../../stack/layout.js';
import { DEFAULT_BASE_PORT, portsFrom } from '../../stack/ports.js';
import { childSpecs, settingsFiles, type StackPlan } from '../../stack/processes.js';
import { inCheckout } from '../../stack/root.js';
import { ROLES } from '../../stack/stack-file.js';
import { settings } from '../../stack/settings.js';
import { DYNAMIC_CONFIG, NAMESPACE } from '../../stack/temporal.js';
import { servers } from '../servers.js';

interface Service {
  image?: string;
  command?: string[];
  ports?: string[];
  environment?: Record<string, string>;
  network_mode?: string;
  volumes?: string[];
}
let services: Record<string, Service>;
let dir: string;
let plan: StackPlan;
const ports = portsFrom(DEFAULT_BASE_PORT);

beforeAll(async () => {
  services = parse(await readFile(inCheckout('docker-compose.yml'), 'utf8'), { merge: true }).services;
  dir = await mkdtemp(join(tmpdir(), 'nightshift-compose-'));
  plan = await prepareCompose(dir);
});
afterAll(() => rm(dir, { recursive: true, force: true }));

const goModule = async (path: string): Promise<string> => {
  const version = new RegExp(`^\\s*${path.replaceAll('.', '\\.')} v(\\S+)`, 'm').exec(await readFile(inCheckout('stack', 'servers', 'go.mod'), 'utf8'))?.[1];
  if (version === undefined) throw new Error(`${path} is not in go.mod`);
  return version;
};

test('every role of a stack is a service, started with the very arguments of npm start', () => {
  const specs = childSpecs({ ...plan, layout: layoutOf('/stack') });
  for (const role of ROLES.filter((name) => name !== 'operator')) expect(Object.keys(services)).toContain(role);
  for (const role of ['engine', 'effector', 'agent', 'lab'] as const) {
    const [, ...args] = specs[role].argv;
    expect(services[role]?.command, role).toEqual(['node', ...args.map((arg) => arg.replace(`${inCheckout()}/`, ''))]);
  }
  expect(services['nats']?.command).toEqual(specs.nats.argv.slice(1));
});

test('the servers are those that npm start builds', async () => {
  expect(services['nats']?.image).toBe(`nats:${await goModule('github.com/nats-io/nats-server/v2')}`);
  for (const name of ['server', 'admin-tools']) {
    expect(Object.values(services).map((service) => service.image)).toContain(`temporalio/${name}:${await goModule('go.temporal.io/server')}`);
  }
  expect(services['temporal-ui']?.image).toBe(`temporalio/ui:${await goModule('github.com/temporalio/ui-server/v2')}`);
});

test('what is published has the ports of npm start and is reachable from this machine only', () => {
  const published = Object.values(services).flatMap((service) => service.ports ?? []);
  expect(published.toSorted()).toEqual([ports.nats, ports.temporal, ports.temporalUi, ports.natsMonitor].map((port) => `127.0.0.1:${port}:${port}`).toSorted());
  for (const [name, service] of Object.entries(services)) if (name !== 'net') expect(service.network_mode, name).toBe('service:net');
});

test('Temporal has the ports and the dynamic configuration of npm start', async () => {
  expect(services['temporal']?.environment).toMatchObject({
    FRONTEND_GRPC_PORT: String(ports.temporal),
    FRONTEND_HTTP_PORT: String(ports.temporalHttp),
    PROMETHEUS_ENDPOINT: `127.0.0.1:${ports.temporalMetrics}`,
  });
  expect(services['temporal-ui']?.environment).toMatchObject({ TEMPORAL_UI_PORT: String(ports.temporalUi), TEMPORAL_DEFAULT_NAMESPACE: NAMESPACE });
  const file = services['temporal']?.volumes?.[0]?.split(':')[0] ?? '';
  const dynamic = parse(await readFile(inCheckout(file), 'utf8')) as Record<string, { value: unknown }[]>;
  expect(Object.fromEntries(Object.entries(dynamic).map(([key, values]) => [key, values[0]?.value]))).toEqual(DYNAMIC_CONFIG);
});

test('each process is told what npm start would tell it, and NATS takes its configuration', async () => {
  const written = settingsFiles(plan);
  expect(written.map((one) => one.role).toSorted()).toEqual(['agent', 'effector', 'engine', 'lab']);
  for (const one of written) {
    const read = settings.parse(JSON.parse(await readFile(plan.layout.settings(one.role), 'utf8')));
    expect(read).toMatchObject({ healthPort: ports[one.role], nats: { servers: `127.0.0.1:${ports.nats}` } });
  }
  const { natsServer } = await servers();
  const { stderr } = await promisify(execFile)(natsServer, ['-t', '--config', join(dir, 'run', 'nats.conf')]);
  expect(stderr).toContain('configuration file');
  expect(await readFile(join(dir, 'run', 'nats.conf'), 'utf8')).toMatch(/^ {2}sync_interval: always$/m);
});
