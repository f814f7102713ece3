import type { Command } from 'commander';
import { drillNamed } from '../../drill.js';
import { span } from '../../moment.js';
import { wrapped } from '../../width.js';
import { EXIT, type Exit } from '../exit-codes.js';
import type { Run } from '../run.js';
import type { Session } from '../session.js';

export function addDrillShow(drill: Command, run: Run): void {
  drill
    .command('show <name>')
    .description('show what a drill plays and what it expects')
    .addHelpText('after', '\nExample:\n  nightshift drill show relieve-container')
    .action((name: string) => run((session) => drillShow(session, name)));
}

async function drillShow({ context }: Session, word: string): Promise<Exit> {
  const { name, about, expects, withinMs } = drillNamed(word);
  if (context.json) {
    context.out.json({ id: name, about, expects, withinMs });
    return EXIT.done;
  }
  context.out.line(name);
  for (const line of about.split(/\n\s*\n/).flatMap((paragraph) => wrapped(paragraph.replace(/\s+/g, ' ').trim(), (context.columns ?? 100) - 2)))
    context.out.line(`  ${line}`);
  context.out.line('expects');
  for (const line of [
    `problem ${expects.problem}`,
    `end     ${expects.state}, within ${span(withinMs)}`,
    ...expects.effects.map((effect) => `effect  ${effect}`),
  ])
    context.out.line(`  ${line}`);
  return EXIT.done;
}
