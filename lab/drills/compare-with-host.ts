import type { AuditOf, AuditRecord } from '../../events/audit.js';
import type { VerbName } from '../../events/playbooks.js';
import type { HostLogLine } from '../host-log.js';

/**
 * Does the audit say what really happened to the host, no more and no less? One sentence for each thing that stands in one of them only, or twice.
 * An effect whose outcome is `unknown` or `failed` may have happened or not: what the host says of it is believed, once.
 */
export function compareWithHost({ records, hostLog }: { records: readonly AuditRecord[]; hostLog: readonly HostLogLine[] }): string[] {
  const effects = effectsIn(records);
  return [...compareDeaths(effects, hostLog), ...compareRestarts(effects, hostLog), ...compareLimits(effects, hostLog), ...compareSaved(effects, hostLog)];
}

/** One effect: what was claimed, and how it ended (null: nobody recorded an end). */
export interface Effect {
  verb: VerbName;
  intent: AuditOf<'intent'>;
  outcome: AuditOf<'outcome'> | null;
}

export function effectsIn(records: readonly AuditRecord[]): Effect[] {
  const outcomes = new Map(records.filter((r): r is AuditOf<'outcome'> => r.fact === 'outcome').map((r) => [r.step, r]));
  return records
    .filter((r): r is AuditOf<'intent'> => r.fact === 'intent')
    .map((intent) => ({ verb: intent.verb, intent, outcome: outcomes.get(intent.step) ?? null }));
}

/** It was done, and the host is another than before. */
export const changedSomething = ({ outcome }: Effect): boolean => outcome?.state === 'done' && outcome.changed;
const isDoubtful = ({ outcome }: Effect): boolean => outcome === null || outcome.state === 'unknown' || outcome.state === 'failed';

function compareDeaths(effects: readonly Effect[], hostLog: readonly HostLogLine[]): string[] {
  const ends = effects.filter((effect) => effect.verb === 'container.ensure-enterable');
  const said = new Map<string, number>();
  const perhaps = new Set<string>();
  for (const effect of ends) {
    for (const word of String(effect.outcome?.data['ended'] ?? '')
      .split(' ')
      .filter((w) => w !== '')) {
      const process = word.split(':').slice(0, 2).join(':');
      said.set(process, (said.get(process) ?? 0) + 1);
    }
    if (isDoubtful(effect)) for (const { pid, startTicks } of candidatesOf(effect)) perhaps.add(`${pid}:${startTicks}`);
  }
  const died = hostLog.filter((line) => line.what === 'died');
  const fromOutside = new Set(died.filter((line) => line.by === 'outside').map((line) => `${line.pid}:${line.startTicks}`));
  // A process that was being ended from both sides in the same moment counts for either.
  const anyhow = new Set(died.map((line) => `${line.pid}:${line.startTicks}`));
  return [
    ...[...said].filter(([process]) => !anyhow.has(process)).map(([process]) => `the audit says that process ${process} was ended; the host's log does not`),
    ...[...said].filter(([, times]) => times > 1).map(([process, times]) => `the audit says ${times} times that process ${process} was ended`),
    ...[...fromOutside]
      .filter((process) => !said.has(process) && !perhaps.has(process))
      .map((process) => `process ${process} was ended from outside; the audit does not say so`),
  ];
}

function candidatesOf({ intent }: Effect): { pid: number; startTicks: number }[] {
  const candidates = intent.args['candidates'];
  return Array.isArray(candidates) ? (candidates as { pid: number; startTicks: number }[]) : [];
}

function compareRestarts(effects: readonly Effect[], hostLog: readonly HostLogLine[]): string[] {
  const restarts = effects.filter((effect) => effect.verb === 'container.ensure-service-restarted');
  const done = hostLog.filter((line) => line.what === 'service' && line.action === 'restart').length;
  return between('service restarts', done, restarts);
}

function compareSaved(effects: readonly Effect[], hostLog: readonly HostLogLine[]): string[] {
  const saves = effects.filter((effect) => effect.verb === 'container.ensure-limit-saved');
  return between('saved limits', hostLog.filter((line) => line.what === 'saved').length, saves);
}

function between(what: string, happened: number, effects: readonly Effect[]): string[] {
  const least = effects.filter(changedSomething).length;
  const most = least + effects.filter(isDoubtful).length;
  if (happened >= least && happened <= most) return [];
  return [`${what}: ${happened} in the host's log, ${least === most ? least : `${least} to ${most}`} in the audit`];
}

/** Each raise and each way back, in their order: the limits in force on the host are those that the audit names, one after the other. */
function compareLimits(effects: readonly Effect[], hostLog: readonly HostLogLine[]): string[] {
  const sets = effects.filter((effect) => effect.verb === 'container.ensure-limit' || effect.verb === 'container.ensure-limit-saved');
  const wanted = (effect: Effect): string =>
    `${String(effect.intent.args['resource'])} ${String(effect.intent.args['barrier'])}:${String(effect.intent.args['limit'])}`;
  const raises = sets.filter((effect) => effect.verb === 'container.ensure-limit');
  const certain = raises.filter(changedSomething).map(wanted);
  const possible = sets.filter((effect) => changedSomething(effect) || isDoubtful(effect)).map(wanted);
  const happened = hostLog.filter((line) => line.what === 'limit').map((line) => `${line.resource} ${line.barrier}:${line.limit}`);
  const calls = hostLog.filter((line) => line.what === 'call' && line.tool === 'vzctl' && line.argv[0] === 'set' && line.exit === 0).length;
  const problems: string[] = [];
  if (!isSubsequence(certain, happened)) problems.push(`limits in the audit: ${certain.join(', ') || 'none'}; on the host: ${happened.join(', ') || 'none'}`);
  if (!isSubsequence(happened, possible))
    problems.push(
      `limits on the host that the audit does not have: ${happened.filter((limit) => !possible.includes(limit)).join(', ') || 'one of them twice'}`,
    );
  return [...problems, ...between('calls of vzctl set', calls, sets)];
}

function isSubsequence(short: readonly string[], long: readonly string[]): boolean {
  let at = 0;
  for (const word of long) if (word === short[at]) at += 1;
  return at === short.length;
}
