import { z } from 'zod';
import type { Answer } from '../far-side/answer.js';
import type { FarSide } from '../far-side/far-side.js';
import { lookAt, targetOf } from '../far-side/look-at.js';
import { perform, recall } from '../far-side/perform.js';
import type { Verb } from '../verb.js';
import { incarnation, incarnationObjection } from './incarnation.js';

const LIMIT_MS = 60_000;

/**
 * Leaves the container so that a process can be started in it within `enterWithinMs`, by ending runaways from outside, a few at a time, and none once it can
 * be entered. R1: each of them belongs to the workload that is failing. Takes some seconds, at most 60; the politely asked have half a second.
 * `failed` when it cannot be entered even so: then all that was ended is in the summary. If it is wrong: requests that those processes served are cut off.
 *
 * What may be ended is said by the inventory (`runaways`, `protect`), never by the request: that only says which ones were seen.
 */
export function createEnsureEnterable(farSide: FarSide): Verb<'container.ensure-enterable'> {
  return {
    risk: 'R1',
    limitMs: LIMIT_MS,
    args: z.strictObject({
      candidates: z.array(z.strictObject({ pid: z.int().min(2).max(99_999_999), startTicks: z.int().nonnegative() })).max(1000),
      incarnation,
      maxKills: z.int().min(0).max(500),
      enterWithinMs: z.int().min(50).max(60_000),
    }),
    read: ({ host, containerName, container }, { enterWithinMs }, signal) =>
      lookAt(farSide, host, containerName, container, { want: ['enter'], enterWithinMs }, signal),
    objection({ container, containerName }, args, now) {
      if (container.service === undefined || container.runaways.length === 0) {
        return { reason: 'not-allowed', summary: `the inventory names no service and runaways of ${containerName}: nothing in it may be ended` };
      }
      return incarnationObjection(now, args.incarnation);
    },
    isWanted: (now) => now.enteredInMs !== null && now.enteredInMs !== undefined,
    act: (ctx, args, options) =>
      perform(
        farSide,
        ctx.host,
        () => ({
          verb: 'ensure-enterable',
          op: options.operation,
          target: targetOf(ctx.containerName, ctx.container),
          incarnation: args.incarnation,
          limitMs: LIMIT_MS,
          enterMs: args.enterWithinMs,
          maxKills: args.maxKills,
          candidates: args.candidates,
          runaways: ctx.container.runaways,
          protect: ctx.container.protect,
        }),
        summary,
        options,
      ),
    recall: ({ host }, operation, signal) => recall(farSide, host, operation, LIMIT_MS, summary, signal),
    readBack: { isTrue: (now) => now.enteredInMs !== null && now.enteredInMs !== undefined, withinMs: 5000, everyMs: 500 },
  };
}

function summary({ killed, survived, spared, left, enteredInMs }: Answer): string {
  const entered = enteredInMs === null || enteredInMs === undefined ? 'cannot be entered' : `enters in ${enteredInMs} ms`;
  const seen = killed.length + survived.length + spared.length + (left ?? 0);
  if (seen === 0) return `nothing was ended; ${entered}`;
  const names = new Map<string, number>();
  for (const { comm } of killed) names.set(comm, (names.get(comm) ?? 0) + 1);
  const forced = killed.filter((k) => k.signal === 'KILL').length;
  const parts = [
    `${killed.length} of ${seen} ended from the host${names.size === 0 ? '' : ` (${[...names].map(([name, n]) => `${n} ${name}`).join(', ')}${forced === 0 ? '' : `, ${forced} by SIGKILL`})`}`,
    ...(survived.length === 0 ? [] : [`${survived.length} survived SIGKILL`]),
    ...(spared.length === 0 ? [] : [`${spared.length} spared (${[...new Set(spared.map((s) => s.why))].slice(0, 4).join(', ')})`]),
    entered,
  ];
  return parts.join('; ');
}
