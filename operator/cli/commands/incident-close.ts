import type { Command } from 'commander';
import { CLOSE, type Close } from '../../../workflows/messages.js';
import { isOpen } from '../../incidents.js';
import { moment } from '../../moment.js';
import { tellIncident } from '../../tell-incident.js';
import { CliError, EXIT, type Exit } from '../exit-codes.js';
import { INCIDENT_ARGUMENT, incidentArgument } from '../incident-argument.js';
import { personArgument } from '../person-argument.js';
import type { Run } from '../run.js';
import type { Session } from '../session.js';

interface Options {
  message: string;
  as?: string;
}

export function addIncidentClose(incident: Command, run: Run): void {
  incident
    .command('close <incident>')
    .description("end an incident by a person's word, whatever its symptom")
    .requiredOption('-m, --message <reason>', 'why; it stands in the audit')
    .option('--as <person>', 'who says so (default: your login name)')
    .addHelpText(
      'after',
      `\n<incident>: ${INCIDENT_ARGUMENT}\nNothing is undone by it. Exit code 6 when it has ended already.\n\nExample:\n  nightshift incident close i-4c8f2k0m9x -m "host is being replaced" --as ana`,
    )
    .action((word: string, options: Options) => run((session) => incidentClose(session, word, options)));
}

async function incidentClose(session: Session, word: string, options: Options): Promise<Exit> {
  const { context } = session;
  const reason = options.message.trim();
  if (reason === '') throw new CliError(EXIT.usage, 'usage', 'the reason is empty', 'say why: -m "..."');
  if (reason.length > 1000) throw new CliError(EXIT.usage, 'usage', `the reason has ${reason.length} characters; at most 1000 are kept`);
  const person = personArgument(options.as, context);
  const { found } = await incidentArgument(await session.audit(), word);
  if (!isOpen(found)) {
    throw new CliError(
      EXIT.conflict,
      'already_ended',
      `${found.id} is ${found.state} since ${moment(found.endedAt ?? found.lastAt, context)}`,
      `see how: nightshift incident show ${found.id}`,
    );
  }
  const argument: Close = { person, reason };
  const answer = await tellIncident(await session.temporal(), {
    incident: found.id,
    problem: found.problem,
    update: CLOSE,
    argument,
    timeoutMs: session.patienceMs,
  });
  switch (answer.state) {
    case 'accepted':
      if (context.json) context.out.json({ id: found.id, state: 'closed', person, reason });
      else context.out.line(`closed ${found.id} as ${person}`);
      return EXIT.done;
    case 'rejected':
      throw new CliError(
        EXIT.conflict,
        'rejected',
        `${found.id} does not let itself be closed: ${answer.why}`,
        `see where it stands: nightshift incident show ${found.id}`,
      );
    case 'gone':
      throw new CliError(
        EXIT.conflict,
        'workflow_gone',
        `${found.id} is ${found.state} by the audit, but ${answer.why}`,
        'the next event of the problem, or a restart of the engine, opens it again under the same id; write down what you know with: nightshift incident note',
      );
  }
}
