import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import type { Context } from '../context.js';
import { CliError, EXIT, type Exit } from '../exit-codes.js';
import type { Run } from '../run.js';

export function addUp(program: Command, run: Run): void {
  program.command('up')
    .description('start a stack on this machine: what `npm start` does, with the same flags')
    .argument('[flags...]', 'flags of npm start: --base-port N, --no-drill, --once, --drill NAME')
    .allowUnknownOption()
    .addHelpText('after', '\nIt stays in the foreground; Ctrl-C ends the stack in order.\n\nExample:\n  nightshift up --dir /srv/nightshift --base-port 7500 --no-drill')
    .action((flags: string[]) => run(({ context }) => up(context, flags)));
}

async function up(context: Context, flags: readonly string[]): Promise<Exit> {
  const start = join(context.root, 'build', 'stack', 'start.js');
  if (!existsSync(start)) throw new CliError(EXIT.failed, 'not_built', `${start} is missing`, 'build it first: npm run build, or npm start');
  const child = spawn(process.execPath, [start, '--dir', context.dir, ...flags], { stdio: 'inherit', cwd: context.root });
  // A terminal sends Ctrl-C to the child too; what others send to us is handed on. The child ends the stack in order; we wait for it.
  const handOn = (): void => void child.kill('SIGTERM');
  process.on('SIGTERM', handOn);
  try {
    return await new Promise<Exit>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code, signal) => resolve(signal === null ? ((code ?? EXIT.failed) as Exit) : EXIT.failed));
    });
  } finally {
    process.off('SIGTERM', handOn);
  }
}
