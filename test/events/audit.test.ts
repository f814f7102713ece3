import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { auditOfIncident, auditRecord, auditSubject, type AuditFact, type AuditRecord } from '../../events/audit.js';
import { ENDED, INCIDENT_STATES, domainProblemId, incidentId, isIncidentId, problemId, problemKey } from '../../events/incident.js';
import { isToken } from '../../events/subjects.js';

const base = { v: 1, at: '2026-11-20T19:29:04.120Z', site: 'lab', by: 'engine' } as const;
const problem = problemId('lab', 'dauntless', '204/tcpsndbuf', 'relieve-container');
const incident = incidentId(problem, '5c3de0d4-6a0c-4d3e-9d0b-1f2e3d4c5b6a');
const trigger = { id: 'e1', type: 'container.failcnt_spike', host: 'dauntless', time: base.at, seq: 7, text: 'tcpsndbuf failcnt +412' };
const target = { host: 'dauntless', container: '204', resource: 'tcpsndbuf' };
/** One record of each fact, and where it belongs. A new fact does not compile until it has one. */
const RECORDS: { [F in AuditFact]: [Extract<AuditRecord, { fact: F }>, string] } = {
  opened: [
    {
      ...base,
      incident,
      fact: 'opened',
      problem,
      playbook: 'relieve-container',
      playbookVersion: 1,
      rule: 'r',
      mode: 'auto',
      config: '0123456789ab',
      target,
      trigger,
    },
    `aud.opened.${incident}`,
  ],
  events: [{ ...base, incident, fact: 'events', count: 3, kinds: { 'container.failcnt_spike': 3 }, first: trigger, last: trigger }, `aud.events.${incident}`],
  looked: [
    { ...base, incident, fact: 'looked', step: 'look', tookMs: 3.5, summary: '34 processes', evidence: { processes: 34 } },
    `aud.looked.${incident}.look`,
  ],
  decided: [{ ...base, incident, fact: 'decided', step: 'judge', decision: 'kill', reason: 'cannot-enter', summary: 'x' }, `aud.decided.${incident}.judge`],
  intent: [
    {
      ...base,
      by: 'effector',
      incident,
      fact: 'intent',
      step: 'kill',
      verb: 'container.ensure-enterable',
      risk: 'R1',
      target,
      args: {},
      operation: `${incident}.kill`,
      plan: 'x',
      summary: 'x',
    },
    `aud.intent.${incident}.kill`,
  ],
  outcome: [
    {
      ...base,
      by: 'effector',
      incident,
      fact: 'outcome',
      step: 'kill',
      verb: 'container.ensure-enterable',
      operation: `${incident}.kill`,
      state: 'done',
      changed: true,
      tookMs: 4000,
      summary: 'x',
      data: { killed: 31 },
    },
    `aud.outcome.${incident}.kill`,
  ],
  state: [{ ...base, incident, fact: 'state', from: null, to: 'working', summary: 'x' }, `aud.state.${incident}`],
  note: [{ ...base, by: 'operator', incident, fact: 'note', person: 'ana', text: 'looking' }, `aud.note.${incident}`],
  problem: [{ ...base, incident, fact: 'problem', problem, status: 'open' }, `aud.problem.${problemKey(problem)}`],
  config: [{ ...base, fact: 'config', accepted: false, config: '0123456789ab', file: '/x', problems: ['x'] }, 'aud.config.lab'],
  deadletters: [{ ...base, fact: 'deadletters', reason: 'not-json', host: null, count: 12 }, 'aud.deadletters.lab'],
  stack: [{ ...base, by: 'stack', fact: 'stack', role: 'engine', change: 'restarted', summary: 'x' }, 'aud.stack.lab'],
};
const each = Object.entries(RECORDS) as [AuditFact, [AuditRecord, string]][];

describe.each(each)('an audit record of %s', (_, [record, subject]) => {
  test('means after the journey what it meant before', () => expect(auditRecord.parse(JSON.parse(JSON.stringify(record)))).toEqual(record));
  test('has one place', () => expect(auditSubject(record, problemKey)).toBe(subject));
  test('takes no field that nobody has described', () => expect(auditRecord.safeParse({ ...record, extra: 1 }).success).toBe(false));
});

test('the filters of an incident find its records and no other', () => {
  const matches = (filter: string, subject: string): boolean => {
    const [f, s] = [filter.split('.'), subject.split('.')];
    return f.length === s.length && f.every((part, i) => part === '*' || part === s[i]);
  };
  const found = (subject: string): boolean => auditOfIncident(incident).some((filter) => matches(filter, subject));
  for (const [fact, [record, subject]] of each) expect(found(subject), fact).toBe('incident' in record && fact !== 'problem');
  expect(found(`aud.opened.${incidentId(problem, 'another event')}`)).toBe(false);
});

test('a step or an incident out of foreign text never reaches a subject', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 70 }).filter((text) => !isToken(text)),
      (text) => {
        expect(() => auditSubject({ ...RECORDS.intent[0], step: text }, problemKey)).toThrow(RangeError);
        expect(() => auditSubject({ ...RECORDS.opened[0], incident: text }, problemKey)).toThrow(RangeError);
        expect(() => auditOfIncident(text)).toThrow(RangeError);
        expect(auditRecord.safeParse({ ...RECORDS.intent[0], step: text }).success).toBe(false);
      },
    ),
    { numRuns: 500 },
  );
});

describe('incident ids', () => {
  test('have one shape, are tokens, and are short enough to say on the telephone', () => {
    fc.assert(
      fc.property(fc.string(), fc.string(), (a, b) => {
        const id = incidentId(a, b);
        expect(id).toMatch(/^i-[0-9a-hjkmnp-tv-z]{10}$/);
        expect(isIncidentId(id)).toBe(true);
        expect(isToken(id)).toBe(true);
      }),
    );
  });

  test('are the same for the same problem and event, and others for another event', () => {
    expect(incidentId(problem, 'event-one')).toBe(incidentId(problem, 'event-one'));
    expect(incidentId(problem, 'event-two')).not.toBe(incidentId(problem, 'event-one'));
    expect(incidentId('a\nb', 'c')).not.toBe(incidentId('a', 'b'));
  });

  test('do not collide: fifty bits over a hundred thousand events', () => {
    expect(new Set(Array.from({ length: 100_000 }, (_, i) => incidentId(problem, `e${i}`))).size).toBe(100_000);
  });

  test.each(['i-0123456789a', 'i-012345678', 'i-012345678l', 'I-0123456789', 'i-0123456789\n', 'x', ''])('%j is none', (text) =>
    expect(isIncidentId(text)).toBe(false),
  );
});

test('problems of hosts and of domains cannot be taken for each other', () => {
  expect(domainProblemId('lab', 'rack-1')).not.toBe(problemId('lab', 'rack-1', 'watch-domain', ''));
  expect(problemKey(problem)).toMatch(/^[0-9a-f]{16}$/);
  expect([...ENDED].every((state) => INCIDENT_STATES.includes(state))).toBe(true);
});
