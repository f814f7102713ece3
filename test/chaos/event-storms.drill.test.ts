import { randomUUID } from 'node:crypto';
import { writeFile, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';
import { Connection, Client } from '@temporalio/client';
import { connectNats, jetstream, jetstreamManager, type NatsConnection } from '../../activities/nats.js';
import { deadLetter } from '../../events/dead-letter.js';
import { BRIDGE_CONSUMER } from '../../events/streams.js';
import { processOf } from '../../stack/stack-file.js';
import { until } from '../until.js';
import { stackUnderTest, type StackUnderTest } from './stack-under-test.js';

/*
 * Floods. The fleet gets 300 hosts that exist on paper only, in one failure domain; nothing is ever done to them: when they all fail at once the engine
 * opens one incident and asks.
 */
const PAPER = Array.from({ length: 300 }, (_, i) => `paper-${i}`);
let stack: StackUnderTest;
beforeAll(async () => {
  stack = await stackUnderTest();
  await stack.restart(async () => {
    const file = join(stack.dir, 'nightshift.yaml');
    const config = parse(await readFile(file, 'utf8')) as {
      fleet: { domains: Record<string, unknown>; hosts: Record<string, Record<string, unknown>> };
      rules: unknown[];
    };
    config.fleet.domains['paper-rack'] = {};
    const [lab] = Object.values(config.fleet.hosts);
    for (const name of PAPER) config.fleet.hosts[name] = { ...lab, domains: ['paper-rack'] };
    await writeFile(file, stringify(config, { aliasDuplicateObjects: false }));
  });
});
afterAll(() => stack.remove());

const spike = (host: string, over: Record<string, unknown> = {}): Record<string, unknown> => ({
  specversion: '1.0',
  id: randomUUID(),
  source: `/lab/${host}`,
  type: 'container.failcnt_spike',
  time: new Date().toISOString(),
  data: { host, container: '204', resource: 'tcpsndbuf', delta: 40, intervalSeconds: 1, held: 2_703_360, barrier: 1_720_320, limit: 2_703_360 },
  ...over,
});

async function drained(): Promise<void> {
  const jsm = await jetstreamManager(stack.nc, { checkAPI: false });
  await until(
    async () => {
      const info = await jsm.consumers.info('EVT', BRIDGE_CONSUMER);
      return info.num_pending === 0 && info.num_ack_pending === 0;
    },
    { timeoutMs: 120_000, everyMs: 100, what: 'every event taken' },
  );
}

async function publishers(n: number): Promise<NatsConnection[]> {
  const file = await stack.file();
  const operator = processOf(file, 'operator');
  return Promise.all(
    Array.from({ length: n }, (_, i) =>
      connectNats({
        servers: `127.0.0.1:${processOf(file, 'nats').ports['client']}`,
        credentialsFile: operator.credentials,
        inboxPrefix: operator.inbox ?? '_INBOX.operator',
        name: `publisher-${i}`,
      }),
    ),
  );
}

/** Publishes with so many in flight; each is acknowledged by the stream. */
async function publishAll(nc: NatsConnection, messages: readonly { subject: string; payload: string | Uint8Array }[], inFlight = 64): Promise<void> {
  const js = jetstream(nc);
  let next = 0;
  await Promise.all(
    Array.from({ length: inFlight }, async () => {
      for (let at = next++; at < messages.length; at = next++) {
        const message = messages[at];
        if (message !== undefined) await js.publish(message.subject, message.payload, { timeout: 30_000 });
      }
    }),
  );
}

test('20,000 copies of one event with different ids, from four publishers, are one incident with a bounded history', async () => {
  const before = await stack.audit.lastSeq();
  const all = await publishers(4);
  try {
    await Promise.all(
      all.map((nc) =>
        publishAll(
          nc,
          Array.from({ length: 5_000 }, () => ({ subject: 'evt.lab.dauntless.container', payload: JSON.stringify(spike('dauntless')) })),
        ),
      ),
    );
  } finally {
    await Promise.all(all.map((nc) => nc.close()));
  }
  await drained();
  const opened = (await stack.audit.all({ facts: ['opened'], afterSeq: before })).flatMap(({ record }) => (record.fact === 'opened' ? [record] : []));
  expect(opened).toHaveLength(1);
  const counted = (await stack.audit.ofIncident(opened[0]?.incident ?? '')).reduce((n, { record }) => n + (record.fact === 'events' ? record.count : 0), 0);
  expect(counted).toBeGreaterThanOrEqual(20_000 - 1);
  const connection = await Connection.connect({ address: `127.0.0.1:${processOf(await stack.file(), 'temporal').ports['client']}` });
  try {
    const described = await new Client({ connection, namespace: 'nightshift' }).workflow.getHandle(opened[0]?.problem ?? '').describe();
    // At most four batches a second while it lasted, a few events of history each: far below the 4,096 at which Temporal asks for a new run.
    expect(described.historyLength).toBeLessThan(2_000);
  } finally {
    await connection.close();
  }
});

test('1,000 malformed events are 1,000 dead letters with reasons, and the next good event is served', async () => {
  const jsm = await jetstreamManager(stack.nc, { checkAPI: false });
  const count = async (): Promise<number> => (await jsm.streams.info('DLQ')).state.messages;
  const before = await count();
  const good = JSON.stringify(spike('dauntless'));
  const inSubject = (payload: string | Uint8Array): { subject: string; payload: string | Uint8Array } => ({ subject: 'evt.lab.dauntless.container', payload });
  const makers: (() => { subject: string; payload: string | Uint8Array })[] = [
    () => inSubject(good.slice(0, 10 + Math.floor(Math.random() * (good.length - 11)))),
    () => inSubject('['.repeat(20_000) + ']'.repeat(20_000)),
    () => inSubject(`{"a":${'{"a":'.repeat(5_000)}1${'}'.repeat(5_001)}`),
    () => inSubject(JSON.stringify(spike('dauntless', { id: 'x'.repeat(60_000) }))),
    () => inSubject(JSON.stringify(spike('excelsior'))),
    () => inSubject(JSON.stringify(spike('dauntless', { type: 'container.explosion' }))),
    () => ({ subject: 'evt.lab.dauntless.gluster', payload: JSON.stringify(spike('dauntless')) }),
    () => ({ subject: 'evt.lab.nosuchhost.container', payload: JSON.stringify(spike('nosuchhost')) }),
    () => inSubject(good.replace('"data":{', '"data":{"__proto__":{"host":"x"},')),
    () => inSubject(good.replace('"data":{', '"constructor":{"prototype":1},"data":{')),
    () => inSubject(good.replace('"204"', '"20\\ud8004"')),
    () => inSubject(good.replace('"204"', '"20\\u001b[31m4"')),
    () => inSubject(good.replace('"delta":40', '"delta":1e400')),
    () => inSubject(good.replace('"delta":40', '"delta":-1')),
    () => inSubject(Uint8Array.from({ length: 500 }, () => Math.floor(Math.random() * 256))),
    () => inSubject(new Uint8Array(0)),
    () => inSubject(JSON.stringify(spike('dauntless', { time: '2099-01-01T00:00:00Z' }))),
    () => inSubject('null'),
    () => inSubject('"text"'),
    () => inSubject(JSON.stringify(spike('dauntless', { unknown: 'attribute' }))),
  ];
  const malformed = Array.from({ length: 1_000 }, (_, i) => (makers[i % makers.length] as (typeof makers)[number])());
  await publishAll(stack.nc, malformed, 16);
  await drained();
  await until(async () => (await count()) >= before + 1_000, { timeoutMs: 30_000, what: '1,000 dead letters' });
  expect(await count()).toBe(before + 1_000);
  const { last_seq: last } = (await jsm.streams.info('DLQ')).state;
  const reasons = new Set<string>();
  for (let seq = last - 999; seq <= last; seq += 37) {
    const message = await jsm.streams.getMessage('DLQ', { seq });
    const letter = deadLetter.parse(message?.json());
    expect(letter.detail).not.toBe('');
    reasons.add(letter.reason);
  }
  expect(reasons.size).toBeGreaterThan(5);

  // Still there, still the same processes, and a good event is served.
  const seen = await stack.audit.lastSeq();
  await publishAll(stack.nc, [inSubject(JSON.stringify(spike('dauntless')))]);
  await until(async () => (await stack.audit.all({ facts: ['opened', 'events'], afterSeq: seen })).length > 0, { timeoutMs: 15_000, what: 'the good event' });
});

test('300 hosts that spike at once are one incident for their domain', async () => {
  const before = await stack.audit.lastSeq();
  await publishAll(
    stack.nc,
    PAPER.map((host) => ({ subject: `evt.lab.${host}.container`, payload: JSON.stringify(spike(host)) })),
    8,
  );
  await drained();
  const opened = await until(
    async () => {
      const records = await stack.audit.all({ facts: ['opened', 'decided', 'state'], afterSeq: before });
      const told = records.some(
        ({ record }) => (record.fact === 'decided' && record.reason === 'domain-storm') || (record.fact === 'state' && record.to === 'escalated'),
      );
      return told && records.filter(({ record }) => record.fact === 'opened');
    },
    { timeoutMs: 30_000, what: 'the incident of the domain' },
  );
  expect(opened.map(({ record }) => (record.fact === 'opened' ? record.target : null))).toHaveLength(1);
  expect(await stack.audit.all({ facts: ['intent'], afterSeq: before })).toEqual([]);
  // All of its members are named.
  const incident = opened[0]?.record.fact === 'opened' ? opened[0].record.incident : '';
  const members = await until(
    async () => {
      const named = new Set((await stack.audit.ofIncident(incident)).flatMap(({ record }) => (record.fact === 'events' ? (record.members ?? []) : [])));
      return named.size >= PAPER.length && named;
    },
    { timeoutMs: 30_000, what: 'all 300 named' },
  );
  expect([...members].sort()).toEqual(expect.arrayContaining([...PAPER].sort()));
});
