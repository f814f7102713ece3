import { mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { headers } from 'nats';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectNats, jetstream, jetstreamManager, type NatsConnection } from '../../activities/nats.js';
import { openAuditLog } from '../../activities/audit-log.js';
import { STREAMS } from '../../events/streams.js';
import { natsConfig } from '../../stack/nats-config.js';
import { natsIdentities, type NatsIdentities } from '../../stack/nats-identities.js';
import type { CoreUser } from '../../stack/nats-permissions.js';
import { provision, setIntake } from '../../stack/provision.js';
import { natsServer, type TestNats } from '../servers.js';
import { until } from '../until.js';

let keys: string;
let identities: NatsIdentities;
let server: TestNats;
const open: NatsConnection[] = [];

beforeAll(async () => {
  keys = await mkdtemp(join(tmpdir(), 'nightshift-keys-'));
  identities = await natsIdentities({ dir: join(keys, 'keys'), site: 's1', hosts: ['h1', 'h2'] });
  server = await natsServer({
    config: natsConfig({ listen: '127.0.0.1:@PORT@', monitor: '127.0.0.1:@MONITOR@', storeDir: '@DIR@/js', identities }),
    provisioned: false,
  });
  await provision(await as('provision'));
}, 60_000);
afterAll(async () => {
  await Promise.all(open.map((nc) => nc.close()));
  await server.close();
  await rm(keys, { recursive: true, force: true });
});

async function as(user: CoreUser): Promise<NatsConnection> {
  return connected(identities.credentials[user], `_INBOX.${user}`, user);
}
async function asAgent(host: string, inboxPrefix = `_INBOX.${host}`): Promise<NatsConnection> {
  return connected(identities.agentCredentials[host] ?? '', inboxPrefix, host);
}
async function connected(credentialsFile: string, inboxPrefix: string, name: string): Promise<NatsConnection> {
  const nc = await connectNats({ servers: server.url, credentialsFile, inboxPrefix, name });
  open.push(nc);
  return nc;
}
/** What the server says to the client after what it has published so far: a denied publish is answered late, on the connection. */
async function denials(nc: NatsConnection, work: () => void): Promise<string[]> {
  const seen: string[] = [];
  const statuses = nc.status();
  void (async () => {
    for await (const status of statuses) if (status.type === 'error') seen.push(String(status.error));
  })();
  work();
  await nc.flush();
  await nc.flush();
  return seen;
}
const messagesIn = async (stream: string): Promise<number> =>
  (await (await jetstreamManager(await as('operator'), { checkAPI: false })).streams.info(stream)).state.messages;
const lastSubject = async (stream: string, subject: string): Promise<number> => {
  const info = await (await jetstreamManager(await as('operator'), { checkAPI: false })).streams.info(stream, { subjects_filter: subject });
  return Object.values(info.state.subjects ?? {}).reduce((a, b) => a + b, 0);
};

test('an agent that publishes as itself gets an acknowledgement from the stream, and a repeated id is known', async () => {
  const js = jetstream(await asAgent('h1'));
  const first = await js.publish('evt.s1.h1.container', '{}', { msgID: 'event-one' });
  const again = await js.publish('evt.s1.h1.container', '{}', { msgID: 'event-one' });
  expect(first).toMatchObject({ stream: 'EVT', duplicate: false });
  expect(again).toMatchObject({ seq: first.seq, duplicate: true });
});

test.each([
  'evt.s1.h2.container',
  'evt.s2.h1.container',
  'evt.s1.h1.extra.container',
  'evt.s1.h1',
  'aud.note.i-0000000000',
  'dlq.not-json.s1.h1',
  'ctl.s1.reload.engine',
  'lab.s1.reset',
])('an agent cannot publish on %s', async (subject) => {
  const nc = await asAgent('h1');
  const before = await messagesIn('EVT');
  expect(await denials(nc, () => nc.publish(subject, 'x'))).toEqual([expect.stringMatching(/permissions violation/i)]);
  expect(await messagesIn('EVT')).toBe(before);
});

test.each([
  '$JS.API.INFO',
  '$JS.API.STREAM.INFO.EVT',
  '$JS.API.STREAM.PURGE.AUDIT',
  '$JS.API.CONSUMER.MSG.NEXT.EVT.bridge',
  '$JS.ACK.EVT.bridge.1.1.1.1.1',
  '$SYS.REQ.SERVER.PING',
])('an agent cannot reach %s', async (subject) => {
  const nc = await asAgent('h1');
  expect(await denials(nc, () => nc.publish(subject, ''))).toEqual([expect.stringMatching(/permissions violation/i)]);
});

