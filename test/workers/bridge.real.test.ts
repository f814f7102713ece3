import { fileURLToPath } from 'node:url';
import { Client } from '@temporalio/client';
import { NativeConnection, Worker } from '@temporalio/worker';
import { Registry } from 'prom-client';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openAuditLog, type AuditLog } from '../../activities/audit-log.js';
import { connectNats, jetstream, jetstreamManager, type NatsConnection } from '../../activities/nats.js';
import type { ReadyConfig } from '../../config/load.js';
import { deadLetter } from '../../events/dead-letter.js';
import { BRIDGE_CONSUMER } from '../../events/streams.js';
import { problemId } from '../../events/incident.js';
import type { EventBatch, IncidentInput, Storm } from '../../workflows/messages.js';
import { bundleWorkflows } from '../../workflows/build-bundle.js';
import { createBridge, type Bridge } from '../../workers/engine/bridge.js';
import { createBridgeMetrics } from '../../workers/engine/metrics.js';
import { createLog } from '../../workers/log.js';
import { natsServer, temporalServer, type TestNats, type TestTemporal } from '../servers.js';
import { until } from '../until.js';
import { fleet, quiet, slope, spike } from './events.js';

let nats: TestNats;
let temporal: TestTemporal;
let connection: NativeConnection;
let client: Client;
let worker: Worker;
let running: Promise<void>;
const log = createLog({ role: 'test', logLevel: 'error' });

const QUEUE = 'bridge-test';
const startWorker = async (): Promise<void> => {
  connection = await NativeConnection.connect({ address: temporal.address });
  client = new Client({ connection, namespace: temporal.namespace });
  const code = await bundleWorkflows(fileURLToPath(new URL('./stub-incident.ts', import.meta.url)));
  worker = await Worker.create({ connection, namespace: temporal.namespace, taskQueue: QUEUE, workflowBundle: { code } });
  running = worker.run();
};
beforeAll(async () => {
  temporal = await temporalServer();
  await startWorker();
}, 120_000);
afterAll(async () => {
  worker.shutdown();
  await running;
  await connection.close();
  await temporal.close();
});

let nc: NatsConnection;
let audit: AuditLog;
let bridge: Bridge;
let config: ReadyConfig;

beforeEach(async () => {
  nats = await natsServer();
  nc = await connectNats({ servers: nats.url, name: 'test' });
  audit = await openAuditLog(nc);
  config = fleet(5);
});
afterEach(async () => {
  await bridge.stop(2_000);
  // Workflow ids are the same in every test; the server is one.
  for await (const run of client.workflow.list({ query: 'ExecutionStatus="Running"' })) await client.workflow.getHandle(run.workflowId).terminate();
  await nc.close();
  await nats.close();
});

const startBridge = async (): Promise<Bridge> => {
  bridge = createBridge({
    js: jetstream(nc),
    jsm: await jetstreamManager(nc),
    audit,
    client,
    taskQueue: QUEUE,
    config: () => config,
    configOf: async () => config,
    metrics: createBridgeMetrics(new Registry()),
    log,
  });
  await bridge.start();
  return bridge;
};
const publish = async (body: unknown, subject = 'evt.lab.h000.container'): Promise<number> =>
  (await jetstream(nc).publish(subject, typeof body === 'string' ? body : JSON.stringify(body))).seq;
const problemOf = (host: string): string => problemId('lab', host, '204/tcpsndbuf', 'relieve-container');
interface Told {
  input: IncidentInput;
  told: ({ what: 'observe'; message: EventBatch } | { what: 'storm'; message: Storm })[];
}
const told = (problem: string): Promise<Told> => client.workflow.getHandle(problem).query('told');
const answered = async (): Promise<boolean> => {
  const info = await (await jetstreamManager(nc)).consumers.info('EVT', BRIDGE_CONSUMER);
  return info.num_pending === 0 && info.num_ack_pending === 0;
};
const allAnswered = (timeoutMs = 20_000): Promise<unknown> => until(answered, { timeoutMs, what: 'every event answered' });
const openIncidents = async (): Promise<string[]> => (await audit.all({ facts: ['opened'] })).map((s) => (s.record.fact === 'opened' ? s.record.problem : ''));
const dlq = async () => {
  const jsm = await jetstreamManager(nc);
  const { state } = await jsm.streams.info('DLQ');
  return Promise.all(
    Array.from({ length: state.messages }, async (_, i) => deadLetter.parse((await jsm.streams.getMessage('DLQ', { seq: state.first_seq + i }))?.json())),
  );
};

