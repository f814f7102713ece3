import type { Command } from 'commander';
import { letterAt, payloadOf, stillWrong, type StoredLetter } from '../../dead-letters.js';
import { inert, inertLines } from '../../inert.js';
import { moment } from '../../moment.js';
import { padded } from '../../width.js';
import type { Context } from '../context.js';
import { CliError, EXIT, type Exit } from '../exit-codes.js';
import type { Run } from '../run.js';
import type { Session } from '../session.js';
import { letterJson } from './dlq-ls.js';

export function addDlqShow(dlq: Command, run: Run): void {
  dlq
    .command('show <id>')
    .description('show one dead letter: why it was not accepted, and what came')
    .addHelpText(
      'after',
      '\nThe payload is shown with everything that a terminal would act on written out; --json has it as base64.\n\nExample:\n  nightshift dlq show 17',
    )
    .action((id: string) => run((session) => dlqShow(session, id)));
}

async function dlqShow(session: Session, id: string): Promise<Exit> {
  const { context } = session;
  const stored = await letterArgument(session, id);
  if (context.json) context.out.json({ ...letterJson(stored), payload: stored.letter.payload, stillWrong: stillWrong(stored.letter) });
  else for (const line of letterLines(stored, context)) context.out.line(line);
  return EXIT.done;
}

/** The letter of an id, or a failure that says why there is none. */
export async function letterArgument(session: Session, id: string): Promise<StoredLetter> {
  if (!/^[1-9]\d{0,14}$/.test(id)) throw new CliError(EXIT.usage, 'usage', 'a dead letter is named by its number', 'see which there are: nightshift dlq ls');
  const stored = await letterAt(await session.nats(), Number(id));
  if (stored === null) throw new CliError(EXIT.notFound, 'not_found', `no dead letter ${id}`, 'see which there are: nightshift dlq ls');
  return stored;
}

/** Most of a payload that is shown: more scrolls the reason off the screen. */
const SHOWN_BYTES = 4096;

export function letterLines({ seq, receivedAt, letter }: StoredLetter, { utc }: Pick<Context, 'utc'>): string[] {
  const payload = payloadOf(letter);
  const now = stillWrong(letter);
  const facts: [string, string][] = [
    ['dead letter', String(seq)],
    ['reason', letter.reason],
    ['detail', letter.detail],
    ['subject', letter.subject],
    ['received', `${moment(receivedAt, { utc })}, sequence ${letter.seq} in EVT`],
    ['today', now === null ? `would be accepted as an event: nightshift dlq replay ${seq}` : `would be refused again: ${now}`],
    ['payload', `${payload.length} bytes${payload.length > SHOWN_BYTES ? `, the first ${SHOWN_BYTES}` : ''}:`],
  ];
  return [
    ...facts.map(([name, value]) => `${padded(name, 12)}${inert(value)}`),
    ...inertLines(latin(payload.subarray(0, SHOWN_BYTES))).map((line) => `  ${line}`),
  ];
}

/** Text where it is UTF-8; else byte by byte, so that nothing is replaced and hidden. */
function latin(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return Buffer.from(bytes).toString('latin1');
  }
}