test.each(['evt.>', 'aud.>', '_INBOX.>', '_INBOX.h2.>', '_INBOX.engine.>', 'ctl.>', '>'])('an agent cannot listen on %s', async (subject) => {
  const nc = await asAgent('h1');
  const refused = new Promise<string>((resolve) => {
    nc.subscribe(subject, { callback: (error) => resolve(String(error)) });
  });
  expect(await refused).toMatch(/permissions violation/i);
});

test.each(['$JS.API.STREAM.PURGE.AUDIT', '$JS.API.STREAM.DELETE.EVT', 'aud.note.i-forged0000', 'evt.s1.h2.container', 'ctl.s1.intake.pause'])(
  'an acknowledgement that an agent has sent to %s does nothing there',
  async (reply) => {
    const operator = await as('operator');
    await jetstream(operator).publish('aud.note.i-0000000000', '{}');
    const [audit, forged] = [await messagesIn('AUDIT'), await lastSubject('EVT', 'evt.s1.h2.container')];
    const nc = await asAgent('h1');
    const before = await messagesIn('EVT');
    await denials(nc, () => nc.publish('evt.s1.h1.container', '{}', { reply }));
    // The event itself may be taken or not; what matters is where its acknowledgement went. A second one, acknowledged, is the fence.
    await jetstream(await asAgent('h1')).publish('evt.s1.h1.container', '{}');
    await until(async () => (await messagesIn('EVT')) > before);
    expect(await messagesIn('AUDIT')).toBe(audit);
    expect(await lastSubject('EVT', 'evt.s1.h2.container')).toBe(forged);
  },
);

test('an agent cannot roll the stream up, schedule a message or send one that is too large', async () => {
  const nc = await asAgent('h1');
  const js = jetstream(nc, { timeout: 2_000 });
  const before = await messagesIn('EVT');
  const rollup = headers();
  rollup.set('Nats-Rollup', 'all');
  await expect(js.publish('evt.s1.h1.container', '{}', { headers: rollup })).rejects.toThrow(/rollup not permitted/);
  const schedule = headers();
  schedule.set('Nats-Schedule', '@every 1s');
  schedule.set('Nats-Schedule-Target', 'evt.s1.h2.container');
  await expect(js.publish('evt.s1.h1.container', '{}', { headers: schedule })).rejects.toThrow(/schedul/);
  await expect(js.publish('evt.s1.h1.container', 'x'.repeat(70_000))).rejects.toThrow();
  expect(await messagesIn('EVT')).toBe(before);
});

test('the engine reads events through its consumer, acknowledges them, writes the audit and answers requests', async () => {
  const engine = await as('engine');
  const js = jetstream(engine);
  const consumer = await js.consumers.get('EVT', 'bridge');
  const message = await consumer.next({ expires: 2_000 });
  expect(message).not.toBeNull();
  expect(await message?.ackAck()).toBe(true);

  const audit = await openAuditLog(engine);
  const { seq } = await audit.append({
    v: 1,
    fact: 'note',
    at: new Date().toISOString(),
    site: 's1',
    by: 'engine',
    incident: 'i-0123456789',
    person: 'test',
    text: 'seen',
  });
  expect((await audit.ofIncident('i-0123456789')).map((stored) => stored.seq)).toEqual([seq]);

  const asked = engine.subscribe('ctl.s1.reload.engine', { callback: (_error, request) => void request.respond('{"accepted":true}') });
  const answer = await (await as('operator')).request('ctl.s1.reload.engine', '{}');
  expect(answer.json()).toEqual({ accepted: true });
  asked.unsubscribe();
});

test('the effector can claim a step and can not write what others write', async () => {
  const effector = await as('effector');
  const audit = await openAuditLog(effector);
  const claim = {
    v: 1,
    fact: 'intent',
    at: new Date().toISOString(),
    site: 's1',
    by: 'effector',
    incident: 'i-aaaaaaaaaa',
    step: 'kill',
    verb: 'container.ensure-enterable',
    risk: 'R1',
    target: { host: 'h1' },
    args: {},
    operation: 'i-aaaaaaaaaa.kill',
    plan: 'p',
    summary: 's',
  } as const;
  expect(await audit.claim(claim)).toMatchObject({ claimed: true });
  expect(await audit.claim(claim)).toEqual({ claimed: false });
  expect(await audit.intentOf('i-aaaaaaaaaa', 'kill')).not.toBeNull();
  expect(await denials(effector, () => effector.publish('aud.decided.i-aaaaaaaaaa.kill', '{}'))).toHaveLength(1);
  expect(await denials(effector, () => effector.publish('evt.s1.h1.container', '{}'))).toHaveLength(1);
});

