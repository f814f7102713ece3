import { ZodError } from 'zod';
import type { Host } from '../../config/schema.js';
import type { EffectOutcome } from '../../events/effect.js';
import type { ActOptions, Recalled } from '../verb.js';
import type { Answer } from './answer.js';
import type { FarSide } from './far-side.js';
import { FarSideFailure } from './far-side-failure.js';
import { outcomeOf } from './outcome-of.js';
import type { FarSideEffect } from './request.js';

/** Over and above what an effect may take itself: connecting, the last command's end, the answer. */
const SLACK_MS = 5000;

/**
 * Has an effect done on a host, and says how it ended. An answer that is missed is never followed by the same act, but by the question what became of it;
 * that question also bars a request still on its way. Only if it stays open too, the outcome is `unknown`.
 */
export async function perform(
  farSide: FarSide,
  host: Host,
  effect: () => FarSideEffect,
  summary: (answer: Answer) => string,
  { deadlineMs, signal }: ActOptions,
): Promise<EffectOutcome> {
  let request: FarSideEffect | null = null;
  try {
    request = effect();
    const answer = await farSide.request(host, request, { signal, timeoutMs: deadlineMs + request.limitMs + SLACK_MS, beginWithinMs: deadlineMs });
    return outcomeOf(answer, summary);
  } catch (error) {
    if (error instanceof ZodError)
      return { state: 'failed', summary: `nothing was sent: no host would take this: ${error.issues[0]?.path.join('.')}: ${error.issues[0]?.message}` };
    if (error instanceof FarSideFailure) {
      if (request === null || !error.mayHaveArrived) return { state: 'failed', summary: `nothing was sent: ${error.message}` };
      return afterMissedAnswer(farSide, host, request, summary, error, signal);
    }
    if (signal?.aborted === true) return { state: 'unknown', summary: `given up while it may have been under way: ${String(signal.reason)}` };
    throw error;
  }
}

async function afterMissedAnswer(
  farSide: FarSide,
  host: Host,
  { op, limitMs }: FarSideEffect,
  summary: (answer: Answer) => string,
  missed: FarSideFailure,
  signal: AbortSignal | undefined,
): Promise<EffectOutcome> {
  try {
    const recalled = await recall(farSide, host, op, limitMs, summary, signal);
    return recalled.state === 'never' ? { state: 'refused', reason: 'too-late', summary: `it never began, and cannot any more: ${missed.message}` } : recalled;
  } catch (error) {
    if (error instanceof FarSideFailure) return { state: 'unknown', summary: `${missed.message}; asked what became of it: ${error.message}`.slice(0, 1500) };
    if (signal?.aborted === true) return { state: 'unknown', summary: missed.message };
    throw error;
  }
}

/** What became of an operation, by the host's journal. Waits up to `waitMs` for one that is under way. What has not begun is sealed: it never will. */
export async function recall(
  farSide: FarSide,
  host: Host,
  op: string,
  waitMs: number,
  summary: (answer: Answer) => string,
  signal?: AbortSignal,
): Promise<Recalled> {
  const answer = await farSide.request(host, { verb: 'seal', op, waitMs }, { signal, timeoutMs: waitMs + SLACK_MS });
  if (answer.result?.word === 'refused' && answer.result.reason === 'sealed') return { state: 'never' };
  return outcomeOf(answer, summary);
}
