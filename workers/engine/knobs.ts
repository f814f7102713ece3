import type { Config } from '../../config/schema.js';
import type { Target } from '../../events/audit.js';
import type { IncidentKnobs } from '../../workflows/messages.js';

/** The numbers of policy and the names of inventory that an incident about this target begins with, and keeps. */
export function incidentKnobs(config: Config, target: Target): IncidentKnobs {
  const relieve = config.policy.relieveContainer;
  const container = target.container === undefined ? undefined : config.fleet.hosts[target.host]?.containers[target.container];
  const ceilings: Partial<Record<string, { barrier: number; limit: number }>> = container?.ceilings ?? {};
  return {
    verifyForMs: relieve.verifyFor,
    watchForMs: relieve.watchFor,
    maxKills: relieve.maxKills,
    maxRaises: relieve.maxRaises,
    raiseFactor: relieve.raiseFactor,
    enterWithinMs: relieve.enterWithin,
    runaways: container?.runaways ?? [],
    protect: container?.protect ?? [],
    service: container?.service ?? null,
    ceiling: (target.resource === undefined ? undefined : ceilings[target.resource]) ?? null,
  };
}
