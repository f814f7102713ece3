import type { ReadyConfig } from '../../config/load.js';
import type { Config, Rule } from '../../config/schema.js';
import type { Target } from '../../events/audit.js';
import { FAILING, type EventKind } from '../../events/event.js';
import { problemId } from '../../events/incident.js';
import type { PlaybookName } from '../../events/playbooks.js';
import type { AcceptedEvent } from '../../workflows/messages.js';
import type { Accepted } from './accept.js';
import type { OpenProblem } from './open-problems.js';

/** An incident that is to begin. */
export interface Opening {
  problem: string;
  playbook: PlaybookName;
  rule: string;
  mode: Rule['mode'];
  /** Version of the configuration that it begins with. */
  config: string;
  target: Target;
  trigger: AcceptedEvent;
  stale: boolean;
  /** When the server received the trigger, and whether it is handed over again. */
  receivedAtMs: number;
  redelivered: boolean;
}

/** Where an event goes. Neither a signal nor an opening: it is of nobody's concern and simply acknowledged. */
export interface Routing {
  /** Workflow ids. */
  signals: string[];
  opens: Opening | null;
  host: string;
  /** Failure domains of the host, the site among them. */
  domains: string[];
  /** It says that its host fails: it counts for the storm brake. */
  failing: boolean;
  /** It says that something is well again: it concerns a domain's incident too. */
  recovering: boolean;
  /** Rules whose condition could not be evaluated: they count as not matching, and it is said. */
  troubles: string[];
}

/** What routing needs to know of the configuration in force. */
export type RouteRules = Pick<ReadyConfig, 'config' | 'version' | 'rules'>;

const RECOVERING: ReadonlySet<EventKind> = new Set(['container.failcnt_quiet', 'host.reachable', 'gluster.heal_finished']);
/** Kinds about a host as a whole that every open incident of that host wants to hear: they are the figures beside its own. */
const FOR_ALL_OF_HOST: ReadonlySet<EventKind> = new Set(['host.load_slope']);

/** The site as a failure domain: everything is in it, always. No longer than the audit takes a domain's name. */
export const siteDomain = (site: string): string => `site:${site}`.slice(0, 63);

/**
 * Which incidents an event concerns. Pure. An event concerns the open incidents of its host with the same aspect, whatever playbook they run, so that
 * the quiet finds what the spike has opened; the first rule that matches opens an incident unless that very problem is open.
 */
export function route(accepted: Accepted, rules: RouteRules, openOfHost: readonly OpenProblem[]): Routing {
  const { event, host, aspect } = accepted;
  const { config } = rules;
  const concerned = openOfHost.filter((open) => open.aspect === aspect || FOR_ALL_OF_HOST.has(event.kind));
  const troubles: string[] = [];
  const at = config.fleet.hosts[host];
  const context = { site: config.site, host: { name: host, domains: at?.domains ?? [], owners: at?.owners ?? [] } };
  const rule = rules.rules.find((one) => {
    const verdict = one.matches(accepted.parsed, context);
    if ('error' in verdict) troubles.push(`${one.rule.name}: ${verdict.error}`);
    return verdict.matched;
  })?.rule;
  const problem = rule === undefined ? null : problemId(config.site, host, aspect, rule.playbook);
  const opens =
    rule === undefined || problem === null || concerned.some((open) => open.problem === problem)
      ? null
      : {
          problem,
          playbook: rule.playbook,
          rule: rule.name,
          mode: rule.mode,
          config: rules.version,
          target: targetOf(event),
          trigger: event,
          stale: accepted.stale,
          receivedAtMs: accepted.receivedAtMs,
          redelivered: accepted.redelivered,
        };
  return {
    signals: [...new Set(concerned.map((open) => open.workflow))],
    opens,
    host,
    domains: [...(at?.domains ?? []), siteDomain(config.site)],
    failing: FAILING.has(event.kind),
    recovering: RECOVERING.has(event.kind),
    troubles,
  };
}

function targetOf(event: AcceptedEvent): Target {
  const { container, resource } = event.data;
  return {
    host: event.host,
    ...(typeof container === 'string' ? { container } : {}),
    ...(typeof resource === 'string' ? { resource } : {}),
  };
}

/** How many hosts each failure domain has: what the storm brake's share is a share of. */
export function domainSizes(config: Config): Map<string, number> {
  const sizes = new Map<string, number>([[siteDomain(config.site), Object.keys(config.fleet.hosts).length]]);
  for (const host of Object.values(config.fleet.hosts)) {
    for (const domain of host.domains) sizes.set(domain, (sizes.get(domain) ?? 0) + 1);
  }
  return sizes;
}
