import { randomUUID } from 'node:crypto';
import type { Command } from 'commander';
import { jetstream } from '../../../activities/nats.js';
import { newestLetters, payloadOf, stillWrong, type StoredLetter } from '../../dead-letters.js';
import { inert } from '../../inert.js';
import { countArgument } from '../duration.js';
import { CliError, EXIT, type Exit } from '../exit-codes.js';
import type { Run } from '../run.js';
import type { Session } from '../session.js';
import { reasonArgument } from './dlq-ls.js';
import { letterArgument } from './dlq-show.js';

interface Options {
  all?: boolean;
  reason?: string;
  force?: boolean;
  limit: number;
}

export function addDlqReplay(dlq: Command, run: Run): void {
  dlq
    .command('replay [id]')
    .description('publish what came once more, on its subject, under a new message id')
    .option('--all', 'every one of --reason')
    .option('--reason <reason>', 'for --all: of which reason')
    .option('--limit <n>', 'for --all: at most so many, the newest', countArgument(10_000), 1000)
    .option('--force', 'also what would be refused again')
    .addHelpText(
      'after',
      '\nThe dead letter stays where it is. Exit code 7 when something would be refused again and --force was not given.\n\nExample:\n  nightshift dlq replay --all --reason unknown-host',
    )
    .action((id: string | undefined, options: Options) => run((session) => dlqReplay(session, id, options)));
}

async function dlqReplay(session: Session, id: string | undefined, options: Options): Promise<Exit> {
  const { context } = session;
  const letters = await chosen(session, id, options);
  const js = jetstream(await session.nats(), { timeout: session.patienceMs });
  const replayed: { id: string; subject: string; seq: number }[] = [];
  const refused: { id: string; why: string }[] = [];
  for (const { seq, letter } of letters) {
    context.signal.throwIfAborted();
    const why = letter.subject.startsWith('evt.') ? stillWrong(letter) : `subject ${letter.subject} is not one of events`;
    // Force is for what does not parse; a subject that is no event's is not ours to publish on.
    if (why !== null && (options.force !== true || !/^evt\.[^\s*>]+$/.test(letter.subject))) {
      refused.push({ id: String(seq), why });
      context.out.message(`${seq} would be refused again: ${why}`);
      continue;
    }
    const payload = payloadOf(letter);
    context.out.message(`${seq} (${letter.reason}): ${payload.length} bytes to ${letter.subject}`);
    const ack = await js.publish(letter.subject, payload, { msgID: `replay-${randomUUID()}` });
    replayed.push({ id: String(seq), subject: letter.subject, seq: ack.seq });
    if (!context.json) context.out.line(`replayed ${seq} on ${inert(letter.subject)}, sequence ${ack.seq}`);
  }
  if (context.json) context.out.json({ replayed, refused });
  else if (letters.length === 0) context.out.message('nothing to replay');
  return refused.length > 0 ? EXIT.refused : EXIT.done;
}

async function chosen(session: Session, id: string | undefined, { all, reason, limit }: Options): Promise<StoredLetter[]> {
  if (id !== undefined && all === true) throw new CliError(EXIT.usage, 'usage', 'give an id, or --all with --reason, not both');
  if (id !== undefined) return [await letterArgument(session, id)];
  if (all !== true || reason === undefined) throw new CliError(EXIT.usage, 'usage', 'give an id, or --all with --reason', 'nightshift dlq replay --help');
  return (await newestLetters(await session.nats(), { reason: reasonArgument(reason), limit, signal: session.context.signal })).letters;
}
