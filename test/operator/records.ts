import type { AuditRecord } from '../../events/audit.js';
import type { Told } from '../../operator/timeline.js';

/** One relieve-container incident from the first event to its end: the one of the house style. */
export const INCIDENT = 'i-4c8f2k0m9x';
export const PROBLEM = 'lab/dauntless/204/tcpsndbuf/relieve-container';
const target = { host: 'dauntless', container: '204', resource: 'tcpsndbuf' };
const trigger = {
  id: 'event-0001',
  type: 'container.failcnt_spike',
  host: 'dauntless',
  time: '2026-11-20T19:29:03.900Z',
  seq: 1,
  text: 'container 204 on dauntless: tcpsndbuf failcnt +412 in 1 s (held 4.0 MB of 4.0 MB), load 3.1 rising',
};

export const base = (at: string, incident = INCIDENT, by: 'engine' | 'effector' | 'operator' = 'engine') => ({
  v: 1 as const,
  at: `2026-11-20T${at}Z`,
  site: 'lab',
  by,
  incident,
});

export const story = (incident = INCIDENT): AuditRecord[] => [
  {
    ...base('19:29:04', incident),
    fact: 'opened',
    problem: PROBLEM,
    playbook: 'relieve-container',
    playbookVersion: 1,
    rule: 'relieve',
    mode: 'auto',
    config: '0123456789ab',
    target,
    trigger,
  },
  { ...base('19:29:04', incident), fact: 'problem', problem: PROBLEM, status: 'open' },
  { ...base('19:29:04', incident), fact: 'events', count: 1, kinds: { 'container.failcnt_spike': 1 }, first: trigger, last: trigger },
  { ...base('19:29:04', incident), fact: 'state', from: null, to: 'working', summary: 'began' },
  {
    ...base('19:29:05', incident),
    fact: 'looked',
    step: 'look',
    tookMs: 412,
    summary: '34 processes of uid 33, oldest 6 m; cannot enter the container (2 s)',
    evidence: {},
  },
  { ...base('19:29:05', incident), fact: 'decided', step: 'select', decision: 'kill', reason: 'cannot-enter', summary: 'end 31 of 34 httpd from the host' },
  {
    ...base('19:29:05', incident, 'effector'),
    fact: 'intent',
    step: 'kill',
    verb: 'container.ensure-enterable',
    risk: 'R1',
    target,
    args: {},
    operation: `${incident}.kill`,
    plan: 'abc',
    summary: 'end runaway httpd until the container can be entered',
  },
  {
    ...base('19:29:09', incident, 'effector'),
    fact: 'outcome',
    step: 'kill',
    verb: 'container.ensure-enterable',
    operation: `${incident}.kill`,
    state: 'done',
    changed: true,
    tookMs: 4000,
    summary: '31 of 34 httpd from the host, 4 s; left: init, sshd, 1 cron',
    data: { killed: 31 },
  },
  {
    ...base('19:29:09', incident),
    fact: 'events',
    count: 7,
    kinds: { 'container.failcnt_spike': 7 },
    first: { ...trigger, id: 'event-0002' },
    last: { ...trigger, id: 'event-0008', text: 'container 204 on dauntless: tcpsndbuf failcnt +3 in 1 s (held 1.0 MB of 4.0 MB)' },
  },
  {
    ...base('19:29:10', incident, 'effector'),
    fact: 'outcome',
    step: 'restart',
    verb: 'container.ensure-service-restarted',
    operation: `${incident}.restart`,
    state: 'done',
    changed: true,
    tookMs: 900,
    summary: 'httpd restarted in the container',
    data: {},
  },
  {
    ...base('19:29:26', incident, 'effector'),
    fact: 'outcome',
    step: 'raise',
    verb: 'container.ensure-limit',
    operation: `${incident}.raise`,
    state: 'refused',
    changed: false,
    reason: 'trigger-gone',
    tookMs: 3,
    summary: 'raise tcpsndbuf: failcnt has been flat for 15 s',
    data: {},
  },
  { ...base('19:30:00', incident, 'operator'), fact: 'note', person: 'ana', text: 'the customer\u202e has a sale\x1b[2J today' },
  {
    ...base('19:31:26', incident),
    fact: 'state',
    from: 'working',
    to: 'resolved',
    summary: 'failcnt flat and load 0.4 for 2 m; 2 effects, 0 undone, nobody paged',
  },
  { ...base('19:31:26', incident), fact: 'problem', problem: PROBLEM, status: 'ended' },
];

export const stored = (records: readonly AuditRecord[], from = 1): Told[] => records.map((record, at) => ({ seq: from + at, receivedAt: record.at, record }));
