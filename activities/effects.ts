import type { Target } from '../events/audit.js';
import type { EffectOutcome } from '../events/effect.js';
import type { Risk, VerbName } from '../events/playbooks.js';
import type { Resource } from '../events/kinds/container.js';

/** The arguments of each verb. All of them are checked again by the effector against the inventory and the live host. */
export interface VerbArgs {
  /**
   * Ends runaway processes of a container, from its host, until it can be entered again; then stops. Nothing outside `candidates` is ended, and of
   * those only what is still the same process, belongs to the container, bears one of its runaway names and is not protected.
   */
  'container.ensure-enterable': { candidates: { pid: number; startTicks: number }[]; incarnation: string; maxKills: number; enterWithinMs: number };
  /** Leaves the container's service freshly started: its processes are younger than this effect. */
  'container.ensure-service-restarted': { incarnation: string };
  /** Leaves the running container with exactly this barrier and limit; not saved. */
  'container.ensure-limit': { resource: Resource; barrier: number; limit: number; incarnation: string };
  /** The same, written to the container's configuration, so that it survives its restart. */
  'container.ensure-limit-saved': { resource: Resource; barrier: number; limit: number; incarnation: string };
}

/** What a workflow asks of the effector: one step's effect. */
export interface EffectRequest<V extends VerbName = VerbName> {
  incident: string;
  problem: string;
  site: string;
  step: string;
  verb: V;
  risk: Risk;
  target: Target;
  args: VerbArgs[V];
  /** For people, of the timeline: what is about to be done. */
  summary: string;
}

/** The only road to a machine: every R1-R3 effect of every playbook is this one activity, on the queue `effects`. */
export interface Effects {
  /** Carries the request through the effect protocol. Never throws for a no: a no is an outcome. Throws only when NATS cannot be reached to claim or record. */
  carryOut(request: EffectRequest): Promise<EffectOutcome>;
}
