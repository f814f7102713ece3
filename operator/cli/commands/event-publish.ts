import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import type { Command } from 'commander';
import { InvalidEvent, NotAcknowledged, publishOnce } from '../../../activities/event-publisher.js';
import { jetstream } from '../../../activities/nats.js';
import { EVENT_KINDS, type NightshiftEvent } from '../../../events/event.js';
import { composeEvent } from '../../compose-event.js';
import { clipped, inert } from '../../inert.js';
import { CliError, EXIT, type Exit } from '../exit-codes.js';
import type { Run } from '../run.js';
import type { Session } from '../session.js';

interface Options {
  kind?: string;
  host?: string;
  data?: string;
  raw?: boolean;
  subject?: string;
  id?: string;
}

export function addEventPublish(event: Command, run: Run): void {
  event
    .command('publish [file]')
    .description('publish one event, from a file, from stdin (-), or built from --kind, --host and --data')
    .option('--kind <kind>', `one of ${EVENT_KINDS.join(', ')}`)
    .option('--host <host>', 'the host that it is about')
    .option('--data <json>', 'what the kind says, as a JSON object without the host', '{}')
    .option('--id <id>', 'for --raw: message id; the same one again is stored once')
    .option('--raw', 'the bytes as they are, unchecked; needs --subject')
    .option('--subject <subject>', 'for --raw: where to publish')
    .addHelpText(
      'after',
      `
What is missing of specversion, id, time and source is filled in; what is there is checked as the engine checks it. Exit code 2 when it is not an event.

Examples:
  nightshift event publish --kind host.load_slope --host dauntless --data '{"load1":9,"load1Before":1,"intervalSeconds":30,"cores":2}'
  nightshift event publish spike.json`,
    )
    .action((file: string | undefined, options: Options) => run((session) => eventPublish(session, file, options)));
}

async function eventPublish(session: Session, file: string | undefined, options: Options): Promise<Exit> {
  const { context } = session;
  const sent = options.raw === true ? await publishRaw(session, file, options) : await publishChecked(session, file, options);
  if (context.json) context.out.json(sent);
  else
    context.out.line(
      `published ${inert(sent.id)} on ${inert(sent.subject)}, sequence ${sent.seq}${sent.duplicate ? ' (a duplicate: it was there already)' : ''}`,
    );
  return EXIT.done;
}

interface Sent {
  id: string;
  subject: string;
  seq: number;
  duplicate: boolean;
}

async function publishRaw(session: Session, file: string | undefined, options: Options): Promise<Sent> {
  const { subject, id = randomUUID() } = options;
  if (file === undefined || subject === undefined) throw new CliError(EXIT.usage, 'usage', '--raw needs a file (or -) and --subject');
  if (!/^evt\.[^\s*>]+$/.test(subject)) throw new CliError(EXIT.usage, 'usage', `${clipped(inert(subject), 80)} is not a subject below evt.`);
  const bytes = await bytesOf(file);
  const { seq, duplicate } = await jetstream(await session.nats(), { timeout: session.patienceMs }).publish(subject, bytes, { msgID: id });
  return { id, subject, seq, duplicate };
}

async function publishChecked(session: Session, file: string | undefined, options: Options): Promise<Sent> {
  if (options.subject !== undefined || options.id !== undefined)
    throw new CliError(EXIT.usage, 'usage', '--subject and --id are for --raw: an event says itself what it is and where it belongs');
  const draft = await draftOf(file, options);
  const { site } = await session.stack();
  const composed = composeEvent(draft, { site, id: randomUUID(), now: session.context.now() });
  if ('problems' in composed) throw new CliError(EXIT.usage, 'invalid_event', `not an event:\n  ${composed.problems.join('\n  ')}`);
  return { id: composed.event.id, ...(await acknowledged(session, composed.event)) };
}

async function acknowledged(session: Session, event: NightshiftEvent): Promise<Omit<Sent, 'id'>> {
  try {
    return await publishOnce(await session.nats(), event, { deadlineMs: session.patienceMs });
  } catch (error) {
    if (error instanceof InvalidEvent) throw new CliError(EXIT.usage, 'invalid_event', error.message, undefined, { cause: error });
    if (error instanceof NotAcknowledged)
      throw new CliError(EXIT.timedOut, 'not_acknowledged', error.message, 'see what is down: nightshift doctor', { cause: error });
    throw error;
  }
}

async function draftOf(file: string | undefined, { kind, host, data }: Options): Promise<unknown> {
  if (file !== undefined) {
    if (kind !== undefined || host !== undefined) throw new CliError(EXIT.usage, 'usage', 'give a file, or --kind and --host, not both');
    return jsonOf(new TextDecoder().decode(await bytesOf(file)), file === '-' ? 'stdin' : file);
  }
  if (kind === undefined || host === undefined)
    throw new CliError(EXIT.usage, 'usage', 'give a file (or -), or --kind and --host', 'nightshift event publish --help');
  const said = jsonOf(data ?? '{}', '--data');
  if (typeof said !== 'object' || said === null || Array.isArray(said)) throw new CliError(EXIT.usage, 'usage', '--data is not a JSON object');
  return { type: kind, data: { host, ...said } };
}

async function bytesOf(file: string): Promise<Uint8Array> {
  try {
    return file === '-' ? await buffer(process.stdin) : await readFile(file);
  } catch (cause) {
    throw new CliError(EXIT.usage, 'unreadable', `${file} cannot be read`, undefined, { cause });
  }
}

function jsonOf(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new CliError(EXIT.usage, 'invalid_event', `${where} is not JSON`, undefined, { cause });
  }
}
