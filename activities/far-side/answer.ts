import { z } from 'zod';
import { resource, type Resource } from '../../events/kinds/container.js';
import type { Counter, ProcessFact } from '../looks.js';

/** What the helper on a host has said; its lines are described at the top of `nightshift-helper`. What it did not say is absent, never guessed. */
export interface Answer {
  /** The closing line was there. Without it everything here is true but more may have been said. */
  whole: boolean;
  result: { word: ResultWord; reason: string } | null;
  /** Hundredths of a second since the host was started, when it answered. */
  uptimeCs: number | null;
  bootId: string | null;
  load1: number | null;
  /** Verb `counters`: how many processors the host has. */
  cores: number | null;
  running: boolean | null;
  incarnation: string | null;
  counters: Counter[] | null;
  processes: ProcessFact[] | null;
  /** Milliseconds; null: it could not be entered; undefined: nobody tried, or the answer ends before. */
  enteredInMs?: number | null;
  /** Verb `counters`: raw files by name; null for one that is not there. */
  files: Map<string, string | null>;
  /** `new`, or what the journal knows of the operation. */
  operation: 'new' | 'finished' | 'started' | 'absent' | null;
  killed: { pid: number; startTicks: number; comm: string; signal: 'TERM' | 'KILL' }[];
  survived: { pid: number; startTicks: number; comm: string }[];
  spared: { pid: number; startTicks: number; why: string }[];
  /** Candidates that were not needed. */
  left: number | null;
  was: { barrier: number; limit: number } | null;
  is: { barrier: number; limit: number } | null;
  /** What a helper that was cut short had begun to do. */
  did: string[];
  /** In words, for people. */
  details: string[];
}

export const RESULT_WORDS = ['done', 'refused', 'failed', 'unknown'] as const;
export type ResultWord = (typeof RESULT_WORDS)[number];

/** No answer is longer; the transport stops reading there. Counters of some hundred containers are the longest. */
export const MAX_ANSWER_BYTES = 8 * 1024 * 1024;

const digits = z.string().regex(/^\d{1,20}$/);
const whole = digits.transform(Number).pipe(z.int().nonnegative());
/** "Unlimited" is LONG_MAX on the host, more than a number here can tell apart. */
const amount = digits.transform((text) => Math.min(Number(text), Number.MAX_SAFE_INTEGER));
const decimal = z
  .string()
  .regex(/^\d{1,12}(\.\d{1,6})?$/)
  .transform(Number);
const word = z.string().regex(/^[a-z0-9-]{1,40}$/);
const comm = z.string().min(1).max(64);

const counterLine = z.tuple([resource, amount, amount, amount, amount, amount]);
const processLine = z.tuple([
  whole,
  whole,
  whole,
  z
    .string()
    .regex(/^-?\d{1,12}$/)
    .transform(Number),
  z.string().regex(/^[A-Za-z?]$/),
  decimal,
  decimal,
  whole,
  comm,
]);
const processRef = z
  .string()
  .regex(/^\d{1,10}:\d{1,18}$/)
  .transform((text) => ({ pid: Number.parseInt(text, 10), startTicks: Number(text.slice(text.indexOf(':') + 1)) }));
const namedRef = z
  .string()
  .regex(/^\d{1,10}:\d{1,18}:[A-Za-z0-9._+:-]{1,15}$/)
  .transform((text) => {
    const [pid = '', ticks = '', ...name] = text.split(':');
    return { pid: Number(pid), startTicks: Number(ticks), comm: name.join(':') };
  });
const signalled = z
  .string()
  .regex(/:(TERM|KILL)$/)
  .transform((text) => ({ text: text.slice(0, -5), signal: text.slice(-4) as 'TERM' | 'KILL' }));
const pair = z
  .string()
  .regex(/^\d{1,20}:\d{1,20}$/)
  .transform((text) => ({ barrier: amount.parse(text.split(':')[0]), limit: amount.parse(text.split(':')[1]) }));

/** A line that is not one of the helper's: a banner, a shell's complaint, or somebody else's answer. */
export class NotAnAnswer extends Error {
  override readonly name = 'NotAnAnswer';
}

/**
 * Reads an answer, or as much of one as came. Throws NotAnAnswer when a complete line makes no sense; a last line without its newline is left out.
 * Counters of resources this version does not know are skipped: hosts may be newer than we are.
 */
