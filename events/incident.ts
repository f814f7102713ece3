import { createHash } from 'node:crypto';

/**
 * The identity of a problem, and the id of its workflow: `<site>/<host>/<aspect>/<condition>`. While one is open the same problem cannot run twice.
 * Example: `lab/dauntless/204/tcpsndbuf/relieve-container`.
 */
export const problemId = (site: string, host: string, aspect: string, playbook: string): string => `${site}/${host}/${aspect}/${playbook}`;

/** The identity of a whole domain's trouble. */
export const domainProblemId = (site: string, domain: string): string => `${site}/domain:${domain}/watch-domain`;

/** A problem as one subject token (16 hex digits): problems contain slashes and dots, subjects must not. */
export const problemKey = (problem: string): string => createHash('sha256').update(problem).digest('hex').slice(0, 16);

/**
 * The id of one incident: one occurrence of a problem. Made of the problem and the event that opened it, so that the same event handed over
 * twice, even to a Temporal that was put back to yesterday, names the same incident and finds its steps already claimed.
 * Shape: `i-` and ten characters of Crockford's base 32 in lower case.
 */
export function incidentId(problem: string, openingEventId: string): string {
  const alphabet = '0123456789abcdefghjkmnpqrstvwxyz';
  const hash = createHash('sha256').update(`${problem}\n${openingEventId}`).digest();
  let id = 'i-';
  for (let i = 0; i < 10; i += 1) id += alphabet[(hash[i] ?? 0) & 31];
  return id;
}

/** True for text shaped like an incident id. */
export const isIncidentId = (text: string): boolean => /^i-[0-9a-hjkmnp-tv-z]{10}$/.test(text);

/** States of an incident. `resolved` and `closed` end it; `closed` only by a person. */
export const INCIDENT_STATES = ['working', 'waiting', 'refused', 'escalated', 'resolved', 'closed'] as const;
export type IncidentState = (typeof INCIDENT_STATES)[number];
export const ENDED: ReadonlySet<IncidentState> = new Set(['resolved', 'closed']);
