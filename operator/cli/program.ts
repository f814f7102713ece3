import { Command } from 'commander';
import { addConfigReload } from './commands/config-reload.js';
import { addConfigSchema } from './commands/config-schema.js';
import { addConfigValidate } from './commands/config-validate.js';
import { addDlqLs } from './commands/dlq-ls.js';
import { addDlqReplay } from './commands/dlq-replay.js';
import { addDlqShow } from './commands/dlq-show.js';
import { addDoctor } from './commands/doctor.js';
import { addDrillLs } from './commands/drill-ls.js';
import { addDrillRun } from './commands/drill-run.js';
import { addDrillShow } from './commands/drill-show.js';
import { addEventPublish } from './commands/event-publish.js';
import { addEventTail } from './commands/event-tail.js';
import { addIncidentClose } from './commands/incident-close.js';
import { addIncidentLs } from './commands/incident-ls.js';
import { addIncidentNote } from './commands/incident-note.js';
import { addIncidentShow } from './commands/incident-show.js';
import { addIncidentWatch } from './commands/incident-watch.js';
import { addUp } from './commands/up.js';
import { durationArgument } from './duration.js';
import { EXIT_TABLE } from './exit-codes.js';
import type { Run } from './run.js';

/** Options that may stand anywhere on the command line. */
export interface GlobalOptions {
  json?: boolean;
  dir?: string;
  color: boolean;
  utc?: boolean;
  timeout?: number;
}

/** The whole command line. `write` and `fail` take what commander itself has to say. */
export function createProgram({
  run,
  version,
  out,
  err,
  columns,
}: {
  run: Run;
  version: string;
  out(text: string): void;
  err(text: string): void;
  columns: number;
}): Command {
  const program = new Command('nightshift')
    .description('The night shift of a small operations team: see incidents, talk to them, look after the stack.')
    .version(version)
    .option('--dir <dir>', 'directory of the stack (default: $NIGHTSHIFT_DIR, else .nightshift in the checkout)')
    .option('--json', 'for programs: arrays, objects, or one object a line; errors as {"error":{"code","message","hint"}} on stderr')
    .option('--utc', 'times in UTC instead of local time')
    .option('--no-color', 'no colour (as with NO_COLOR=1, or when the output is not a terminal)')
    .option('--timeout <duration>', 'how long to wait for an answer, or for the end of what is watched', durationArgument)
    .configureOutput({ writeOut: out, writeErr: err, getOutHelpWidth: () => columns, getErrHelpWidth: () => columns })
    .exitOverride()
    .addHelpText('after', `\n${exitCodesText()}\n\nExample:\n  nightshift incident watch --dir /srv/nightshift --utc`);

  addUp(program, run);
  const incident = program.command('incident').description('what went wrong, what was done about it, by whom and why');
  for (const add of [addIncidentLs, addIncidentShow, addIncidentWatch, addIncidentClose, addIncidentNote]) add(incident, run);
  const event = program.command('event').description('what hosts and monitoring say');
  for (const add of [addEventPublish, addEventTail]) add(event, run);
  const dlq = program.command('dlq').description('events that were not accepted');
  for (const add of [addDlqLs, addDlqShow, addDlqReplay]) add(dlq, run);
  const drill = program.command('drill').description('rehearse an outage on the lab of the running stack');
  for (const add of [addDrillLs, addDrillShow, addDrillRun]) add(drill, run);
  const config = program.command('config').description('nightshift.yaml: fleet, rules, policy');
  for (const add of [addConfigValidate, addConfigSchema, addConfigReload]) add(config, run);
  addDoctor(program, run);
  for (const [group, example] of [
    [incident, 'nightshift incident ls --open'],
    [event, 'nightshift event tail --follow'],
    [dlq, 'nightshift dlq ls'],
    [drill, 'nightshift drill run relieve-container'],
    [config, 'nightshift config validate nightshift.yaml'],
  ] as const) {
    group.addHelpText('after', `\nExample:\n  ${example}`);
  }
  return program;
}

/** The exit codes as text, for the help. */
export const exitCodesText = (): string => `Exit codes:\n${EXIT_TABLE.map(([code, meaning]) => `  ${String(code).padEnd(4)} ${meaning}`).join('\n')}`;
