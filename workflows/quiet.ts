import { condition } from '@temporalio/workflow';
import type { QuietMemory } from './carried.js';
import { span } from './decide/figures.js';
import type { Measure } from './kernel.js';
import { peek, type Desk } from './steps.js';

/** Looks grow apart up to this: an incident that is open for days costs its host some hundred reads a day. */
const MAX_WAIT_MS = 5 * 60_000;

/**
 * Waits, quiet, while nobody acts: until the marks of the looks have been the same for the verification window and no new spike was reported within it,
 * or a person closes the incident, or something must be told (`mustTell`). An agent that says "quiet" brings the next look forward.
 * Counters are sums, so that looks far apart miss nothing.
 */
export async function waitUntilGone(
  desk: Desk,
  {
    memory,
    measure,
    mustTell,
  }: {
    memory: QuietMemory;
    measure: Measure | null;
    mustTell: () => boolean;
  },
): Promise<{ why: 'gone'; summary: string } | { why: 'told' }> {
  const { input, inbox, now } = desk;
  const { verifyForMs, watchForMs } = input.knobs;
  let waitMs = watchForMs;
  for (;;) {
    await desk.checkpoint();
    if (mustTell()) return { why: 'told' };
    if (measure === null) {
      now.waiting = { for: 'a person closes it', until: null };
      await condition(() => mustTell() || desk.grown());
      continue;
    }
    const seen = await peek(desk, measure.want);
    const { mark, summary } = typeof seen === 'string' ? { mark: null, summary: seen } : measure.mark(seen.look, input);
    const stirred = mark === null || mark !== memory.mark || inbox.failing !== memory.failing;
    if (stirred) {
      memory.mark = mark;
      memory.since = Date.now();
      memory.failing = inbox.failing;
    } else if (Date.now() - memory.since >= verifyForMs) {
      return { why: 'gone', summary: `${summary} for ${span(Date.now() - memory.since)}` };
    }
    // While it goes on there is no hurry; once it has come to rest, the next look is at the end of its window.
    const nextMs = stirred ? waitMs : Math.min(waitMs, Math.max(memory.since + verifyForMs - Date.now(), 1));
    now.waiting = { for: `the symptom to stay away for ${span(verifyForMs)}, or a person closes it`, until: null };
    const heard = inbox.quiet;
    const woken = await condition(() => mustTell() || desk.grown() || inbox.quiet !== heard, nextMs);
    // However often an agent says it: looks are at least this far apart.
    if (woken && !mustTell() && !desk.grown()) await condition(mustTell, Math.min(watchForMs, nextMs));
    waitMs = inbox.quiet === heard ? Math.min(waitMs * 2, MAX_WAIT_MS) : watchForMs;
  }
}
