import type { FarSide } from '../far-side/far-side.js';
import type { Verbs } from '../verb.js';
import { createEnsureEnterable } from './ensure-enterable.js';
import { createEnsureLimit, createEnsureLimitSaved } from './ensure-limit.js';
import { createEnsureServiceRestarted } from './ensure-service-restarted.js';

/** All that can be done to a machine. */
export const createVerbs = ({ farSide }: { farSide: FarSide }): Verbs => ({
  'container.ensure-enterable': createEnsureEnterable(farSide),
  'container.ensure-service-restarted': createEnsureServiceRestarted(farSide),
  'container.ensure-limit': createEnsureLimit(farSide),
  'container.ensure-limit-saved': createEnsureLimitSaved(farSide),
});
