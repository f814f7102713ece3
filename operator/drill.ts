import { openAuditLog, type AuditLog } from '../activities/audit-log.js';
import type { IncidentState } from '../events/incident.js';
import { labClient, type LabClient } from '../lab/client.js';
import type { Drill } from '../lab/drills/drill.js';
import { DRILLS } from '../lab/drills/drills.js';
import { inCheckout } from '../stack/root.js';
import { processOf, type StackFile } from '../stack/stack-file.js';
import { connectOperatorNats } from './connect.js';
import type { Output } from './output.js';
import { span } from './moment.js';
import { timelineLine, type Told, type TimelineOptions } from './timeline.js';
import { UnknownDrill } from './unknown-drill.js';
import { watchIncident } from './watch-incident.js';

export interface RunDrill {
  stack: StackFile;
  name: string;
  out: Pick<Output, 'line' | 'message' | 'json'>;
  /** The result as one object at the end, instead of lines on the way. */
  json: boolean;
  signal: AbortSignal;
  /** Stop waiting after this, whatever the drill allows. */
  timeoutMs?: number;
  timeline?: TimelineOptions;
}

export interface DrillResult {
  id: string;
  passed: boolean;
  incident: string | null;
  state: IncidentState | null;
  tookMs: number;
  /** What is wrong, one sentence each. */
  problems: string[];
  /** It was still going on when the time was up. */
  pending: boolean;
}

/** The drill of a name; UnknownDrill when there is none. */
export function drillNamed(name: string): Drill {
  const found = DRILLS.find((drill) => drill.name === name);
  if (found === undefined)
    throw new UnknownDrill(
      name,
      DRILLS.map((drill) => drill.name),
    );
  return found;
}

const CONNECT_MS = 10_000;

/**
 * Plays a drill on the lab of a running stack and waits for the end of its incident, telling the timeline on the way. What counts is what the audit and the host's own
 * log say afterwards, compared by the drill itself. While a hold keeps the incident from acting the drill's own time does not count: whoever holds it decides.
 */
export async function runDrill({ stack, name, out, json, signal, timeoutMs, timeline = { utc: false } }: RunDrill): Promise<DrillResult> {
  const drill = drillNamed(name);
  const tell = (text: string): void => (json ? out.message(text) : out.line(text));
  const nc = await connectOperatorNats(stack, { timeoutMs: CONNECT_MS, name: `nightshift drill ${name}`, signal });
  try {
    const audit = await openAuditLog(nc);
    const lab = labClient(nc, stack.site);
    const budget = timeoutMs === undefined ? signal : AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]);
    tell(`drill ${drill.name}: ${firstSentence(drill.about)}`);
    await endOfEarlier(audit, lab, drill.expects.problem, budget, out);

    const after = await audit.lastSeq();
    const startedAt = Date.now();
    const { logFrom } = await drill.play(lab);
    const clock = drillClock(drill.withinMs, budget);
    try {
      const incident = await openingOf(audit, drill.expects.problem, after, clock.signal);
      const state =
        incident === null
          ? null
          : await watchIncident(
              audit,
              incident,
              (stored) => {
                clock.heard(stored);
                const line = json ? '' : timelineLine(stored, timeline);
                if (line !== '') out.line(line);
              },
              clock.signal,
            );
      signal.throwIfAborted();
      const tookMs = Date.now() - startedAt;
      const problems: string[] = [];
      if (incident === null) problems.push(`no incident of ${drill.expects.problem} was opened within ${span(tookMs)}`);
      else if (state === null) problems.push(`incident ${incident} has not ended within ${span(tookMs)}`);
      else {
        const records = (await audit.ofIncident(incident)).map(({ record }) => record);
        problems.push(...drill.verify({ records, hostLog: await lab.log(logFrom) }));
      }
      const result: DrillResult = {
        id: drill.name,
        passed: problems.length === 0,
        incident,
        state,
        tookMs,
        problems,
        pending: incident !== null && state === null,
      };
      if (json) out.json(result);
      else for (const line of verdictLines(result, stack)) out.line(line);
      return result;
    } finally {
      clock.stop();
    }
  } finally {
    await nc.close();
  }
}

/** The verdict, and where to look next. */
export function verdictLines({ id, passed, incident, tookMs, problems }: DrillResult, stack: StackFile): string[] {
  const ui = stack.processes.some(({ role }) => role === 'temporal') ? processOf(stack, 'temporal').ports['ui'] : undefined;
  const dir = stack.dir === inCheckout('.nightshift') ? '' : ` --dir ${stack.dir}`;
  return [
    passed ? `drill ${id} passed in ${span(tookMs)}: the audit and the host's own log say the same` : `drill ${id} failed after ${span(tookMs)}:`,
    ...problems.map((problem) => `  ${problem}`),
    'Look next:',
    ...(incident === null
      ? [`  npx nightshift doctor${dir}`, `  npx nightshift event tail --since 5m${dir}`]
      : [`  npx nightshift incident show ${incident}${dir}`]),
    ...(ui === undefined ? [] : [`  http://127.0.0.1:${ui} (Temporal's own view, for developers)`]),
  ];
}

/** An earlier incident of the same problem would swallow the drill's events: its symptom is gone after the reset, so it ends by itself. */
async function endOfEarlier(audit: AuditLog, lab: LabClient, problem: string, signal: AbortSignal, out: Pick<Output, 'message'>): Promise<void> {
  const last = await audit.problem(problem);
  if (last === null || last.record.status === 'ended') return;
  out.message(`incident ${last.record.incident} of an earlier drill is still open: waiting for its end`);
  await lab.reset();
  for await (const { record } of audit.follow({ incident: last.record.incident, afterSeq: 0, signal })) {
    if (record.fact === 'state' && (record.to === 'resolved' || record.to === 'closed')) return;
  }
  signal.throwIfAborted();
}

async function openingOf(audit: AuditLog, problem: string, afterSeq: number, signal: AbortSignal): Promise<string | null> {
  for await (const { record } of audit.follow({ afterSeq, signal })) {
    if (record.fact === 'opened' && record.problem === problem) return record.incident;
  }
  return null;
}

/** Aborts when the drill's time is up, unless the last thing heard was that the incident is held; `budget` always counts. */
function drillClock(withinMs: number, budget: AbortSignal): { signal: AbortSignal; heard(stored: Told): void; stop(): void } {
  const up = new AbortController();
  let held = false;
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    if (!held) up.abort();
  }, withinMs);
  return {
    signal: AbortSignal.any([up.signal, budget]),
    heard({ record }) {
      if (record.fact === 'outcome') held = record.state === 'refused' && record.reason === 'held';
      // It goes on after the hold: it gets the time that it would have had.
      if (late && !held && record.fact === 'outcome') {
        late = false;
        timer.refresh();
      }
    },
    stop: () => clearTimeout(timer),
  };
}

export const firstSentence = (text: string): string => /^[^]*?[.!?](?=\s|$)/.exec(text)?.[0].replace(/\s+/g, ' ') ?? text;
