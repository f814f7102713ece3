import type { AuditRecord } from '../events/audit.js';
import { inert } from './inert.js';
import { clock, type Zone } from './moment.js';
import { paint, type Tone } from './paint.js';
import { padded, wrapped } from './width.js';

/** A record with its place in the audit stream. Structurally the audit log's `Stored`; named here so that rendering needs no client. */
export interface Told {
  seq: number;
  receivedAt: string;
  record: AuditRecord;
}

export interface TimelineOptions extends Zone {
  /** Wrap to this many columns; absent: a pipe, one physical line a fact. */
  columns?: number;
  color?: boolean;
}

/** What one record says, apart from how it is shown. */
export interface Saying {
  at: string;
  verb: string;
  text: string;
  tone: Tone;
}

const VERB_COLUMNS = 8;
const INDENT = ' '.repeat('00:00:00 '.length + VERB_COLUMNS + 1);

/** The line of one record, or '' for one that is bookkeeping. An `opened` record says two things, in two lines: what was seen, and what it opened. */
export const timelineLine = (stored: Told, options: TimelineOptions): string =>
  sayings(stored)
    .map((saying) => lineOf(saying, options))
    .join('\n');

/**
 * The timeline of one incident as it is read afterwards: in stream order, each record once, without claims whose outcome is known
 * and without the batch that opened it (its first line says that already).
 */
export function timeline(records: readonly Told[], options: TimelineOptions): string[] {
  return toldInOrder(records)
    .map((stored) => timelineLine(stored, options))
    .filter((line) => line !== '');
}

/** The records that `timeline` shows. */
export function toldInOrder(records: readonly Told[]): Told[] {
  const bySeq = [...new Map(records.map((stored) => [stored.seq, stored])).values()].sort((a, b) => a.seq - b.seq);
  const settled = new Set<string>();
  let trigger: string | null = null;
  for (const { record } of bySeq) {
    if (record.fact === 'outcome') settled.add(record.operation);
    if (record.fact === 'opened') trigger = record.trigger.id;
  }
  return bySeq.filter(({ record }) => {
    if (record.fact === 'intent') return !settled.has(record.operation);
    return !(record.fact === 'events' && record.count === 1 && record.first.id === trigger);
  });
}

/** What a record says: nothing, one thing, or two. */
export function sayings({ receivedAt, record }: Told): Saying[] {
  const at = record.at;
  switch (record.fact) {
    case 'opened':
      return [
        { at: receivedBefore(record.trigger.time, at), verb: 'seen', text: record.trigger.text, tone: 'plain' },
        { at, verb: 'opened', text: `${record.playbook}, ${record.mode}, for ${targetText(record.target)} (${record.incident})`, tone: 'strong' },
      ];
    case 'events':
      return [
        {
          at,
          verb: 'seen',
          text: record.count === 1 ? record.last.text : `${record.count} events; last: ${record.last.text}${membersText(record.members)}`,
          tone: 'plain',
        },
      ];
    case 'looked':
      return [{ at, verb: 'looked', text: record.summary, tone: 'plain' }];
    case 'decided':
      // A refusal reads like an act, whoever refused.
      return [
        {
          at,
          verb: record.decision.startsWith('no-') ? 'refused' : 'decided',
          text: withReason(record.summary || record.decision, record.reason),
          tone: 'plain',
        },
      ];
    case 'intent':
      return [{ at, verb: 'acts', text: record.summary, tone: 'act' }];
    case 'outcome':
      return [outcomeSaying(record)];
    case 'state':
      // The first state is what `opened` has just said.
      return record.from === null && record.to === 'working' ? [] : [{ at, verb: record.to, text: record.summary, tone: STATE_TONE[record.to] }];
    case 'note':
      return [{ at, verb: 'noted', text: `${record.person}: ${record.text}`, tone: 'plain' }];
    case 'problem':
      return [];
    case 'config':
      return [
        {
          at,
          verb: 'config',
          text: record.accepted ? `${record.config} in force, from ${record.file}` : `${record.file} refused: ${record.problems.join('; ')}`,
          tone: record.accepted ? 'plain' : 'bad',
        },
      ];
    case 'deadletters':
      return [
        {
          at,
          verb: 'refused',
          text: `${record.count} ${record.count === 1 ? 'message' : 'messages'} of ${record.host ?? 'an unknown host'}: ${record.reason}`,
          tone: 'warn',
        },
      ];
    case 'stack':
      return [
        {
          at,
          verb: 'stack',
          text: `${record.role} ${record.change}: ${record.summary}`,
          tone: record.change === 'ended' || record.change === 'intake-stopped' ? 'warn' : 'plain',
        },
      ];
    default:
      // A record of a later version: shown as what it is rather than hidden.
      return [{ at: receivedAt, verb: 'record', text: JSON.stringify(record), tone: 'plain' }];
  }
}

type Outcome = Extract<AuditRecord, { fact: 'outcome' }>;
function outcomeSaying(record: Outcome): Saying {
  const { at, summary } = record;
  switch (record.state) {
    case 'done': {
      if (!record.changed) return { at, verb: 'done', text: summary, tone: 'plain' };
      const killed = record.verb === 'container.ensure-enterable' && Number(record.data['killed'] ?? 0) > 0;
      return { at, verb: killed ? 'killed' : 'done', text: summary.replace(killed ? /^killed / : /^done /, ''), tone: 'good' };
    }
    case 'refused':
      return { at, verb: 'refused', text: withReason(summary, record.reason), tone: 'warn' };
    case 'failed':
    case 'unknown':
      return { at, verb: record.state, text: summary, tone: 'bad' };
  }
}

const STATE_TONE = { working: 'plain', waiting: 'plain', refused: 'warn', escalated: 'bad', resolved: 'good', closed: 'strong' } as const satisfies Record<
  string,
  Tone
>;

function lineOf({ at, verb, text, tone }: Saying, { utc, columns, color }: TimelineOptions): string {
  const head = `${clock(at, { utc })} ${paint(padded(inert(verb), VERB_COLUMNS), tone, color === true)} `;
  const body = inert(text);
  if (columns === undefined) return head + body;
  return head + wrapped(body, Math.max(columns, INDENT.length + 20) - INDENT.length).join(`\n${INDENT}`);
}

/** `dauntless/204/tcpsndbuf`, or the domain. */
export function targetText(target: { host: string; container?: string | undefined; resource?: string | undefined; domain?: string | undefined }): string {
  if (target.domain !== undefined) return `domain ${target.domain}`;
  return [target.host, target.container, target.resource].filter((part) => part !== undefined).join('/');
}

/** The word from the closed list stands at the end, unless the sentence says it already. */
function withReason(text: string, reason: string | undefined): string {
  if (reason === undefined || reason === '' || text.includes(reason)) return text;
  return text === '' ? reason : `${text} (${reason})`;
}

const membersText = (members: readonly string[] | undefined): string =>
  members === undefined || members.length === 0 ? '' : `; ${members.length} members: ${members.slice(0, 5).join(', ')}${members.length > 5 ? ', ...' : ''}`;

/** An observer's clock may be wrong; a timeline must not run backwards because of it. */
function receivedBefore(observed: string, recorded: string): string {
  const late = Date.parse(recorded) - Date.parse(observed);
  return late >= 0 && late < 600_000 ? observed : recorded;
}
