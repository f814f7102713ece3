import { resolve } from 'node:path';
import type { Command } from 'commander';
import { loadConfig } from '../../../config/load.js';
import { formatProblem } from '../../../config/problem.js';
import { inert } from '../../inert.js';
import { EXIT, type Exit } from '../exit-codes.js';
import type { Run } from '../run.js';
import type { Session } from '../session.js';

export function addConfigValidate(config: Command, run: Run): void {
  config
    .command('validate [file]')
    .description('check a nightshift.yaml as the engine would; without a file, that of the running stack')
    .addHelpText(
      'after',
      '\nEach problem is one line, file:line:column. Exit code 2 when there is one.\n\nExample:\n  nightshift config validate ./nightshift.yaml',
    )
    .action((file: string | undefined) => run((session) => configValidate(session, file)));
}

async function configValidate(session: Session, given: string | undefined): Promise<Exit> {
  const { out, json } = session.context;
  const file = given ?? (await session.stack()).config;
  const result = await loadConfig(file);
  if (result.ok) {
    const { config, version } = result.loaded;
    const hosts = Object.keys(config.fleet.hosts).length;
    if (json) out.json({ valid: true, file: resolve(file), version, hosts, rules: config.rules.length, problems: [] });
    else
      out.line(
        inert(
          `${file} is valid: site ${config.site}, ${hosts} ${hosts === 1 ? 'host' : 'hosts'}, ${config.rules.length} ${config.rules.length === 1 ? 'rule' : 'rules'}, version ${version}`,
        ),
      );
    return EXIT.done;
  }
  if (json) out.json({ valid: false, file: resolve(file), problems: result.problems });
  else {
    for (const problem of result.problems) out.line(inert(formatProblem(problem)));
    out.message(`${result.problems.length} ${result.problems.length === 1 ? 'problem' : 'problems'}`);
  }
  return EXIT.usage;
}
