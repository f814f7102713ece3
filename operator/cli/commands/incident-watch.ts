import type { Command } from 'commander';
import type { AuditLog } from '../../../activities/audit-log.js';
import { isOpen } from '../../incidents.js';
import { listIncidents } from '../../list-incidents.js';
import { timelineLine } from '../../timeline.js';
import { watchIncident } from '../../watch-incident.js';
import { timelineOptions } from '../context.js';
import { EXIT, type Exit } from '../exit-codes.js';
import { INCIDENT_ARGUMENT, incidentArgument } from '../incident-argument.js';
import type { Run } from '../run.js';
import type { Session } from '../session.js';
import { timelineJson } from './incident-show.js';

export function addIncidentWatch(incident: Command, run: Run): void {
  incident
    .command('watch [incident]')
    .description('follow an incident until it ends; without an id the newest open one, or the next')
    .addHelpText(
      'after',
      `\n[incident]: ${INCIDENT_ARGUMENT}\nCtrl-C ends the watching, not the incident. With --timeout: exit code 8 when it has not ended by then.\n\nExample:\n  nightshift incident watch --timeout 10m && echo over`,
    )
    .action((word: string | undefined) => run((session) => incidentWatch(session, word)));
}

async function incidentWatch(session: Session, word: string | undefined): Promise<Exit> {
  const { context } = session;
  const audit = await session.audit();
  const timeUp = context.timeoutMs === undefined ? null : AbortSignal.timeout(context.timeoutMs);
  const signal = timeUp === null ? context.signal : AbortSignal.any([context.signal, timeUp]);

  const id = word === undefined ? await newestOpen(session, audit, signal) : (await incidentArgument(audit, word)).found.id;
  const options = timelineOptions(context);
  const state =
    id === null
      ? null
      : await watchIncident(
          audit,
          id,
          (stored) => {
            if (context.json) for (const said of timelineJson([stored])) context.out.ndjson({ ...said, incident: id });
            else {
              const line = timelineLine(stored, options);
              if (line !== '') context.out.line(line);
            }
          },
          signal,
        );
  if (state !== null) return EXIT.done;
  context.signal.throwIfAborted();
  context.out.message(id === null ? 'no incident began within the time' : `${id} has not ended within the time; it goes on: nightshift incident show ${id}`);
  return EXIT.pending;
}

async function newestOpen(session: Session, audit: AuditLog, signal: AbortSignal): Promise<string | null> {
  const after = await audit.lastSeq();
  const open = (await listIncidents(await session.nats(), audit, { since: session.context.now(), signal })).filter(isOpen).at(-1);
  if (open !== undefined) return open.id;
  session.context.out.message('no incident is open; waiting for the next (Ctrl-C ends the waiting)');
  for await (const { record } of audit.follow({ afterSeq: after, signal })) {
    if (record.fact === 'opened') return record.incident;
  }
  return null;
}
