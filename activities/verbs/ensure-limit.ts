import { z } from 'zod';
import { resource } from '../../events/kinds/container.js';
import type { Answer } from '../far-side/answer.js';
import type { FarSide } from '../far-side/far-side.js';
import { lookAt, targetOf } from '../far-side/look-at.js';
import { perform, recall } from '../far-side/perform.js';
import type { ContainerLook } from '../looks.js';
import type { Objection, Verb, VerbContext } from '../verb.js';
import { incarnation, incarnationObjection } from './incarnation.js';

const LIMIT_MS = 20_000;

const args = z.strictObject({ resource, barrier: z.int().nonnegative(), limit: z.int().nonnegative(), incarnation });
type Args = z.infer<typeof args>;

/**
 * Leaves the running container with exactly this barrier and limit; gone with its next start. R1: undone by setting the old values. Takes a second, at most 20.
 * Never above the inventory's ceiling, nor for a resource that has none. If it is wrong: the container takes more of the host than it should, up to the ceiling.
 */
export const createEnsureLimit = (farSide: FarSide): Verb<'container.ensure-limit'> => limitVerb(farSide, false);

/** The same, and written to the container's configuration: it outlives its restart. Needs a container that is there; a plain cgroup keeps none. */
export const createEnsureLimitSaved = (farSide: FarSide): Verb<'container.ensure-limit-saved'> => limitVerb(farSide, true);

function limitVerb(farSide: FarSide, save: boolean): Verb<'container.ensure-limit'> & Verb<'container.ensure-limit-saved'> {
  return {
    risk: 'R1',
    limitMs: LIMIT_MS,
    args,
    read: ({ host, containerName, container }, _args, signal) =>
      lookAt(farSide, host, containerName, container, { want: ['counters'], enterWithinMs: 0 }, signal),
    objection: (ctx, wanted, now) => limitObjection(ctx, wanted, now, save) ?? incarnationObjection(now, wanted.incarnation),
    // Whether it is saved too only the host can see: for that the act is asked, and answers `already`.
    isWanted: (now, wanted) => !save && isSet(now, wanted),
    act: (ctx, wanted, options) =>
      perform(
        farSide,
        ctx.host,
        () => ({
          verb: 'ensure-limit',
          op: options.operation,
          target: targetOf(ctx.containerName, ctx.container),
          incarnation: wanted.incarnation,
          limitMs: LIMIT_MS,
          resource: wanted.resource,
          barrier: wanted.barrier,
          limit: wanted.limit,
          save,
        }),
        (answer) => summary(wanted, save, answer),
        options,
      ),
    recall: ({ host }, operation, signal) => recall(farSide, host, operation, LIMIT_MS, (answer) => summary(null, save, answer), signal),
    readBack: { isTrue: isSet, withinMs: 5000, everyMs: 250, ...(save ? { decides: false } : {}) },
  };
}

/** Limits of cgroups are kept in whole pages: up to one page less than asked for is as asked. */
const PAGE = 4096;

function isSet(now: ContainerLook, wanted: Args): boolean {
  const have = now.counters?.find((c) => c.resource === wanted.resource);
  if (have === undefined) return false;
  const same = (a: number, b: number): boolean => a === b || (wanted.resource === 'memory' && a < b && b - a < PAGE);
  return same(have.barrier, wanted.barrier) && same(have.limit, wanted.limit);
}

/** The ceiling is the inventory's; who asks cannot bring another. Going back down is not measured against it: an undo must always be possible. */
function limitObjection({ container, containerName }: VerbContext, wanted: Args, now: ContainerLook, save: boolean): Objection | null {
  const what = `${wanted.resource} of ${containerName}`;
  if (save && container.engine !== 'openvz') return { reason: 'not-supported', summary: `${containerName} is a plain cgroup: it keeps no configuration` };
  if (wanted.barrier > wanted.limit) return { reason: 'inconsistent', summary: `${what}: barrier ${wanted.barrier} is above limit ${wanted.limit}` };
  const have = now.counters?.find((c) => c.resource === wanted.resource);
  if (have === undefined) return { reason: 'facts-unreadable', summary: `${what} cannot be read` };
  const ceiling = Object.hasOwn(container.ceilings, wanted.resource) ? container.ceilings[wanted.resource] : undefined;
  const raised = wanted.barrier > have.barrier || wanted.limit > have.limit;
  // Saving makes lasting what was lent for the moment: it is measured like a raise.
  if (!raised && !save) return null;
  if (ceiling === undefined) return { reason: 'over-limit', summary: `${what} has no ceiling in the inventory: it is not raised` };
  if (wanted.barrier > ceiling.barrier || wanted.limit > ceiling.limit) {
    return { reason: 'over-limit', summary: `${what}: ${wanted.barrier}:${wanted.limit} is above the ceiling ${ceiling.barrier}:${ceiling.limit}` };
  }
  return null;
}

function summary(wanted: Args | null, save: boolean, { was, is, result }: Answer): string {
  const name = wanted === null ? 'limit' : wanted.resource;
  const to = is ?? wanted;
  const target = to === null ? '' : ` ${to.barrier}:${to.limit}`;
  const saved = save ? ' and saved' : '';
  if (result?.word !== 'done') return `${name} to${target}${saved}`;
  if (result.reason === 'already') return `${name} is${target}${saved} already`;
  return `${name} set to${target}${saved}${was === null ? '' : `, was ${was.barrier}:${was.limit}`}`;
}
