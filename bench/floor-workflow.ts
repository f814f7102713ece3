import { defineSignal, proxyActivities, setHandler } from '@temporalio/workflow';
import type { FloorActivities } from './floor-worker.js';

const event = defineSignal<[string]>('event');
const { begin } = proxyActivities<FloorActivities>({ startToCloseTimeout: '10 seconds' });

/** The naive engine's workflow: one signal, one empty activity. */
export async function floor(id: string): Promise<void> {
  setHandler(event, () => undefined);
  await begin(id);
}