describe('one problem', () => {
  test('a spike becomes an incident with its trigger, and is answered only then', async () => {
    await startBridge();
    const seq = await publish(spike('h000'));
    await allAnswered();
    const { input } = await told(problemOf('h000'));
    expect(input).toMatchObject({
      problem: problemOf('h000'),
      playbook: 'relieve-container',
      rule: 'spikes',
      mode: 'auto',
      config: config.version,
      target: { host: 'h000', container: '204', resource: 'tcpsndbuf' },
      stale: false,
      trigger: { seq, data: { delta: 412 } },
      knobs: { service: 'httpd', runaways: ['httpd'], ceiling: { barrier: 7_000_000, limit: 8_000_000 } },
    });
    expect((await audit.all()).map((s) => s.record.fact)).toEqual(['problem', 'opened']);
    expect((await audit.problem(problemOf('h000')))?.record).toMatchObject({ status: 'open', incident: input.incident });
  });

  test('what follows is told to it: its quiet, the load of its host; what concerns nobody is just answered', async () => {
    await startBridge();
    await publish(spike('h000'));
    await allAnswered();
    await publish(slope('h000'), 'evt.lab.h000.host');
    await publish(quiet('h000'));
    await publish(quiet('h001'), 'evt.lab.h001.container');
    await publish({ ...spike('h002'), data: { ...(spike('h002')['data'] as object), delta: 1 } }, 'evt.lab.h002.container');
    await allAnswered();
    const kinds = (await told(problemOf('h000'))).told.map((t) => (t.what === 'observe' ? t.message.kinds : {}));
    expect(Object.assign({}, ...kinds)).toEqual({ 'host.load_slope': 1, 'container.failcnt_quiet': 1 });
    expect(await openIncidents()).toEqual([problemOf('h000')]);
  });

  test('twenty thousand copies from four publishers are one incident and some batches', async () => {
    await startBridge();
    const publishers = await Promise.all([0, 1, 2, 3].map((i) => connectNats({ servers: nats.url, name: `p${i}` })));
    const started = Date.now();
    await Promise.all(
      publishers.map(async (p) => {
        const js = jetstream(p);
        for (let sent = 0; sent < 5_000; sent += 250)
          await Promise.all(Array.from({ length: 250 }, () => js.publish('evt.lab.h000.container', JSON.stringify(spike('h000')))));
        await p.close();
      }),
    );
    await allAnswered(60_000);
    const tookMs = Date.now() - started;
    const { input, told: messages } = await told(problemOf('h000'));
    expect(await openIncidents()).toEqual([problemOf('h000')]);
    expect(messages.reduce((n, m) => n + (m.what === 'observe' ? m.message.count : 0), 0)).toBe(19_999);
    expect(messages.length).toBeLessThanOrEqual(tookMs / 250 + 2);
    expect((await client.workflow.getHandle(problemOf('h000')).describe()).historyLength).toBeLessThan(6 * messages.length + 20);
    expect((await audit.ofIncident(input.incident)).filter((s) => s.record.fact === 'events')).toHaveLength(messages.length);
    process.stderr.write(
      `20,000 copies: ${messages.length} batches, ${Math.round(20_000 / (tookMs / 1_000))} events a second with four publishers beside it\n`,
    );
  }, 120_000);

  test('after its end the next spike is another incident, and the same event again is none', async () => {
    await startBridge();
    const body = spike('h000');
    await publish(body);
    await allAnswered();
    const { input } = await told(problemOf('h000'));
    await audit.append({
      v: 1,
      at: new Date().toISOString(),
      site: 'lab',
      by: 'engine',
      fact: 'problem',
      incident: input.incident,
      problem: problemOf('h000'),
      status: 'ended',
    });
    await client.workflow.getHandle(problemOf('h000')).signal('finish');
    await client.workflow.getHandle(problemOf('h000')).result();
    await publish(body);
    await allAnswered();
    expect(await openIncidents()).toHaveLength(1);
    await publish(spike('h000'));
    await until(async () => (await openIncidents()).length === 2);
    await allAnswered();
    expect((await told(problemOf('h000'))).input.incident).not.toBe(input.incident);
  });
});

describe('what is no event', () => {
  test('a thousand malformed messages are a thousand dead letters with reasons, and the next good one is served', async () => {
    await startBridge();
    const good = JSON.stringify(spike('h000'));
    const bad: [string, string][] = [
      [good.slice(0, 50), 'evt.lab.h000.container'],
      ['['.repeat(500), 'evt.lab.h000.container'],
      [`"${'x'.repeat(60_000)}"`, 'evt.lab.h000.container'],
      [good.replaceAll('h000', 'h001'), 'evt.lab.h000.container'],
      [good, 'evt.lab.h000.host'],
      [good.replace('{', '{"__proto__":{},'), 'evt.lab.h000.container'],
      [good.replace('"204"', '"\\ud800"'), 'evt.lab.h000.container'],
      [good.replace('"204"', '"a\\u0000b"'), 'evt.lab.h000.container'],
      [good.replace('failcnt_spike', 'nonsense'), 'evt.lab.h000.container'],
      [good.replaceAll('h000', 'nobody'), 'evt.lab.nobody.container'],
    ];
    for (let i = 0; i < 1_000; i += 100) await Promise.all(Array.from({ length: 100 }, (_, n) => publish(...(bad[n % bad.length] as [string, string]))));
    await publish(good);
    await allAnswered(60_000);
    const letters = await until(async () => {
      const all = await dlq();
      return all.length >= 1_000 && all;
    });
    expect(letters).toHaveLength(1_000);
    expect(new Set(letters.map((l) => l.reason))).toEqual(
      new Set(['not-json', 'too-deep', 'bad-schema', 'wrong-host', 'wrong-class', 'unknown-kind', 'unknown-host']),
    );
    expect(letters.every((l) => l.detail.length > 0)).toBe(true);
    expect(await openIncidents()).toEqual([problemOf('h000')]);
    await bridge.stop(5_000);
    const counts = (await audit.all({ facts: ['deadletters'] })).map((s) => (s.record.fact === 'deadletters' ? s.record.count : 0));
    expect(counts.reduce((a, b) => a + b, 0)).toBe(1_000);
    expect(counts.length).toBeLessThan(100);
  }, 120_000);
});

