import type { Command } from 'commander';
import { inert } from '../../inert.js';
import { HOLDERS, reloadConfig, type ReloadAnswers } from '../../reload-config.js';
import { CliError, EXIT, type Exit } from '../exit-codes.js';
import type { Run } from '../run.js';
import type { Session } from '../session.js';

export function addConfigReload(config: Command, run: Run): void {
  config
    .command('reload')
    .description('make the running stack read its nightshift.yaml again')
    .addHelpText(
      'after',
      '\nA file with a problem is refused (exit code 2) and the last good one stays in force. Open incidents keep the version they began with.\n\nExample:\n  nightshift config reload --timeout 20s',
    )
    .action(() => run((session) => configReload(session)));
}

async function configReload(session: Session): Promise<Exit> {
  const { context } = session;
  const { site } = await session.stack();
  const answers = await reloadConfig(await session.nats(), site, session.patienceMs);
  if (context.json) context.out.json(answers);
  else for (const line of answerLines(answers)) context.out.line(line);
  if (HOLDERS.some((holder) => 'problems' in answers[holder] && !answers[holder].accepted)) {
    context.out.message('refused: what was in force stays in force');
    return EXIT.usage;
  }
  const silent = HOLDERS.find((holder) => 'silent' in answers[holder]);
  if (silent !== undefined) throw new CliError(EXIT.failed, 'no_answer', `the ${silent} does not answer: what it holds is unknown`, 'nightshift doctor');
  const versions = HOLDERS.map((holder) => ('version' in answers[holder] ? answers[holder].version : ''));
  if (new Set(versions).size > 1)
    throw new CliError(EXIT.failed, 'versions_differ', 'engine and effector hold different versions: the file changed in between', 'nightshift config reload');
  return EXIT.done;
}

function answerLines(answers: ReloadAnswers): string[] {
  return HOLDERS.flatMap((holder) => {
    const said = answers[holder];
    if ('notAsked' in said) return [`${holder}: not asked`];
    if ('silent' in said) return [inert(`${holder}: no answer: ${said.silent}`)];
    return [
      inert(`${holder}: ${said.accepted ? 'took' : 'refused; still holds'} version ${said.version}`),
      ...said.problems.map((problem) => `  ${inert(problem)}`),
    ];
  });
}
