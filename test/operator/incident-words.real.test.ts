import { Client, Connection } from '@temporalio/client';
import { NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openAuditLog, type AuditLog } from '../../activities/audit-log.js';
import type { Records } from '../../activities/records.js';
import { domainProblemId } from '../../events/incident.js';
import { inCheckout } from '../../stack/root.js';
import { bundleWorkflows } from '../../workflows/build-bundle.js';
import { INCIDENT_WORKFLOW, NAMESPACE, QUEUES, type IncidentInput } from '../../workflows/messages.js';
import { temporalServer, type TestTemporal } from '../servers.js';
import { until } from '../until.js';
import { cli } from './run-cli.js';
import { cliStack, type CliStack } from './stack-for-cli.js';

// A person's words to a running incident: real workflow, real Temporal, real audit. The incident is one that touches nothing and waits for a person.
let stack: CliStack;
let temporal: TestTemporal;
let audit: AuditLog;
let client: Client;
let worker: Worker;
let running: Promise<void>;
const closing: (() => Promise<unknown>)[] = [];
const problem = domainProblemId('lab', 'rack-1');
const FIRST = 'i-1111111111';
const SECOND = 'i-2222222222';

beforeAll(async () => {
  Runtime.install({ shutdownSignals: [] });
  temporal = await temporalServer();
  stack = await cliStack({ temporalPort: Number(temporal.address.split(':')[1]) });
  const engine = await stack.as('engine');
  audit = await openAuditLog(engine);
  const native = await NativeConnection.connect({ address: temporal.address });
  const records: Records = {
    record: async (key, all) => {
      for (const [at, record] of all.entries()) await audit.append(record, { key: `${key}.${at}` });
    },
  };
  worker = await Worker.create({
    connection: native,
    namespace: NAMESPACE,
    taskQueue: QUEUES.workflows,
    workflowBundle: { code: await bundleWorkflows(inCheckout('workflows', 'index.ts')) },
    activities: { ...records },
  });
  running = worker.run();
  const connection = await Connection.connect({ address: temporal.address });
  client = new Client({ connection, namespace: NAMESPACE });
  closing.push(
    () => engine.close(),
    () => connection.close(),
    () => native.close(),
  );
}, 120_000);

afterAll(async () => {
  if (worker.getState() === 'RUNNING') worker.shutdown();
  await running;
  for (const close of closing) await close();
  await stack.close();
  await temporal.close();
});

const open = async (incident: string): Promise<void> => {
  const target = { host: 'dauntless', domain: 'rack-1' };
  const trigger = {
    id: `event-${incident}`,
    type: 'host.unreachable',
    host: 'dauntless',
    time: new Date().toISOString(),
    seq: 1,
    text: 'falco cannot reach dauntless by ping for 30 s',
  };
  const common = { v: 1 as const, at: new Date().toISOString(), site: 'lab', by: 'engine' as const, incident };
  await audit.append({
    ...common,
    fact: 'opened',
    problem,
    playbook: 'watch-domain',
    playbookVersion: 1,
    rule: 'storm',
    mode: 'auto',
    config: '0',
    target,
    trigger,
  });
  await audit.append({ ...common, fact: 'problem', problem, status: 'open' });
  const input: IncidentInput = {
    v: 1,
    incident,
    problem,
    site: 'lab',
    playbook: 'watch-domain',
    rule: 'storm',
    mode: 'auto',
    config: '0',
    target,
    stale: false,
    members: ['dauntless', 'excelsior'],
    trigger: { ...trigger, kind: 'host.unreachable', data: { host: 'dauntless' } },
    knobs: {
      verifyForMs: 1000,
      watchForMs: 1000,
      maxKills: 0,
      maxRaises: 0,
      raiseFactor: 1.1,
      enterWithinMs: 1000,
      runaways: [],
      protect: [],
      service: null,
      ceiling: null,
    },
  };
  await client.workflow.start(INCIDENT_WORKFLOW, { workflowId: problem, taskQueue: QUEUES.workflows, args: [input], memo: { incident } });
  await until(async () => (await shown(incident)).state === 'escalated', { timeoutMs: 20_000, what: 'the incident waiting for a person' });
};
const shown = async (incident: string): Promise<{ state: string; lastLine: string }> =>
  JSON.parse((await cli(['incident', 'show', incident, '--json', '--dir', stack.dir])).out);
const say = (...args: string[]) => cli(['incident', ...args, '--dir', stack.dir, '--json']);

test('a note goes through the incident, a close ends it, and neither reaches the next incident of the same problem', async () => {
  await open(FIRST);
  const note = await say('note', FIRST, 'the rack has lost its power feed', '--as', 'ana');
  expect(note).toMatchObject({ code: 0, err: '' });
  expect((await shown(FIRST)).lastLine).toBe('noted ana: the rack has lost its power feed');
  const described = await client.workflow.getHandle(problem).query<{ state: string }>('view');
  expect(described.state).toBe('escalated');

  const close = await say('close', FIRST, '-m', 'feed is back', '--as', 'ana');
  expect(close.code).toBe(0);
  expect(JSON.parse(close.out)).toEqual({ id: FIRST, state: 'closed', person: 'ana', reason: 'feed is back' });
  const after = await until(
    async () => {
      const now = await shown(FIRST);
      return now.state === 'closed' && now;
    },
    { what: 'the end in the audit' },
  );
  expect(after.lastLine).toContain('ana: feed is back');
  expect(await say('close', FIRST, '-m', 'again')).toMatchObject({ code: 6 });

  // The same problem again is another incident; a word for the first one must not hit it, whatever the audit was lost to make it look open.
  await open(SECOND);
  await audit.append({
    v: 1,
    at: new Date().toISOString(),
    site: 'lab',
    by: 'engine',
    incident: FIRST,
    fact: 'state',
    from: 'closed',
    to: 'escalated',
    summary: 'as if the end had been lost',
  });
  const wrong = await say('close', FIRST, '-m', 'meant for the first');
  expect(wrong.code).toBe(6);
  expect(JSON.parse(wrong.err)).toMatchObject({ error: { code: 'workflow_gone', message: expect.stringContaining(SECOND) } });
  expect((await shown(SECOND)).state).toBe('escalated');
});

test('doctor counts who works on each queue', async () => {
  const { out } = await cli(['doctor', '--json', '--dir', stack.dir]);
  const level = Object.fromEntries((JSON.parse(out) as { id: string; level: string }[]).map(({ id, level: l }) => [id, l]));
  expect(level).toMatchObject({ temporal: 'ok', 'queue.nightshift': 'ok', 'queue.looks': 'error', 'queue.effects': 'error' });
});

test('with no engine behind Temporal a close gives up in time and says who is silent', async () => {
  worker.shutdown();
  await running;
  const { code, err } = await cli(['incident', 'close', SECOND, '-m', 'why', '--json', '--timeout', '2s', '--dir', stack.dir]);
  expect(code).toBe(3);
  expect(JSON.parse(err)).toMatchObject({ error: { code: 'timed_out', message: expect.stringContaining('engine') } });
});

test('an incident without a workflow says so, and takes a note all the same', async () => {
  await client.workflow.getHandle(problem).terminate('put back to yesterday');
  const { code, err } = await say('close', SECOND, '-m', 'why', '--timeout', '3s');
  expect(code).toBe(6);
  expect(JSON.parse(err)).toMatchObject({ error: { code: 'workflow_gone' } });
  expect((await say('note', SECOND, 'seen', '--timeout', '3s')).code).toBe(0);
});