describe('a storm', () => {
  test('three hundred hosts at once are one incident for their domain', async () => {
    config = fleet(300);
    await startBridge();
    await Promise.all(
      Array.from({ length: 300 }, (_, i) => publish(spike(`h${String(i).padStart(3, '0')}`), `evt.lab.h${String(i).padStart(3, '0')}.container`)),
    );
    await allAnswered();
    const opened = await openIncidents();
    expect(opened).toHaveLength(1);
    const workflow = opened[0] as string;
    const { input, told: messages } = await told(workflow);
    const storms = messages.flatMap((m) => (m.what === 'storm' ? [m.message] : []));
    expect(storms).toMatchObject([{ domain: 'rack-0' }]);
    expect(new Set(storms[0]?.members).size).toBe(300);
    expect((await audit.problem('lab/domain:rack-0/watch-domain'))?.record).toMatchObject({ status: 'open', incident: input.incident });

    // After a restart the domain's incident is still known, and its end ends both.
    await bridge.stop(2_000);
    await startBridge();
    await publish(spike('h299'), 'evt.lab.h299.container');
    await allAnswered();
    expect(await openIncidents()).toHaveLength(1);
    await audit.append({
      v: 1,
      at: new Date().toISOString(),
      site: 'lab',
      by: 'engine',
      fact: 'problem',
      incident: input.incident,
      problem: workflow,
      status: 'ended',
    });
    await until(async () => (await audit.problem('lab/domain:rack-0/watch-domain'))?.record.status === 'ended');
  }, 60_000);
});

describe('accidents', () => {
  test('a bridge that dies before it can answer: the next one opens nothing twice', async () => {
    await startBridge();
    await publish(spike('h000'));
    await allAnswered();
    const { input } = await told(problemOf('h000'));
    await bridge.stop(1_000);
    await startBridge();
    await publish(spike('h000'));
    await allAnswered();
    expect((await told(problemOf('h000'))).told).toHaveLength(1);
    expect((await told(problemOf('h000'))).input.incident).toBe(input.incident);
    expect(await openIncidents()).toHaveLength(1);
  });

  test('a workflow that Temporal has lost comes back as the same incident, by the next event or at the next start', async () => {
    await startBridge();
    const seq = await publish(spike('h000'));
    await allAnswered();
    const { input } = await told(problemOf('h000'));
    await client.workflow.getHandle(problemOf('h000')).terminate('lost');
    await publish(spike('h000'));
    await allAnswered();
    expect((await told(problemOf('h000'))).input).toMatchObject({ incident: input.incident, stale: true, trigger: { seq, data: { delta: 412 } } });
    await bridge.stop(1_000);
    await client.workflow.getHandle(problemOf('h000')).terminate('lost again');
    await startBridge();
    expect((await until(() => told(problemOf('h000')).catch(() => null))).input.incident).toBe(input.incident);
    expect(await openIncidents()).toHaveLength(1);
  });

  test('Temporal is killed: intake rests, no delivery is burnt, and all is handed on when it is back', async () => {
    await startBridge();
    await publish(spike('h000'));
    await allAnswered();
    await temporal.kill();
    for (let i = 0; i < 20; i += 1) await publish(spike('h000'));
    await until(() => bridge.state().paused.length > 0, { timeoutMs: 30_000, what: 'intake resting' });
    await publish(spike('h000'));
    await temporal.startAgain();
    await allAnswered(60_000);
    await until(() => bridge.state().paused.length === 0);
    const info = await (await jetstreamManager(nc)).consumers.info('EVT', BRIDGE_CONSUMER);
    expect(info.num_redelivered).toBe(0);
    const { told: messages, input } = await until(() => told(problemOf('h000')).catch(() => null));
    // A start or a signal whose answer was lost is told again; the workflow drops what is not newer, by its last sequence.
    const batches = new Map(
      messages.flatMap((m) => (m.what === 'observe' && m.message.lastSeq > input.trigger.seq ? [[m.message.lastSeq, m.message.count] as const] : [])),
    );
    expect([...batches.values()].reduce((a, b) => a + b, 0)).toBe(21);
  }, 120_000);

  test('NATS is killed and comes back: the next spike is served', async () => {
    await startBridge();
    await nats.killAndStartAgain();
    await until(() => publish(spike('h000')).catch(() => null), { timeoutMs: 20_000 });
    await until(async () => (await openIncidents().catch(() => [])).length === 1, { timeoutMs: 45_000 });
    await until(() => answered().catch(() => false), { timeoutMs: 45_000 });
  }, 100_000);
});
