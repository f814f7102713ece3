import type { Command } from 'commander';
import { inert, clipped } from '../../inert.js';
import { isOpen, type Incident } from '../../incidents.js';
import { listIncidents } from '../../list-incidents.js';
import { span } from '../../moment.js';
import { paint } from '../../paint.js';
import { targetText } from '../../timeline.js';
import type { Context } from '../context.js';
import { durationArgument } from '../duration.js';
import { EXIT, type Exit } from '../exit-codes.js';
import type { Run } from '../run.js';
import type { Session } from '../session.js';
import { table } from '../table.js';

interface Options {
  all?: boolean;
  open?: boolean;
  since: number;
  host?: string;
}

export function addIncidentLs(incident: Command, run: Run): void {
  incident
    .command('ls')
    .alias('list')
    .description('list incidents: those that are open, and those of the last 7 days')
    .option('--open', 'only those that are open')
    .option('--all', 'all there ever were')
    .option('--since <duration>', 'ended ones that were heard of since', durationArgument, 7 * 86_400_000)
    .option('--host <host>', 'only of this host')
    .addHelpText('after', '\nExample:\n  nightshift incident ls --open --host dauntless')
    .action((options: Options) => run((session) => incidentLs(session, options)));
}

async function incidentLs(session: Session, options: Options): Promise<Exit> {
  const { context } = session;
  const since = options.all === true ? null : new Date(context.now().getTime() - options.since);
  const found = (await listIncidents(await session.nats(), await session.audit(), { since, signal: context.signal }))
    .filter((incident) => options.open !== true || isOpen(incident))
    .filter((incident) => options.host === undefined || incident.target.host === options.host)
    .reverse();
  if (context.json) context.out.json(found);
  else if (found.length === 0) context.out.message(options.open === true ? 'no incident is open' : 'no incidents');
  else context.out.line(incidentTable(found, context));
  return EXIT.done;
}

/** Newest first, as given. */
export function incidentTable(incidents: readonly Incident[], { columns, color, now }: Pick<Context, 'columns' | 'color' | 'now'>): string {
  const rows = incidents.map((incident) => [
    incident.id,
    paint(incident.state, isOpen(incident) ? (incident.state === 'escalated' ? 'bad' : 'warn') : 'good', color),
    inert(targetText(incident.target)),
    span((incident.endedAt === null ? now().getTime() : Date.parse(incident.endedAt)) - Date.parse(incident.openedAt)),
    clipped(inert(incident.lastLine), 200),
  ]);
  return table(['ID', 'STATE', 'TARGET', 'FOR', 'LAST'], rows, columns);
}
