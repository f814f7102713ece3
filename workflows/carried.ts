import type { IncidentState } from '../events/incident.js';
import type { RestMemory } from './decide/come-to-rest.js';
import type { Inbox } from './inbox.js';
import type { Seen, Verdict } from './kernel.js';

/** What an incident takes along when its history has grown and it goes on in a new run. Versioned: a new worker may find what an old one left. */
export interface Carried {
  v: 1;
  inbox: Inbox;
  state: IncidentState;
  appends: number;
  /** How often the playbook has been begun: again only when a new spike arrived in the moment of the end. */
  round: number;
  /** Step names used before this round, with how often. */
  namesBefore: Record<string, number>;
  /** What the finished steps of this round returned, by name. */
  found: Record<string, unknown>;
  /** The watch that was interrupted by the new run. */
  watching: Watching | null;
  effects: number;
  undone: number;
  unknowns: number;
  stormTold: boolean;
  /** Set when the playbook of this round has ended and the incident is open, quiet. */
  verdict: Verdict | null;
  quiet: RestMemory;
  failingAtLook: number;
}

export interface Watching {
  step: string;
  looks: number;
  prior: Seen;
  last: Seen;
  readable: boolean;
}
