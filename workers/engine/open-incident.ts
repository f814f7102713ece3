import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import type { AuditLog } from '../../activities/audit-log.js';
import { incidentId } from '../../events/incident.js';
import { PLAYBOOKS } from '../../events/playbooks.js';
import { INCIDENT_WORKFLOW, type AcceptedEvent, type DoneBefore, type IncidentInput, type IncidentKnobs } from '../../workflows/messages.js';
import type { EventSummary } from '../../events/audit.js';
import { temporalTrouble } from '../temporal.js';
import type { Opening } from './route.js';

export interface OpenWorld {
  audit: AuditLog;
  client: Client;
  taskQueue: string;
  site: string;
  /** Problems that this process has heard of: a hint that saves a question, never an answer. */
  heard: Set<string>;
}

export interface Opened {
  incident: string;
  /** `started`: it runs because of this event. `running`: it ran already, and wants the event as a signal. `handled`: it has ended, and this event was before its end. */
  as: 'started' | 'running' | 'handled';
}

/** A workflow that has just ended its incident may take a moment to be gone, with its id; and the server refuses the same id twice within a second. */
const SUCCESSOR_WAITS_MS = [50, 100, 200, 400, 800, 1_600, 3_200];

const MAX_HEARD = 10_000;
/** More effects than any incident is allowed. */
const MAX_BEFORE = 100;

/**
 * Begins an incident, or finds the one that is open. The order makes it safe to be stopped anywhere and tried again:
 * `problem` says open (only one of any number of bridges can say so), then `opened` and the workflow. A problem that the audit says is open keeps
 * its incident's id, so that a workflow lost by Temporal comes back as the same incident and finds its steps already claimed.
 */
export async function openIncident(world: OpenWorld, opening: Opening, knobs: IncidentKnobs, members?: string[]): Promise<Opened> {
  const { incident, handled, fresh } = await claimProblem(world, opening);
  if (handled) return { incident, as: 'handled' };
  const before = fresh ? [] : await doneBefore(world, incident);
  const input: IncidentInput = {
    v: 1,
    incident,
    problem: opening.problem,
    site: world.site,
    playbook: opening.playbook,
    rule: opening.rule,
    mode: opening.mode,
    config: opening.config,
    target: opening.target,
    trigger: opening.trigger,
    stale: opening.stale,
    knobs,
    ...(members === undefined ? {} : { members }),
    ...(before.length === 0 ? {} : { before }),
  };
  // Beside the start, not before it: the write to the disk and the start take as long as the longer of them. Whoever is stopped in between is handed the
  // event again and writes what is missing; until it is there the effector refuses every step of this incident.
  const [, opened] = await Promise.all([recordOpened(world, opening, incident), startOrFind(world, opening, input)]);
  return opened;
}

/** Starts the workflow, or finds the one that runs. */
async function startOrFind(world: OpenWorld, opening: Opening, input: IncidentInput): Promise<Opened> {
  const { incident } = input;
  for (const waitMs of [...SUCCESSOR_WAITS_MS, null]) {
    try {
      await world.client.workflow.start(INCIDENT_WORKFLOW, {
        workflowId: opening.problem,
        taskQueue: world.taskQueue,
        args: [input],
        requestEagerStart: true,
        workflowIdConflictPolicy: 'FAIL',
        workflowIdReusePolicy: 'ALLOW_DUPLICATE',
        memo: { incident, playbook: opening.playbook, config: opening.config },
        staticSummary: `${opening.playbook}: ${opening.problem}`.slice(0, 200),
      });
      return { incident, as: 'started' };
    } catch (error) {
      const trouble = temporalTrouble(error);
      if (trouble !== 'running' && trouble !== 'busy') throw error;
      if (trouble === 'running') {
        const running = await runningIncident(world, opening.problem);
        if (running === incident) return { incident, as: 'running' };
        if (waitMs === null && running !== null) {
          await adopt(world, opening.problem, running);
          return { incident: running, as: 'running' };
        }
      }
      if (waitMs === null) throw error;
      await sleep(waitMs);
    }
  }
  throw new Error(`${opening.problem}: unreachable`);
}

/** The incident's id, once the audit says that the problem is open. */
async function claimProblem({ audit, site, heard }: OpenWorld, opening: Opening): Promise<{ incident: string; handled: boolean; fresh: boolean }> {
  for (let attempt = 0; attempt < 5; attempt += 1) {
    // A problem that nobody has heard of is most likely new: then the one write that decides is all it takes. Where that is wrong, the audit says so.
    const unheard = attempt === 0 && !opening.redelivered && !heard.has(opening.problem);
    if (heard.size >= MAX_HEARD) heard.clear();
    heard.add(opening.problem);
    const last = unheard ? null : await audit.problem(opening.problem);
    if (last?.record.status === 'open') return { incident: last.record.incident, handled: false, fresh: false };
    const incident = incidentId(opening.problem, opening.trigger.id);
    if (last !== null && (last.record.incident === incident || (opening.redelivered && opening.receivedAtMs < Date.parse(last.receivedAt)))) {
      // Handed over again because an acknowledgement was lost: what it told has been dealt with. If it is still so, it will be said again.
      return { incident: last.record.incident, handled: true, fresh: false };
    }
    if (await audit.appendAfter(problemRecord(site, incident, opening.problem, 'open'), last?.seq ?? 0)) return { incident, handled: false, fresh: true };
  }
  throw new Error(`${opening.problem}: somebody else opens and ends it all the time`);
}

/** The effects of an incident that have an outcome. If its workflow runs nobody asks; if Temporal has lost it, it must know what it did. */
async function doneBefore({ audit }: OpenWorld, incident: string): Promise<DoneBefore[]> {
  const records = await audit.ofIncident(incident);
  return records.flatMap(({ record: r }) => (r.fact === 'outcome' ? [{ step: r.step, verb: r.verb, state: r.state, data: r.data }] : [])).slice(-MAX_BEFORE);
}

export const problemRecord = (site: string, incident: string, problem: string, status: 'open' | 'ended') =>
  ({ v: 1, at: new Date().toISOString(), site, by: 'engine', fact: 'problem', incident, problem, status }) as const;

async function recordOpened({ audit, site }: OpenWorld, opening: Opening, incident: string): Promise<void> {
  const record = {
    v: 1,
    at: new Date().toISOString(),
    site,
    by: 'engine',
    incident,
    fact: 'opened',
    problem: opening.problem,
    playbook: opening.playbook,
    playbookVersion: PLAYBOOKS[opening.playbook].version,
    rule: opening.rule,
    mode: opening.mode,
    config: opening.config,
    target: opening.target,
    trigger: eventSummary(opening.trigger),
  } as const;
  // Once for ever: false means that it is there already.
  await audit.appendAfter(record, 0);
}

/** What the audit keeps of an event; the rest is in EVT. */
export const eventSummary = ({ id, type, host, time, seq, text }: AcceptedEvent): EventSummary => ({ id, type, host, time, seq, text });

/** Which incident the running workflow is; null when it has ended meanwhile. */
async function runningIncident({ client }: OpenWorld, problem: string): Promise<string | null> {
  const { status, memo } = await client.workflow.getHandle(problem).describe();
  const incident = memo?.['incident'];
  return status.name === 'RUNNING' && typeof incident === 'string' ? incident : null;
}

/** Temporal runs an incident that the audit calls by another name (a copy of the audit was put back): what runs is right. */
async function adopt({ audit, site }: OpenWorld, problem: string, incident: string): Promise<void> {
  await audit.append(problemRecord(site, incident, problem, 'open'));
}
