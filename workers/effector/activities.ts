import { Context } from '@temporalio/activity';
import type { Effects } from '../../activities/effects.js';
import type { Looks } from '../../activities/looks.js';
import { carryOut, type EffectorWorld } from './carry-out.js';

/** Sent this often, so that an effector that has died is noticed within the heartbeat timeout of the workflows, 5 s. */
const HEARTBEAT_MS = 1_000;

/**
 * Everything that the effector can be asked for, by queue. `carryOut` is the only activity in Nightshift that changes a machine, and it is the effect
 * protocol; a test holds this list closed.
 */
export function createEffectorActivities(looks: Looks, world: EffectorWorld): { looks: Looks; effects: Effects } {
  return {
    looks: { lookAtContainer: (request) => looks.lookAtContainer(request) },
    effects: {
      async carryOut(request) {
        const context = Context.current();
        const beat = setInterval(() => context.heartbeat(), HEARTBEAT_MS);
        try {
          return await carryOut(world, request, context.cancellationSignal);
        } finally {
          clearInterval(beat);
        }
      },
    },
  };
}
