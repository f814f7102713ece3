import type { Target } from '../events/audit.js';
import { ENDED, type IncidentState } from '../events/incident.js';
import type { PlaybookName } from '../events/playbooks.js';
import { sayings, toldInOrder, type Told } from './timeline.js';

/** One incident as the audit tells it. */
export interface Incident {
  id: string;
  problem: string;
  target: Target;
  playbook: PlaybookName;
  mode: 'auto' | 'approve' | 'shadow';
  state: IncidentState;
  openedAt: string;
  endedAt: string | null;
  /** The step that was last heard of. */
  step: string | null;
  /** Effects that changed something. */
  effects: number;
  /** Of those, how many took back an earlier one. */
  undone: number;
  events: number;
  /** The newest thing said, as in the timeline; raw text, not yet inert. */
  lastLine: string;
  lastAt: string;
}

/** Steps of this name take back what an earlier step did. */
const UNDOES = /^undo(-|$)/;

/**
 * What the audit says about incidents, oldest first. Reads records in the order of the stream whatever order they are given in, each sequence once;
 * an incident whose `opened` record is not among them is left out. An incident that was opened twice (Temporal put back to yesterday) is one incident:
 * the first opening dates it, the last state counts.
 */
export function foldIncidents(records: Iterable<Told>): Incident[] {
  const byIncident = new Map<string, Told[]>();
  for (const stored of records) {
    const { record } = stored;
    if (!('incident' in record)) continue;
    const list = byIncident.get(record.incident);
    if (list === undefined) byIncident.set(record.incident, [stored]);
    else list.push(stored);
  }
  return [...byIncident.values()]
    .map(foldIncident)
    .filter((found) => found !== null)
    .sort((a, b) => a.seq - b.seq)
    .map(({ incident }) => incident);
}

/** One incident from its own records; null without its opening. */
function foldIncident(records: readonly Told[]): { seq: number; incident: Incident } | null {
  const inOrder = [...new Map(records.map((stored) => [stored.seq, stored])).values()].sort((a, b) => a.seq - b.seq);
  const opening = inOrder.find(({ record }) => record.fact === 'opened');
  if (opening === undefined || opening.record.fact !== 'opened') return null;
  const { incident: id, problem, target, playbook, mode, at: openedAt } = opening.record;
  const incident: Incident = {
    id,
    problem,
    target,
    playbook,
    mode,
    state: 'working',
    openedAt,
    endedAt: null,
    step: null,
    effects: 0,
    undone: 0,
    events: 0,
    lastLine: '',
    lastAt: openedAt,
  };
  // A workflow that runs again after a restore records its outcomes a second time: an operation counts once.
  const changed = new Set<string>();
  // The opening event stands in the opening; it may stand in a batch of its own as well.
  let counted = false;

  for (const { record } of inOrder) {
    if ('step' in record) incident.step = record.step;
    if (record.fact === 'events') {
      incident.events += record.count;
      counted ||= record.first.id === opening.record.trigger.id;
    }
    if (record.fact === 'outcome' && record.state === 'done' && record.changed && !changed.has(record.operation)) {
      changed.add(record.operation);
      incident.effects += 1;
      if (UNDOES.test(record.step)) incident.undone += 1;
    }
    if (record.fact === 'state') {
      incident.state = record.to;
      incident.endedAt = ENDED.has(record.to) ? record.at : null;
    }
  }
  if (!counted) incident.events += 1;
  const said = toldInOrder(inOrder).flatMap(sayings).at(-1);
  if (said !== undefined) {
    incident.lastLine = `${said.verb} ${said.text}`;
    incident.lastAt = said.at;
  }
  return { seq: opening.seq, incident };
}

/** True while somebody or something still has to do with it. */
export const isOpen = (incident: Pick<Incident, 'state'>): boolean => !ENDED.has(incident.state);
