import { spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Command } from 'commander';
import type { Context } from '../context.js';
import { EXIT, type Exit } from '../exit-codes.js';
import type { Run } from '../run.js';

export function addUp(program: Command, run: Run): void {
  program
    .command('up')
    .description('start a stack on this machine: what `npm start` does, with the same flags')
    .argument('[flags...]', 'flags of npm start: --base-port N, --no-drill, --once, --drill NAME')
    .allowUnknownOption()
    .addHelpText(
      'after',
      '\nIt stays in the foreground; Ctrl-C ends the stack in order.\n\nExample:\n  nightshift up --dir /srv/nightshift --base-port 7500 --no-drill',
    )
    .action((flags: string[]) => run(({ context }) => up(context, flags)));
}

async function up(context: Context, flags: readonly string[]): Promise<Exit> {
  // The way of `npm start`, so that both do the same: it installs and builds what is missing before the first of our own modules is loaded.
  const child = spawn(process.execPath, [join(context.root, 'stack', 'bootstrap.mjs'), 'start', '--dir', context.dir, ...flags], { stdio: 'inherit' });
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
