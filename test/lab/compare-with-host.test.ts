import { expect, test } from 'vitest';
import type { AuditRecord } from '../../events/audit.js';
import type { EffectOutcome } from '../../events/effect.js';
import type { VerbName } from '../../events/playbooks.js';
import type { HostLogLine } from '../../lab/host-log.js';
import { compareWithHost } from '../../lab/drills/compare-with-host.js';

const at = '2026-11-20T19:29:04Z';
const base = { v: 1 as const, at, site: 'lab', by: 'effector' as const, incident: 'i-0123456789' };

function effect(
  step: string,
  verb: VerbName,
  args: Record<string, unknown>,
  state: EffectOutcome['state'] = 'done',
  data: Record<string, string> = {},
): AuditRecord[] {
  const same = { step, verb, operation: `i-0123456789.${step}` };
  return [
    { ...base, ...same, fact: 'intent', risk: 'R1', target: { host: 'dauntless', container: '204' }, args, plan: 'p', summary: '' },
    { ...base, ...same, fact: 'outcome', state, changed: state === 'done', tookMs: 1, summary: '', data },
  ];
}
const died = (pid: number, by: 'inside' | 'outside' = 'outside'): HostLogLine => ({
  what: 'died',
  at,
  container: '204',
  pid,
  startTicks: pid * 10,
  comm: 'httpd',
  signal: 9,
  exit: null,
  by,
});
const restart: HostLogLine = { what: 'service', at, container: '204', service: 'httpd', action: 'restart' };
const limit = (barrier: number): HostLogLine[] => [
  { what: 'limit', at, container: '204', resource: 'tcpsndbuf', barrier, limit: barrier + 1 },
  { what: 'call', at, tool: 'vzctl', argv: ['set', '204', '--tcpsndbuf', `${barrier}:${barrier + 1}`], exit: 0 },
];
const saved: HostLogLine[] = [
  { what: 'saved', at, container: '204', resource: 'tcpsndbuf', barrier: 3, limit: 4 },
  { what: 'call', at, tool: 'vzctl', argv: ['set', '204', '--save', '--tcpsndbuf', '3:4'], exit: 0 },
];
const kills = (pids: readonly number[], state?: EffectOutcome['state']): AuditRecord[] =>
  effect('end-1', 'container.ensure-enterable', { candidates: pids.map((pid) => ({ pid, startTicks: pid * 10 })) }, state, {
    ended: pids.map((pid) => `${pid}:${pid * 10}:httpd:KILL`).join(' '),
  });
const restarts = (state?: EffectOutcome['state']): AuditRecord[] => effect('restart-1', 'container.ensure-service-restarted', {}, state);
const raise = (step: string, barrier: number): AuditRecord[] => effect(step, 'container.ensure-limit', { resource: 'tcpsndbuf', barrier, limit: barrier + 1 });
const keep: AuditRecord[] = effect('keep-1', 'container.ensure-limit-saved', { resource: 'tcpsndbuf', barrier: 3, limit: 4 });

test('an audit and a host that say the same agree', () => {
  expect(
    compareWithHost({
      records: [...kills([7, 8]), ...restarts(), ...raise('raise-1', 1), ...raise('raise-2', 3), ...keep],
      hostLog: [died(7), died(8), died(9, 'inside'), restart, ...limit(1), ...limit(3), ...saved],
    }),
  ).toEqual([]);
});

test.each([
  ['a process ended from outside that nobody owns up to', kills([7]), [died(7), died(8)], /process 8:80 was ended from outside/],
  ['an end that never happened', kills([7, 8]), [died(7)], /says that process 8:80 was ended; the host's log does not/],
  ['a restart done twice', restarts(), [restart, restart], /service restarts: 2 in the host's log, 1 in the audit/],
  ['a restart that never happened', restarts(), [], /service restarts: 0 in the host's log, 1 in the audit/],
  ['a raise done twice', raise('raise-1', 1), [...limit(1), ...limit(1)], /limits on the host that the audit does not have/],
  [
    'the same limit set again, which changes nothing and was still done twice',
    raise('raise-1', 1),
    [...limit(1), ...limit(1).slice(1)],
    /calls of vzctl set: 2 in the host's log, 1 in the audit/,
  ],
  ['raises in the wrong order', [...raise('raise-1', 1), ...raise('raise-2', 3)], [...limit(3), ...limit(1)], /limits in the audit/],
  ['a limit of somebody else', [], limit(5), /limits on the host that the audit does not have: tcpsndbuf 5:6/],
  ['a limit saved twice', keep, [...saved, ...saved], /saved limits: 2 in the host's log, 1 in the audit/],
] as const)('%s is found', (_what, records, hostLog, says) => {
  expect(compareWithHost({ records, hostLog }).join('\n')).toMatch(says);
});

test('of a doubtful effect the host is believed, once', () => {
  expect(compareWithHost({ records: restarts('unknown'), hostLog: [] })).toEqual([]);
  expect(compareWithHost({ records: restarts('unknown'), hostLog: [restart] })).toEqual([]);
  expect(compareWithHost({ records: restarts('unknown'), hostLog: [restart, restart] })).toHaveLength(1);
});