test.each(['engine', 'effector', 'operator', 'lab', 'stack'] as const)('%s can neither empty, change nor delete a stream', async (user) => {
  const nc = await as(user);
  for (const verb of ['PURGE', 'DELETE', 'UPDATE', 'MSG.DELETE']) {
    expect(await denials(nc, () => nc.publish(`$JS.API.STREAM.${verb}.AUDIT`, '{}')), verb).toEqual([expect.stringMatching(/permissions violation/i)]);
  }
});

test.each(['operator', 'engine'] as const)('%s reads EVT and cannot take away the consumer of the engine', async (user) => {
  const nc = await as(user);
  const js = jetstream(nc);
  const reader = await js.consumers.get('EVT', { filter_subjects: ['evt.s1.>'] });
  expect((await reader.info()).num_pending).toBeGreaterThan(0);
  expect(await denials(nc, () => nc.publish('$JS.API.CONSUMER.DELETE.EVT.bridge', ''))).toHaveLength(1);
});

test('the operator may look at all four streams', async () => {
  const jsm = await jetstreamManager(await as('operator'));
  for (const { name } of STREAMS) expect((await jsm.streams.info(name)).config.name).toBe(name);
  const listed = await jsm.streams.list().next();
  expect(listed.map((info) => info.config.name).toSorted()).toEqual(['ADV', 'AUDIT', 'DLQ', 'EVT']);
});

test('a tool with inboxes of its own works with the credentials of the operator, and hears nothing that is meant for our processes', async () => {
  const tool = await connected(identities.credentials.operator, '_INBOX', 'a tool');
  expect((await (await jetstreamManager(tool)).streams.info('EVT')).config.name).toBe('EVT');
  const heard: string[] = [];
  tool.subscribe('_INBOX.>', { callback: (_error, message) => void heard.push(message.subject) });
  await tool.flush();
  await (await openAuditLog(await as('engine'))).lastSeq();
  await (await jetstreamManager(tool)).streams.info('EVT');
  await tool.flush();
  expect(heard.length).toBeGreaterThan(0);
  expect(heard.filter((subject) => subject.startsWith('_INBOX.engine.'))).toEqual([]);
});

test('provisioning a second time changes nothing, and repairs what somebody changed', async () => {
  const admin = await as('provision');
  const jsm = await jetstreamManager(admin, { checkAPI: false });
  const before = await jsm.streams.info('EVT');
  await provision(admin);
  const again = await jsm.streams.info('EVT');
  expect(again.config).toEqual(before.config);
  expect(again.state.messages).toBe(before.state.messages);
  await jsm.streams.update('EVT', { max_age: 1_000_000_000 * 3600 });
  await provision(admin);
  expect((await jsm.streams.info('EVT')).config.max_age).toBe(before.config.max_age);
  expect((await jsm.consumers.info('EVT', 'bridge')).config).toMatchObject({ ack_wait: 30_000_000_000, max_ack_pending: 5000, max_deliver: -1 });
});

test('while intake is shut an event is refused and nothing that lies there is lost; the audit goes on', async () => {
  const admin = await as('provision');
  const before = await messagesIn('EVT');
  await setIntake(admin, false);
  await expect(jetstream(await asAgent('h1')).publish('evt.s1.h1.container', '{}')).rejects.toThrow(/maximum bytes/);
  expect(await messagesIn('EVT')).toBe(before);
  await jetstream(await as('operator')).publish('aud.note.i-0000000000', '{}');
  await setIntake(admin, true);
  await jetstream(await asAgent('h1')).publish('evt.s1.h1.container', '{}');
  expect(await messagesIn('EVT')).toBe(before + 1);
});

test('keys are made once: the credentials of yesterday still open the server, and nobody else can read them', async () => {
  const dir = join(keys, 'keys');
  const again = await natsIdentities({ dir, site: 's1', hosts: ['h1', 'h2'] });
  expect(Object.keys(again.accounts)).toEqual(Object.keys(identities.accounts));
  expect((await stat(identities.credentials.operator)).mode & 0o077).toBe(0);
  expect((await stat(join(dir, 'keys.json'))).mode & 0o077).toBe(0);
  expect(await readFile(identities.credentials.operator, 'utf8')).toContain('BEGIN NATS USER JWT');
  await (await as('operator')).flush();
});

test('a host whose name is a wildcard is not enrolled', async () => {
  await expect(natsIdentities({ dir: join(keys, 'others'), site: 's1', hosts: ['*'] })).rejects.toThrow(RangeError);
});
