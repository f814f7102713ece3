import { z } from 'zod';
import type { Answer } from '../far-side/answer.js';
import type { FarSide } from '../far-side/far-side.js';
import { lookAt, targetOf } from '../far-side/look-at.js';
import { perform, recall } from '../far-side/perform.js';
import type { Verb } from '../verb.js';
import { incarnation, incarnationObjection } from './incarnation.js';

const LIMIT_MS = 60_000;

/**
 * Leaves the container's service freshly started: its processes are there and all younger than this effect. R1. Takes what its init script takes, at most 60 s.
 * `failed` when the script fails, when old processes outlive it or when none come back. If it is wrong: the service is away for that long, and what it held
 * in memory is lost. It is never already as wanted: a restart is an event, not a state; the operation's id keeps it from happening twice.
 */
export function createEnsureServiceRestarted(farSide: FarSide): Verb<'container.ensure-service-restarted'> {
  return {
    risk: 'R1',
    limitMs: LIMIT_MS,
    args: z.strictObject({ incarnation }),
    read: ({ host, containerName, container }, _args, signal) => lookAt(farSide, host, containerName, container, { want: [], enterWithinMs: 0 }, signal),
    objection({ container, containerName }, args, now) {
      if (container.engine !== 'openvz') return { reason: 'not-supported', summary: `${containerName} is a plain cgroup: it has no services` };
      if (container.service === undefined) return { reason: 'not-allowed', summary: `the inventory names no service of ${containerName}` };
      return incarnationObjection(now, args.incarnation);
    },
    isWanted: () => false,
    act: (ctx, args, options) =>
      perform(
        farSide,
        ctx.host,
        () => ({
          verb: 'ensure-service',
          op: options.operation,
          target: targetOf(ctx.containerName, ctx.container),
          incarnation: args.incarnation,
          limitMs: LIMIT_MS,
          service: ctx.container.service ?? '',
          runaways: ctx.container.runaways,
        }),
        (answer) => summary(ctx.container.service ?? 'service', answer),
        options,
      ),
    recall: ({ host, container }, operation, signal) =>
      recall(farSide, host, operation, LIMIT_MS, (answer) => summary(container.service ?? 'service', answer), signal),
    // That its processes are new has been seen on the host itself, by its own clock; here is left to see that the container has outlived it.
    readBack: { isTrue: (now, args) => now.running === true && now.incarnation === args.incarnation, withinMs: 5000, everyMs: 500, decides: false },
  };
}

function summary(service: string, { result, details }: Answer): string {
  if (result?.word !== 'done') return `restart of ${service}`;
  const counted = details.find((d) => d.startsWith('service '))?.split(' ')[1];
  return `${service} restarted in the container${counted === undefined ? '' : `, ${counted} processes`}`;
}
