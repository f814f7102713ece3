import type { EffectRequest } from '../../activities/effects.js';
import type { Objection } from '../../activities/verb.js';
import type { ReadyConfig } from '../../config/load.js';
import type { AuditOf } from '../../events/audit.js';
import { PLAYBOOKS, VERBS, type VerbName } from '../../events/playbooks.js';

export interface WhoseStep {
  request: EffectRequest;
  site: string;
  /** What the audit says of the incident, and of its problem now. */
  opened: AuditOf<'opened'> | null;
  problem: AuditOf<'problem'> | null;
  /** The configuration that the incident began with: its policy and its rule. */
  began: ReadyConfig | null;
  /** The one in force now: inventory and vetoes. */
  inForce: ReadyConfig;
  now: number;
}

/**
 * Why this step is not this incident's to take; null when it is. Pure. It trusts nothing that the request says of itself: reaching Temporal must not be
 * enough to reach a machine. What the audit, the rule and the inventory say is compared with what is asked.
 */
export function isTheirs({ request, site, opened, problem, began, inForce, now }: WhoseStep): Objection | null {
  const { incident, target, verb } = request;
  const no = (reason: Objection['reason'], summary: string): Objection => ({ reason, summary });
  if (request.site !== site) return no('not-this-incident', `the request is for site ${request.site}, this is ${site}`);
  if (opened === null) return no('not-this-incident', `the audit knows no incident ${incident}`);
  if (opened.site !== site || opened.problem !== request.problem)
    return no('not-this-incident', `${incident} is about ${opened.problem}, the request about ${request.problem}`);
  if (problem === null || problem.status !== 'open' || problem.incident !== incident)
    return no('not-this-incident', `${opened.problem} is not open as ${incident}`);
  const of = opened.target;
  if (target.host !== of.host || target.container !== of.container || (target.resource !== undefined && target.resource !== of.resource)) {
    return no(
      'not-this-incident',
      `${incident} is about ${of.host}/${of.container ?? '-'}/${of.resource ?? '-'}, the request about ${target.host}/${target.container ?? '-'}/${target.resource ?? '-'}`,
    );
  }
  if ('resource' in request.args && request.args.resource !== of.resource)
    return no('not-this-incident', `${incident} is about ${of.resource ?? 'no resource'}, the request about ${request.args.resource}`);

  const allowed: readonly VerbName[] = PLAYBOOKS[opened.playbook].verbs;
  if (!allowed.includes(verb)) return no('not-this-playbook', `${verb} is not one of ${opened.playbook}'s verbs`);
  if (request.risk !== VERBS[verb]) return no('not-this-playbook', `${verb} is ${VERBS[verb]}, the request calls it ${request.risk}`);

  if (began === null) return no('facts-unreadable', `configuration ${opened.config}, which ${incident} began with, is not known here`);
  const rule = began.config.rules.find((one) => one.name === opened.rule);
  if (rule === undefined || rule.playbook !== opened.playbook)
    return no('not-allowed', `rule ${opened.rule} of configuration ${opened.config} does not start ${opened.playbook}`);
  if (opened.mode !== 'auto' || rule.mode !== 'auto') return no('not-allowed', `rule ${opened.rule} is in mode ${rule.mode}: it does not act by itself`);
  if ('maxKills' in request.args && request.args.maxKills > began.config.policy.relieveContainer.maxKills) {
    return no('over-limit', `${request.args.maxKills} kills asked for, policy allows ${began.config.policy.relieveContainer.maxKills}`);
  }

  const host = Object.hasOwn(inForce.config.fleet.hosts, target.host) ? inForce.config.fleet.hosts[target.host] : undefined;
  const container =
    host !== undefined && target.container !== undefined && Object.hasOwn(host.containers, target.container) ? host.containers[target.container] : undefined;
  if (container === undefined)
    return no('not-in-inventory', `${target.host}/${target.container ?? '-'} is not in the configuration in force (${inForce.version})`);
  const veto = container.vetoes.find((one) => one.verb === verb && Date.parse(one.until) > now);
  if (veto !== undefined)
    return no('vetoed', `${veto.owner} has forbidden ${verb} on ${target.host}/${target.container ?? '-'} until ${veto.until}: ${veto.reason}`);
  return null;
}
