import type { AuditOf } from '../../events/audit.js';
import type { Stored } from '../../activities/audit-log.js';
import { domainProblemId } from '../../events/incident.js';
import { OBSERVE, STORM, type AcceptedEvent, type EventBatch, type IncidentKnobs, type Storm } from '../../workflows/messages.js';
import { temporalTrouble } from '../temporal.js';
import { eventSummary, openIncident, problemRecord, type OpenWorld } from './open-incident.js';
import type { OpenProblems } from './open-problems.js';
import type { Opening } from './route.js';
import type { Batch, SieveOutput } from './sieve.js';

export interface HandOnWorld extends OpenWorld {
  open: OpenProblems;
  knobsOf(opening: Pick<Opening, 'config' | 'target'>): Promise<IncidentKnobs>;
  /** The trigger of an incident that the audit knows, with its figures where they are still kept. */
  readTrigger(opened: AuditOf<'opened'>): Promise<AcceptedEvent>;
}

/** `again`: the incident had ended; its events have to find their way anew. */
export type HandedOn = 'accepted' | 'again';

/**
 * Hands one output of the sieve to Temporal: returns when Temporal has it and the audit says so. Every part of it may be done again after a failure:
 * an incident is opened once, a signal that is not newer is dropped by its workflow, a record repeated is dropped by the stream.
 */
export async function handOn(world: HandOnWorld, output: Exclude<SieveOutput, { do: 'ack' }>): Promise<HandedOn> {
  switch (output.do) {
    case 'open':
      return begin(world, output.opening, output.batch, undefined);
    case 'observe':
      return observe(world, output.workflow, output.batch);
    case 'open-domain':
      return begin(world, domainOpening(world.site, output.domain, output.opening), output.batch, output.members);
    case 'storm':
      return promote(world, output);
  }
}

/** The incident of a domain: nothing is touched, everything is listed, a person is asked. */
const domainOpening = (site: string, domain: string, { target, ...opening }: Opening): Opening => ({
  ...opening,
  problem: domainProblemId(site, domain),
  playbook: 'watch-domain',
  rule: 'storm-brake',
  target: { host: target.host, domain },
});

async function begin(world: HandOnWorld, opening: Opening, batch: Batch, members: string[] | undefined): Promise<HandedOn> {
  const opened = await openIncident(world, opening, await world.knobsOf(opening), members);
  if (opened.as === 'handled') {
    world.open.remove(opening.problem);
    return 'accepted';
  }
  const known = world.open.get(opening.problem);
  world.open.add({
    host: null,
    aspect: '',
    domain: opening.target.domain ?? null,
    ...known,
    problem: opening.problem,
    workflow: opening.problem,
    incident: opened.incident,
  });
  if (opened.as === 'running') return observe(world, opening.problem, batch);
  // The trigger went along with the start; what came with it is an observation.
  return batch.count > 1 ? observe(world, opening.problem, withoutTrigger(batch, opening)) : 'accepted';
}

const withoutTrigger = (batch: Batch, { trigger }: Opening): Batch => ({
  ...batch,
  count: batch.count - 1,
  kinds: { ...batch.kinds, [trigger.kind]: (batch.kinds[trigger.kind] ?? 1) - 1 },
});

async function observe(world: HandOnWorld, workflow: string, batch: Batch): Promise<HandedOn> {
  const incident = world.open.get(workflow)?.incident;
  if (incident === undefined) return 'again';
  const signal: EventBatch = {
    lastSeq: batch.last.seq,
    count: batch.count,
    kinds: batch.kinds,
    latest: batch.latest.slice(-20),
    ...(batch.members === undefined ? {} : { members: batch.members }),
  };
  if (!(await tell(world, workflow, incident, OBSERVE, signal))) return 'again';
  await world.audit.append(
    {
      v: 1,
      at: new Date().toISOString(),
      site: world.site,
      by: 'engine',
      incident,
      fact: 'events',
      count: batch.count,
      kinds: definedOnly(batch.kinds),
      first: eventSummary(batch.first),
      last: eventSummary(batch.last),
      ...(batch.members === undefined ? {} : { members: batch.members.slice(0, 500) }),
    },
    { key: `events.${incident}.${batch.first.seq}.${batch.last.seq}.${batch.count}` },
  );
  return 'accepted';
}

/** The workflow becomes its domain's incident: from now on the audit says so, and what else fails in the domain is told to it. */
async function promote(world: HandOnWorld, { workflow, domain, members, opening, batch }: Extract<SieveOutput, { do: 'storm' }>): Promise<HandedOn> {
  const problem = domainProblemId(world.site, domain);
  const incident = world.open.get(workflow)?.incident;
  const storm: Storm = { domain, members, lastSeq: batch.last.seq };
  if (incident === undefined || !(await tell(world, workflow, incident, STORM, storm))) {
    // It ended in this very moment: then the domain gets an incident of its own.
    return begin(world, domainOpening(world.site, domain, opening), batch, members);
  }
  const last = await world.audit.problem(problem);
  if (last?.record.status !== 'open' || last.record.incident !== incident) await world.audit.append(problemRecord(world.site, incident, problem, 'open'));
  if (problem !== workflow) world.open.add({ problem, incident, workflow, host: null, aspect: '', domain });
  return observe(world, workflow, batch);
}

/** Signals the workflow. False: its incident has ended. One that Temporal has lost although the audit says that it is open is started again, as the same incident. */
async function tell(world: HandOnWorld, workflow: string, incident: string, name: string, message: EventBatch | Storm): Promise<boolean> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      await world.client.workflow.getHandle(workflow).signal(name, message);
      return true;
    } catch (error) {
      if (temporalTrouble(error) !== 'absent' || attempt > 0) throw error;
    }
    const last = await world.audit.problem(workflow);
    const lost = last?.record.status === 'open' && last.record.incident === incident;
    if (!lost || !(await startAgain(world, last))) {
      world.open.remove(workflow);
      return false;
    }
  }
}

/**
 * Starts the workflow of an incident that is open by the audit. Its finished steps find their claims taken and are answered with what was recorded.
 * False: nothing of it has ever run (we were stopped between the two records); the next event of the problem opens it, with the same id.
 */
export async function startAgain(world: HandOnWorld, problem: Stored<AuditOf<'problem'>>): Promise<boolean> {
  const opened = (await world.audit.openedOf(problem.record.incident))?.record;
  if (opened === undefined) return false;
  const opening: Opening = {
    problem: opened.problem,
    playbook: opened.playbook,
    rule: opened.rule,
    mode: opened.mode,
    config: opened.config,
    target: opened.target,
    trigger: await world.readTrigger(opened),
    stale: true,
    receivedAtMs: Date.parse(opened.at),
    redelivered: true,
  };
  await openIncident(world, opening, await world.knobsOf(opening));
  return true;
}

const definedOnly = (kinds: Batch['kinds']): Record<string, number> =>
  Object.fromEntries(Object.entries(kinds).filter((entry): entry is [string, number] => entry[1] !== undefined));
