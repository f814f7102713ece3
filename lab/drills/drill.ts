import type { AuditRecord } from '../../events/audit.js';
import type { IncidentState } from '../../events/incident.js';
import type { VerbName } from '../../events/playbooks.js';
import type { LabClient } from '../client.js';
import type { HostLogLine } from '../host-log.js';

/**
 * A scripted outage, played against the lab, with what Nightshift must have made of it. Whoever runs one: `play`, wait for the incident of
 * `expects.problem` to end (at most `withinMs`), read its audit records and the host's log from `logFrom` on, then `verify`.
 */
export interface Drill {
  name: string;
  /** The story, for people: what happens, and what should be done about it. */
  about: string;
  expects: {
    /** The id of the problem whose incident it opens. */
    problem: string;
    state: IncidentState;
    /** The effects that must have been done, in the order of their first appearance. */
    effects: readonly VerbName[];
  };
  /** It must have ended by then, counted from the start of `play`. */
  withinMs: number;
  /** Sets the scene and starts it. Resolves when it is under way. */
  play(lab: LabClient): Promise<{ logFrom: number }>;
  /** What is wrong, one sentence each; empty when all is as it should be. */
  verify(seen: { records: readonly AuditRecord[]; hostLog: readonly HostLogLine[] }): string[];
}
