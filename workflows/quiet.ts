import { condition } from '@temporalio/workflow';
import { comeToRest, type RestMemory } from './decide/come-to-rest.js';
import { span } from './decide/figures.js';
import type { Measure } from './kernel.js';
import { peek, type Desk } from './steps.js';

/**
 * Waits, quiet, while nobody acts: until the symptom has been measured gone for the verification window, a person closes the incident, or something must be
 * told (`mustTell`). What is seen meanwhile is not written down: nothing changes. `memory` is brought up to date with each look, to be carried on.
 */
export async function waitUntilGone(
  desk: Desk,
  { memory, measure, mustTell }: { memory: RestMemory; measure: Measure | null; mustTell: () => boolean },
): Promise<{ why: 'gone'; summary: string } | { why: 'told' }> {
  const { input, inbox, now } = desk;
  const { verifyForMs, watchForMs } = input.knobs;
  let heard = inbox.quiet;
  for (;;) {
    await desk.checkpoint();
    if (mustTell()) return { why: 'told' };
    if (measure === null) {
      now.waiting = { for: 'a person closes it', until: null };
      await condition(() => mustTell() || desk.grown());
      continue;
    }
    const hurry = inbox.quiet !== heard;
    heard = inbox.quiet;
    const seen = await peek(desk, measure.want);
    const { mark, summary } = typeof seen === 'string' ? { mark: null, summary: seen } : measure.mark(seen.look, input);
    const next = comeToRest(memory, { mark, failing: inbox.failing, now: Date.now(), hurry }, { verifyForMs, watchForMs });
    Object.assign(memory, next.memory);
    if (next.rest !== null) return { why: 'gone', summary: `${summary} for ${span(next.rest.forMs)}` };
    now.waiting = { for: `the symptom to stay away for ${span(verifyForMs)}, or a person closes it`, until: null };
    // An agent that says "quiet" brings the next look forward, but however often it says so, looks are at least `watchForMs` apart.
    const atLeastMs = Math.min(watchForMs, next.nextMs);
    const woken = await condition(() => mustTell() || desk.grown(), atLeastMs);
    if (!woken && next.nextMs > atLeastMs) await condition(() => mustTell() || desk.grown() || inbox.quiet !== heard, next.nextMs - atLeastMs);
  }
}