export function parseAnswer(text: string): Answer {
  const answer: Answer = {
    whole: false,
    result: null,
    uptimeCs: null,
    bootId: null,
    load1: null,
    cores: null,
    running: null,
    incarnation: null,
    counters: null,
    processes: null,
    files: new Map(),
    operation: null,
    killed: [],
    survived: [],
    spared: [],
    left: null,
    was: null,
    is: null,
    did: [],
    details: [],
  };
  const counters: Counter[] = [];
  const processes = new Map<number, ProcessFact>();
  let file: { name: string; lines: string[] } | null = null;
  const lines = text.split('\n').slice(0, -1);
  const first = lines.shift();
  if (first === undefined) return answer;
  if (first !== 'nightshift 1') throw new NotAnAnswer(`its first line is ${JSON.stringify(first.slice(0, 200))}`);

  for (const line of lines) {
    if (answer.whole) throw new NotAnAnswer('it goes on after its end');
    if (line.startsWith('| ') && file !== null) {
      file.lines.push(line.slice(2));
      continue;
    }
    if (file !== null) answer.files.set(file.name, file.lines.map((l) => `${l}\n`).join(''));
    file = null;
    const [key = '', ...words] = line.split(' ');
    const rest = line.slice(key.length + 1);
    try {
      switch (key) {
        case 'clock':
          answer.uptimeCs = whole.parse(words[0]);
          answer.bootId = words[1] === '-' ? null : z.uuid().parse(words[1]);
          break;
        case 'load':
          answer.load1 = rest === '-' ? null : decimal.parse(rest);
          break;
        case 'cores':
          answer.cores = rest === '0' ? null : whole.parse(rest);
          break;
        case 'running':
          answer.running = z
            .enum(['yes', 'no', 'unknown'])
            .transform((w) => ({ yes: true, no: false, unknown: null })[w])
            .parse(rest);
          break;
        case 'incarnation':
          answer.incarnation =
            rest === '-'
              ? null
              : z
                  .string()
                  .regex(/^[0-9][0-9a-f.-]{0,39}$/)
                  .parse(rest);
          break;
        case 'counter': {
          if (!resource.safeParse(words[0]).success) break;
          const [name, held, maxheld, barrier, limit, failcnt] = counterLine.parse(words);
          counters.push({ resource: name satisfies Resource, held, maxheld, barrier, limit, failcnt });
          break;
        }
        case 'process': {
          const [pid, startTicks, ppid, uid, state, ageSeconds, cpuSeconds, rssKb, name] = processLine.parse(words);
          processes.set(pid, { pid, startTicks, ppid, uid, comm: name, args: '', state, ageSeconds, cpuSeconds, rssKb });
          break;
        }
        case 'args': {
          const process = processes.get(whole.parse(words[0]));
          if (process !== undefined) process.args = words.slice(1).join(' ').slice(0, 200);
          break;
        }
        case 'part':
          if (words[0] === 'counters') answer.counters = words[1] === 'ok' ? counters : null;
          if (words[0] === 'processes') answer.processes = words[1] === 'ok' ? [...processes.values()] : null;
          break;
        case 'enter':
          answer.enteredInMs = rest === 'no' ? null : whole.parse(rest);
          break;
        case 'file':
          if (words[1] === 'missing') answer.files.set(words[0] ?? '', null);
          else file = { name: words[0] ?? '', lines: [] };
          break;
        case 'op':
          answer.operation = z.enum(['new', 'finished', 'started', 'absent']).parse(words[0]);
          break;
        case 'killed': {
          const { text: ref, signal } = signalled.parse(rest);
          answer.killed.push({ ...namedRef.parse(ref), signal });
          break;
        }
        case 'survived':
          answer.survived.push(namedRef.parse(rest));
          break;
        case 'spared':
          answer.spared.push({ ...processRef.parse(words[0]), why: word.parse(words[1]) });
          break;
        case 'left':
          answer.left = whole.parse(rest);
          break;
        case 'was':
          answer.was = pair.parse(rest);
          break;
        case 'is':
          answer.is = pair.parse(rest);
          break;
        case 'did':
          answer.did.push(rest.slice(0, 300));
          break;
        case 'detail':
          answer.details.push(rest.slice(0, 300));
          break;
        case 'service':
        case 'code':
          answer.details.push(line.slice(0, 300));
          break;
        case 'result':
          answer.result = { word: z.enum(RESULT_WORDS).parse(words[0]), reason: word.parse(words[1]) };
          break;
        case 'end':
          if (answer.result === null || rest !== '') throw new NotAnAnswer('it ends without a result');
          answer.whole = true;
          break;
        default:
          throw new NotAnAnswer('no such line');
      }
    } catch (cause) {
      throw new NotAnAnswer(`it says ${JSON.stringify(line.slice(0, 200))}`, { cause });
    }
  }
  return answer;
}
