import type { Command } from 'commander';
import { inert } from '../../inert.js';
import { isOpen, type Incident } from '../../incidents.js';
import { moment, span } from '../../moment.js';
import { sayings, targetText, timeline, timelineLine, toldInOrder, type Told } from '../../timeline.js';
import { padded, wrapped } from '../../width.js';
import { timelineOptions, type Context } from '../context.js';
import { EXIT, type Exit } from '../exit-codes.js';
import { INCIDENT_ARGUMENT, incidentArgument } from '../incident-argument.js';
import type { Run } from '../run.js';
import type { Session } from '../session.js';

export function addIncidentShow(incident: Command, run: Run): void {
  incident
    .command('show <incident>')
    .description('show an incident: what it is about, where it stands, its timeline')
    .option('--every', 'every record, also claims of effects whose outcome is known')
    .addHelpText('after', `\n<incident>: ${INCIDENT_ARGUMENT}\n\nExample:\n  nightshift incident show @latest --utc`)
    .action((word: string, options: { every?: boolean }) => run((session) => incidentShow(session, word, options.every === true)));
}

async function incidentShow(session: Session, word: string, every: boolean): Promise<Exit> {
  const { context } = session;
  const { found, records } = await incidentArgument(await session.audit(), word);
  if (context.json) {
    context.out.json({ ...found, timeline: timelineJson(every ? records : toldInOrder(records)) });
    return EXIT.done;
  }
  for (const line of incidentHeader(found, context)) context.out.line(line);
  context.out.line('');
  const options = timelineOptions(context);
  const lines = every ? records.map((stored) => timelineLine(stored, options)).filter((line) => line !== '') : timeline(records, options);
  for (const line of lines) context.out.line(line);
  return EXIT.done;
}

/** What stands above the timeline. */
export function incidentHeader(incident: Incident, { utc, columns, now }: Pick<Context, 'utc' | 'columns' | 'now'>): string[] {
  const end = incident.endedAt === null ? now().getTime() : Date.parse(incident.endedAt);
  const lasted = span(end - Date.parse(incident.openedAt));
  const facts: [string, string][] = [
    [incident.id, `${incident.state}${incident.state === 'working' && incident.step !== null ? `, at step ${incident.step}` : ''}`],
    ['problem', incident.problem],
    ['target', targetText(incident.target)],
    ['playbook', `${incident.playbook}, ${incident.mode}`],
    ['opened', `${moment(incident.openedAt, { utc })}, ${isOpen(incident) ? `open for ${lasted}` : `ended after ${lasted}`}`],
    ['so far', `${count(incident.effects, 'effect')}, ${incident.undone} undone, ${count(incident.events, 'event')}`],
  ];
  return facts.flatMap(([name, value]) => {
    const [first = '', ...rest] = columns === undefined ? [inert(value)] : wrapped(inert(value), columns - 14);
    return [`${padded(name, 14)}${first}`, ...rest.map((line) => ' '.repeat(14) + line)];
  });
}

/** The timeline for programs: each thing said, with the record it was said by. */
export const timelineJson = (
  records: readonly Told[],
): { id: string; seq: number; at: string; receivedAt: string; fact: string; verb: string; text: string }[] =>
  records.flatMap((stored) =>
    sayings(stored).map(({ at, verb, text }, part) => ({
      id: part === 0 ? String(stored.seq) : `${stored.seq}.${part}`,
      seq: stored.seq,
      at,
      receivedAt: stored.receivedAt,
      fact: stored.record.fact,
      verb,
      text,
    })),
  );

const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;
