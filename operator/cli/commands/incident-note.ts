import type { Command } from 'commander';
import { NOTE, type Note } from '../../../workflows/messages.js';
import { TemporalUnavailable } from '../../connect.js';
import { isOpen, type Incident } from '../../incidents.js';
import { tellIncident } from '../../tell-incident.js';
import { CliError, EXIT, type Exit } from '../exit-codes.js';
import { INCIDENT_ARGUMENT, incidentArgument } from '../incident-argument.js';
import { personArgument } from '../person-argument.js';
import type { Run } from '../run.js';
import type { Session } from '../session.js';

export function addIncidentNote(incident: Command, run: Run): void {
  incident
    .command('note <incident> <text...>')
    .description('add a line of your own to the timeline, also after the end')
    .option('--as <person>', 'who says so (default: your login name)')
    .addHelpText(
      'after',
      `\n<incident>: ${INCIDENT_ARGUMENT}\n\nExample:\n  nightshift incident note @latest "the customer has raised their own limit" --as ana`,
    )
    .action((word: string, text: string[], options: { as?: string }) => run((session) => incidentNote(session, word, text.join(' '), options.as)));
}

async function incidentNote(session: Session, word: string, given: string, as: string | undefined): Promise<Exit> {
  const { context } = session;
  const text = given.trim();
  if (text === '') throw new CliError(EXIT.usage, 'usage', 'the note is empty');
  if (text.length > 2000) throw new CliError(EXIT.usage, 'usage', `the note has ${text.length} characters; at most 2000 are kept`);
  const person = personArgument(as, context);
  const { found } = await incidentArgument(await session.audit(), word);
  const by = isOpen(found) ? await through(session, found, { person, text }) : 'audit';
  if (by === 'audit') await straight(session, found, { person, text });
  if (context.json) context.out.json({ id: found.id, person, text });
  else context.out.line(`noted in ${found.id} as ${person}`);
  return EXIT.done;
}

/** Through the incident's workflow, so that it stands in its history too. */
async function through(session: Session, found: Incident, argument: Note): Promise<'workflow' | 'audit'> {
  try {
    const answer = await tellIncident(await session.temporal(), {
      incident: found.id,
      problem: found.problem,
      update: NOTE,
      argument,
      timeoutMs: session.patienceMs,
    });
    if (answer.state === 'accepted') return 'workflow';
    if (answer.state === 'rejected') throw new CliError(EXIT.conflict, 'rejected', `${found.id} does not take the note: ${answer.why}`);
    session.context.out.message(`${answer.why}: the note goes straight to the audit`);
  } catch (error) {
    // Nothing was sent, so nothing can be said twice; and what people know matters most while things are down.
    if (!(error instanceof TemporalUnavailable)) throw error;
    session.context.out.message(`${error.message}: the note goes straight to the audit`);
  }
  return 'audit';
}

async function straight(session: Session, found: Incident, { person, text }: Note): Promise<void> {
  const { site } = await session.stack();
  await (await session.audit()).append({ v: 1, fact: 'note', at: session.context.now().toISOString(), site, by: 'operator', incident: found.id, person, text });
}
