import type { Command } from 'commander';
import { DRILLS } from '../../../lab/drills/drills.js';
import { firstSentence } from '../../drill.js';
import { EXIT, type Exit } from '../exit-codes.js';
import type { Run } from '../run.js';
import type { Session } from '../session.js';
import { table } from '../table.js';

export function addDrillLs(drill: Command, run: Run): void {
  drill
    .command('ls')
    .alias('list')
    .description('list the outages that can be rehearsed')
    .addHelpText('after', '\nExample:\n  nightshift drill ls')
    .action(() => run((session) => drillLs(session)));
}

async function drillLs({ context }: Session): Promise<Exit> {
  if (context.json) context.out.json(DRILLS.map(({ name, about, expects, withinMs }) => ({ id: name, about, expects, withinMs })));
  else
    context.out.line(
      table(
        ['NAME', 'STORY'],
        DRILLS.map(({ name, about }) => [name, firstSentence(about)]),
        context.columns,
      ),
    );
  return EXIT.done;
}
