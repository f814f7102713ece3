import { domainProblemId } from '../../events/incident.js';

/** An incident that runs, as far as the bridge knows. Temporal has the last word. */
export interface OpenProblem {
  problem: string;
  incident: string;
  /** The workflow's id: the problem itself, or, for a domain whose trouble was first seen as one host's, that host's problem. */
  workflow: string;
  /** Null for a domain's. */
  host: string | null;
  aspect: string;
  domain: string | null;
}

/** What is open, found by problem, by host, by incident. Kept in step with the audit by whoever holds it. */
export interface OpenProblems {
  add(open: OpenProblem): void;
  remove(problem: string): void;
  get(problem: string): OpenProblem | undefined;
  ofHost(host: string): OpenProblem[];
  ofIncident(incident: string): OpenProblem[];
  readonly size: number;
}

export function createOpenProblems(): OpenProblems {
  const problems = new Map<string, OpenProblem>();
  const hosts = new Map<string, Map<string, OpenProblem>>();
  const remove = (problem: string): void => {
    const old = problems.get(problem);
    if (old === undefined) return;
    problems.delete(problem);
    if (old.host === null) return;
    const ofHost = hosts.get(old.host);
    ofHost?.delete(problem);
    if (ofHost?.size === 0) hosts.delete(old.host);
  };
  return {
    add(open) {
      remove(open.problem);
      problems.set(open.problem, open);
      if (open.host === null) return;
      const ofHost = hosts.get(open.host) ?? new Map<string, OpenProblem>();
      ofHost.set(open.problem, open);
      hosts.set(open.host, ofHost);
    },
    remove,
    get: (problem) => problems.get(problem),
    ofHost: (host) => [...(hosts.get(host)?.values() ?? [])],
    ofIncident: (incident) => [...problems.values()].filter((p) => p.incident === incident),
    get size() {
      return problems.size;
    },
  };
}

/** Reads a problem's id back into its parts (`events/incident.ts` writes it); null for text of another shape. */
export function readProblem(problem: string): { site: string; host: string | null; domain: string | null; aspect: string; playbook: string } | null {
  const parts = problem.split('/');
  const [site, second] = parts;
  const playbook = parts.at(-1);
  if (site === undefined || second === undefined || playbook === undefined || parts.length < 3) return null;
  const aspect = parts.slice(2, -1).join('/');
  const domain = second.startsWith('domain:') ? second.slice('domain:'.length) : null;
  if (domain !== null && problem !== domainProblemId(site, domain)) return null;
  return { site, host: domain === null ? second : null, domain, aspect, playbook };
}
