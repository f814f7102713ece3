import type { Command } from 'commander';
import { DEAD_LETTER_REASONS } from '../../../events/dead-letter.js';
import { newestLetters, type StoredLetter } from '../../dead-letters.js';
import { clipped, inert } from '../../inert.js';
import { moment } from '../../moment.js';
import type { Context } from '../context.js';
import { countArgument, durationArgument } from '../duration.js';
import { CliError, EXIT, type Exit } from '../exit-codes.js';
import type { Run } from '../run.js';
import type { Session } from '../session.js';
import { table } from '../table.js';

interface Options {
  reason?: string;
  since?: number;
  limit: number;
}

export function addDlqLs(dlq: Command, run: Run): void {
  dlq
    .command('ls')
    .alias('list')
    .description('list events that were not accepted, newest first')
    .option('--reason <reason>', `only of this reason: ${DEAD_LETTER_REASONS.join(', ')}`)
    .option('--since <duration>', 'only of this time', durationArgument)
    .option('--limit <n>', 'at most so many', countArgument(100_000), 100)
    .addHelpText('after', '\nExample:\n  nightshift dlq ls --reason bad-schema --since 1d')
    .action((options: Options) => run((session) => dlqLs(session, options)));
}

async function dlqLs(session: Session, { reason, since, limit }: Options): Promise<Exit> {
  const { context } = session;
  const { letters, total } = await newestLetters(await session.nats(), {
    limit,
    signal: context.signal,
    ...(reason === undefined ? {} : { reason: reasonArgument(reason) }),
    ...(since === undefined ? {} : { since: new Date(context.now().getTime() - since) }),
  });
  const newestFirst = letters.reverse();
  if (context.json) context.out.json(newestFirst.map(letterJson));
  else if (newestFirst.length === 0) context.out.message('no dead letters');
  else {
    context.out.line(letterTable(newestFirst, context));
    if (total > newestFirst.length) context.out.message(`${total - newestFirst.length} older ones are not shown: --limit ${total}`);
  }
  return EXIT.done;
}

/** A letter for programs; the payload only when it is asked for alone. */
export const letterJson = ({
  seq,
  receivedAt,
  letter,
}: StoredLetter): { id: string; reason: string; detail: string; subject: string; at: string; receivedAt: string; seq: number; bytes: number } => ({
  id: String(seq),
  reason: letter.reason,
  detail: letter.detail,
  subject: letter.subject,
  at: letter.at,
  receivedAt,
  seq: letter.seq,
  bytes: Buffer.byteLength(letter.payload, 'base64'),
});

export function letterTable(letters: readonly StoredLetter[], { columns, utc }: Pick<Context, 'columns' | 'utc'>): string {
  const rows = letters.map(({ seq, receivedAt, letter }) => [
    String(seq),
    moment(receivedAt, { utc }),
    letter.reason,
    clipped(inert(letter.subject.replace(/^evt\./, '')), 40),
    clipped(inert(letter.detail), 200),
  ]);
  return table(['ID', 'RECEIVED', 'REASON', 'SUBJECT', 'DETAIL'], rows, columns);
}

export function reasonArgument(text: string): string {
  if (!(DEAD_LETTER_REASONS as readonly string[]).includes(text))
    throw new CliError(EXIT.usage, 'usage', `no such reason: ${clipped(inert(text), 60)}`, `one of ${DEAD_LETTER_REASONS.join(', ')}`);
  return text;
}
