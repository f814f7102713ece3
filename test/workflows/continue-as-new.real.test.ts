import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { DYNAMIC_CONFIG, NAMESPACE } from '../../stack/temporal.js';
import { servers } from '../servers.js';
import { SCENARIOS } from './scenarios.js';
import { openTheatre, type Scenario, type Theatre } from './theatre.js';

/** A server that asks for a new run after this many events, where the real one waits for 4,096: each incident here lives in several runs. */
const SUGGEST_AT = 25;
let theatre: Theatre;

beforeAll(async () => {
  const { temporal } = await servers();
  const config = { ...DYNAMIC_CONFIG, 'limit.historyCount.suggestContinueAsNew': SUGGEST_AT, 'history.timerProcessorMaxTimeShift': '10ms' };
  const env = await TestWorkflowEnvironment.createLocal({
    server: {
      executable: { type: 'existing-path', path: temporal },
      namespace: NAMESPACE,
      log: { format: 'json', level: 'error' },
      extraArgs: Object.entries(config).flatMap(([key, value]) => ['--dynamic-config-value', `${key}=${JSON.stringify(value)}`]),
    },
  });
  theatre = await openTheatre({ address: env.address, namespace: NAMESPACE, close: () => env.teardown() });
});
afterAll(() => theatre.close());

const runsOf = async (workflowId: string): Promise<string[]> => {
  const runs: string[] = [];
  for await (const run of theatre.client.workflow.list({ query: `WorkflowId = "${workflowId}"` })) runs.push(run.status.name);
  return runs;
};
const expected = (name: string): Promise<string> => readFile(new URL(`./scenarios/${name}/expect.log`, import.meta.url), 'utf8');

for (const name of ['limit-raised-and-kept', 'ceiling-reached', 'restarted-meanwhile', 'two-unknowns', 'vetoed', 'shadow', 'spike-at-the-end']) {
  test(`an incident that goes on in new runs tells the same story: ${name}`, async () => {
    const { text, play } = await theatre.play(SCENARIOS[name] as Scenario);
    expect(text).toBe(await expected(name));
    const description = await play.handle.describe();
    expect(description.memo).toMatchObject({ incident: play.input.incident });
  });
}

test('it really went on in new runs', async () => {
  const { play } = await theatre.play(SCENARIOS['limit-raised-and-kept'] as Scenario);
  const runs = await runsOf(play.input.problem);
  expect(runs.filter((status) => status === 'CONTINUED_AS_NEW').length).toBeGreaterThanOrEqual(3);
});

test('no signal is lost on the way through many runs, and a person can close it in any of them', async () => {
  const play = await theatre.start({
    about: '',
    model: { workers: 3, wantPerWorker: 1, traffic: 0, barrier: 4_000_000, limit: 4_300_000 },
    input: { playbook: 'watch-domain', members: [] },
  });
  await play.reached('escalated');
  for (let i = 1; i <= 80; i += 1)
    await play.observe({ lastSeq: 1000 + i, count: 10, kinds: { 'container.failcnt_spike': 10 }, latest: [], members: [`h${i}`] });
  expect(await play.view()).toMatchObject({ events: 801, state: 'escalated' });
  expect((await play.view()).members).toHaveLength(80);
  expect((await runsOf(play.input.problem)).length).toBeGreaterThan(1);
  await play.close({ person: 'anna', reason: 'seen it' });
  expect(await play.handle.result()).toMatchObject({ state: 'closed' });
});
