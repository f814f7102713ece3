/** Why an effect was not begun. A closed list: the reason travels into the audit, the timeline and the metrics. */
export const REFUSALS = [
  'not-this-playbook', // the verb is not one of the incident's playbook
  'not-this-incident', // the audit knows no such open incident, or the target is not its target
  'not-in-inventory', // the target is not in the inventory that is in force
  'not-allowed', // policy does not let this playbook act by itself here
  'vetoed', // an owner has forbidden this action on this target
  'held', // somebody has engaged a hold, or it cannot be read
  'trigger-gone', // the symptom is no longer there
  'other-incarnation', // the target is not the one that was looked at: rebooted, restarted, pid reused
  'over-limit', // more than the verb's limits allow (kills, steps, ceiling)
  'inconsistent', // the wanted values contradict each other (beancounter formulae, host capacity)
  'facts-unreadable', // what must be known before acting could not be read: unknown counts against acting
  'not-supported', // this kind of target cannot be treated so (a service inside a plain cgroup, say)
  'too-late', // the deadline passed before the act
] as const;
export type Refusal = (typeof REFUSALS)[number];

/** How an effect ended. `unknown` is a state: what follows it is a look, never the same act again. */
export type EffectOutcome =
  | { state: 'done'; changed: boolean; summary: string; data: Record<string, string | number | boolean> }
  | { state: 'refused'; reason: Refusal; summary: string }
  | { state: 'failed'; summary: string }
  | { state: 'unknown'; summary: string };
export const EFFECT_STATES = ['done', 'refused', 'failed', 'unknown'] as const;
