import type { Msg, NatsConnection } from 'nats';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openAuditLog, type AuditLog } from '../../activities/audit-log.js';
import type { AuditRecord } from '../../events/audit.js';
import type { LabState } from '../../lab/messages.js';
import type { DrillResult } from '../../operator/drill.js';
import { until } from '../until.js';
import { story } from './records.js';
import { cli, startCli } from './run-cli.js';
import { cliStack, type CliStack } from './stack-for-cli.js';

// How a drill is run, told apart from what it is about: the lab and the engine are played by the test, at the subjects where the real ones stand.
let stack: CliStack;
let lab: NatsConnection;
let engine: NatsConnection;
let audit: AuditLog;
/** What the lab was asked, in order. */
let asked: string[] = [];
/** What the engine makes of a scene. */
let onPlay: () => Promise<void> = () => Promise.resolve();

const STATE: LabState = {
  host: 'dauntless',
  container: '204',
  running: true,
  scene: 'none',
  enterable: true,
  workers: 6,
  stuck: 0,
  processes: 9,
  tcpsndbuf: { held: 0, maxheld: 0, barrier: 1, limit: 2, failcnt: 0 },
  logEnd: 0,
  misbehaves: {},
};

beforeAll(async () => {
  stack = await cliStack();
  engine = await stack.as('engine');
  audit = await openAuditLog(engine);
  lab = await stack.as('lab');
  const serve = async (message: Msg): Promise<void> => {
    const verb = message.subject.split('.').at(-1) ?? '';
    asked.push(verb);
    message.respond(JSON.stringify({ ok: true, reply: verb === 'log' ? { lines: [], next: 0 } : STATE }));
    if (verb === 'play') await onPlay();
  };
  lab.subscribe('lab.lab.>', { callback: (_error, message) => void serve(message) });
  await lab.flush();
});
afterAll(async () => {
  await lab.close();
  await engine.close();
  await stack.close();
});

const fresh = (id: string): AuditRecord[] => story(id).map((record) => ({ ...record, at: new Date().toISOString() }));
const append = async (records: readonly AuditRecord[]): Promise<void> => {
  for (const record of records) await audit.append(record);
};
const withoutEffects = (id: string): AuditRecord[] => fresh(id).filter(({ fact }) => fact !== 'intent' && fact !== 'outcome');
const drill = (...args: string[]) => cli(['drill', 'run', ...args, '--dir', stack.dir]);

test('a drill that ends as it should is told live, and is exit code 0', async () => {
  asked = [];
  onPlay = () => append(withoutEffects('i-1000000000'));
  const { code, out } = await drill('blip', '--utc');
  expect({ code, out }).toMatchObject({ code: 0 });
  expect(out).toMatch(/^drill blip: A container is refused send buffers three times/);
  expect(out).toMatch(/\n\d\d:\d\d:\d\d opened {3}relieve-container/);
  expect(out).toMatch(/\ndrill blip passed in \ds/);
  expect(out).toContain(`npx nightshift incident show i-1000000000 --dir ${stack.dir}`);
  expect(asked).toEqual(['reset', 'play', 'log']);
});

test('an audit that says more than the host fails it: exit code 1, with what is wrong', async () => {
  onPlay = () => append(fresh('i-2000000000'));
  const { code, out, err } = await drill('blip', '--json');
  expect(code).toBe(1);
  const result = JSON.parse(out) as DrillResult;
  expect(result).toMatchObject({ id: 'blip', passed: false, incident: 'i-2000000000', state: 'resolved', pending: false });
  expect(result.problems.join('\n')).toContain('container.ensure-enterable was tried');
  expect(err).toContain('drill blip');
});

test("an earlier incident of the problem is waited for: it would swallow the drill's events", async () => {
  asked = [];
  const earlier = withoutEffects('i-3000000000');
  await append(earlier.slice(0, -2));
  onPlay = () => append(withoutEffects('i-4000000000'));
  const running = startCli(['drill', 'run', 'blip', '--dir', stack.dir]);
  await until(() => running.soFar().err.includes('i-3000000000'), { what: 'the waiting for the earlier incident' });
  expect(asked).not.toContain('play');
  await append(earlier.slice(-2));
  const { code, out } = await running.ended;
  expect(code).toBe(0);
  expect(out).toContain('i-4000000000');
});

test('a drill without an end is exit code 1 when the time is up, and Ctrl-C is 130', async () => {
  onPlay = () => append(withoutEffects('i-5000000000').slice(0, -2));
  const { code, out } = await drill('blip', '--timeout', '6s');
  expect(code).toBe(1);
  expect(out).toContain('incident i-5000000000 has not ended within');
  await append(withoutEffects('i-5000000000').slice(-2));

  onPlay = () => append(withoutEffects('i-6000000000').slice(0, -2));
  const running = startCli(['drill', 'run', 'blip', '--dir', stack.dir]);
  await until(() => running.soFar().out.includes('i-6000000000'), { timeoutMs: 20_000, what: 'the incident on the screen' });
  running.child.kill('SIGINT');
  expect((await running.ended).code).toBe(130);
  await append(withoutEffects('i-6000000000').slice(-2));
});

test('no such drill is exit code 5, a lab that does not answer 1', async () => {
  expect((await drill('no-such')).code).toBe(5);
  await lab.close();
  const { code, err } = await drill('blip', '--json');
  expect(code).toBe(1);
  expect(JSON.parse(err.trim().split('\n').at(-1) ?? '')).toMatchObject({ error: { message: expect.stringContaining('lab') } });
});
