import type { Command } from 'commander';
import { drillNamed, runDrill } from '../../drill.js';
import { timelineOptions } from '../context.js';
import { EXIT, type Exit } from '../exit-codes.js';
import type { Run } from '../run.js';
import type { Session } from '../session.js';

export function addDrillRun(drill: Command, run: Run): void {
  drill
    .command('run <name>')
    .description('play a drill on the running stack, and wait for the end of its incident')
    .addHelpText(
      'after',
      '\nThe lab is reset first. Exit code 0 when everything is as the drill expects, else 1; a drill that is held waits until it is released, or for --timeout.\n\nExample:\n  nightshift drill run relieve-container',
    )
    .action((name: string) => run((session) => drillRun(session, name)));
}

async function drillRun(session: Session, name: string): Promise<Exit> {
  const { context } = session;
  drillNamed(name);
  const { passed } = await runDrill({
    stack: await session.stack(),
    name,
    out: context.out,
    json: context.json,
    signal: context.signal,
    timeline: timelineOptions(context),
    ...(context.timeoutMs === undefined ? {} : { timeoutMs: context.timeoutMs }),
  });
  return passed ? EXIT.done : EXIT.failed;
}
