import type { Command } from 'commander';
import { event as eventSchema, type NightshiftEvent } from '../../../events/event.js';
import { isToken, parseEventSubject } from '../../../events/subjects.js';
import { clipped, inert } from '../../inert.js';
import { clock } from '../../moment.js';
import { readStream, type Lying } from '../../read-stream.js';
import { wrapped } from '../../width.js';
import type { Context } from '../context.js';
import { durationArgument } from '../duration.js';
import { CliError, EXIT, type Exit } from '../exit-codes.js';
import type { Run } from '../run.js';
import type { Session } from '../session.js';

interface Options {
  host?: string;
  since: number;
  follow?: boolean;
}

export function addEventTail(event: Command, run: Run): void {
  event
    .command('tail')
    .description('print events as they came in')
    .option('--host <host>', "only on this host's subjects")
    .option('--since <duration>', 'how far back to begin', durationArgument, 600_000)
    .option('-f, --follow', 'go on with what comes, until Ctrl-C or --timeout')
    .addHelpText('after', '\nExample:\n  nightshift event tail --host dauntless --since 1h --follow')
    .action((options: Options) => run((session) => eventTail(session, options)));
}

async function eventTail(session: Session, options: Options): Promise<Exit> {
  const { context } = session;
  const host = options.host ?? '*';
  if (host !== '*' && !isToken(host)) throw new CliError(EXIT.usage, 'usage', `${clipped(inert(host), 80)} cannot be a host`);
  const { site } = await session.stack();
  const nc = await session.nats();
  // --timeout bounds a following; what lies there already is printed whole.
  const signal =
    options.follow === true && context.timeoutMs !== undefined ? AbortSignal.any([context.signal, AbortSignal.timeout(context.timeoutMs)]) : context.signal;
  const since = new Date(context.now().getTime() - options.since);
  for await (const lying of readStream(nc, { stream: 'EVT', subjects: [`evt.${site}.${host}.*`], since, follow: options.follow === true, signal })) {
    if (context.json) context.out.ndjson(eventJson(lying));
    else context.out.line(eventLine(lying, context));
  }
  context.signal.throwIfAborted();
  return EXIT.done;
}

/** One message for programs: the event, or why it is none. */
export function eventJson(lying: Lying): { id: string; seq: number; subject: string; receivedAt: string; event: NightshiftEvent | null; problem?: string } {
  const read = readEvent(lying.data);
  const head = { id: String(lying.seq), seq: lying.seq, subject: lying.subject, receivedAt: lying.receivedAt };
  return 'event' in read ? { ...head, event: read.event } : { ...head, event: null, problem: read.problem };
}

/** One message for people: time, sequence, who says it, what it says. */
export function eventLine(lying: Lying, { utc, columns }: Pick<Context, 'utc' | 'columns'>): string {
  const read = readEvent(lying.data);
  const speaker = parseEventSubject(lying.subject)?.host ?? lying.subject;
  const said =
    'event' in read
      ? `${read.event.type}${read.event.assertion === 'standing' ? ' (standing)' : ''} ${figures(read.event.data)}`
      : `not an event: ${read.problem}`;
  const text = inert(`${String(lying.seq).padEnd(6)} ${speaker} ${said}`);
  const time = clock(lying.receivedAt, { utc });
  return columns === undefined ? `${time} ${text}` : `${time} ${wrapped(text, Math.max(columns, 40) - 9).join('\n         ')}`;
}

function readEvent(data: Uint8Array): { event: NightshiftEvent } | { problem: string } {
  try {
    const parsed = eventSchema.safeParse(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(data)));
    if (parsed.success) return { event: parsed.data };
    const [issue] = parsed.error.issues;
    return { problem: `${issue?.path.map(String).join('.') || 'event'}: ${issue?.message ?? 'unreadable'}` };
  } catch (error) {
    return { problem: error instanceof Error ? clipped(error.message, 120) : 'not JSON' };
  }
}

const figures = (data: NightshiftEvent['data']): string =>
  Object.entries(data)
    .map(([name, value]) => `${name}=${typeof value === 'number' ? Math.round(value * 1000) / 1000 : Array.isArray(value) ? value.join(',') : value}`)
    .join(' ');
