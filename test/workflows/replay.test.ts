import { readdir, readFile } from 'node:fs/promises';
import { DeterminismViolationError } from '@temporalio/workflow';
import { Worker } from '@temporalio/worker';
import { expect, test } from 'vitest';
import { freshBundle } from './theatre.js';

const folder = new URL('../histories/', import.meta.url);
const names = (await readdir(folder)).filter((name) => name.endsWith('.json')).toSorted();
const workflowBundle = { code: await freshBundle() };
interface Recorded {
  events: { eventType: string; markerRecordedEventAttributes?: unknown; activityTaskScheduledEventAttributes?: { activityType: { name: string } } }[];
}
const read = async (name: string): Promise<Recorded> => JSON.parse(await readFile(new URL(name, folder), 'utf8')) as Recorded;

test('there are histories to replay', () => {
  expect(names.length).toBeGreaterThan(5);
});

for (const name of names) {
  test(`an incident that is under way when the engine is replaced goes on: ${name}`, async () => {
    await Worker.runReplayHistory({ workflowBundle }, await read(name), `replay-${name}`);
  });
}

test('a playbook that would act differently than it did is found out', async () => {
  const history = await read(names[0] as string);
  const scheduled = history.events.find((e) => e.activityTaskScheduledEventAttributes?.activityType.name === 'lookAtContainer');
  if (scheduled?.activityTaskScheduledEventAttributes === undefined) throw new Error('no look in this history');
  scheduled.activityTaskScheduledEventAttributes.activityType.name = 'carryOut';
  await expect(Worker.runReplayHistory({ workflowBundle }, history, 'replay-changed')).rejects.toThrow(DeterminismViolationError);
});
