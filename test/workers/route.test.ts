import { describe, expect, test } from 'vitest';
import { domainProblemId, problemId } from '../../events/incident.js';
import { acceptEvent, type Accepted } from '../../workers/engine/accept.js';
import { incidentKnobs } from '../../workers/engine/knobs.js';
import { createOpenProblems, readProblem, type OpenProblem } from '../../workers/engine/open-problems.js';
import { domainSizes, route } from '../../workers/engine/route.js';
import { fleet, quiet, slope, spike } from './events.js';

const config = fleet(6, { perRack: 3 });
const take = (body: Record<string, unknown>, cls = 'container'): Accepted => {
  const host = (body['data'] as { host: string }).host;
  const verdict = acceptEvent(
    { subject: `evt.lab.${host}.${cls}`, payload: Buffer.from(JSON.stringify(body)), seq: 1, receivedAtMs: Date.now() },
    { site: 'lab', hasHost: () => true, eventMaxAgeMs: 60_000 },
    Date.now(),
  );
  if ('deadLetter' in verdict) throw new Error(verdict.detail);
  return verdict.ok;
};
const open = (host: string, aspect = '204/tcpsndbuf'): OpenProblem => {
  const problem = problemId('lab', host, aspect, 'relieve-container');
  return { problem, incident: 'i-0123456789', workflow: problem, host, aspect, domain: null };
};

describe('where an event goes', () => {
  test('a spike that the rule wants opens its problem', () => {
    expect(route(take(spike('h000')), config, [])).toMatchObject({
      signals: [],
      opens: { problem: open('h000').problem, rule: 'spikes', config: config.version, target: { host: 'h000', container: '204', resource: 'tcpsndbuf' } },
      domains: ['rack-0', 'site:lab'],
      failing: true,
      recovering: false,
    });
  });
  test('a spike of an open problem is told to it and opens nothing', () => {
    expect(route(take(spike('h000')), config, [open('h000')])).toMatchObject({ signals: [open('h000').problem], opens: null });
  });
  test('a spike that the rule does not want opens nothing, yet its host fails', () => {
    expect(route(take(spike('h000', { delta: 1 })), config, [])).toMatchObject({ signals: [], opens: null, failing: true });
  });
  test('another container of the same host is another problem', () => {
    expect(route(take(spike('h000', { container: '205' })), config, [open('h000')])).toMatchObject({
      signals: [],
      opens: { problem: problemId('lab', 'h000', '205/tcpsndbuf', 'relieve-container') },
    });
  });
  test('the quiet finds what the spike has opened', () => {
    expect(route(take(quiet('h000')), config, [open('h000'), open('h000', '205/tcpsndbuf')])).toMatchObject({
      signals: [open('h000').problem],
      opens: null,
      recovering: true,
    });
  });
  test('the load of a host is told to all that is open there', () => {
    expect(route(take(slope('h000'), 'host'), config, [open('h000'), open('h000', '205/tcpsndbuf')]).signals).toHaveLength(2);
  });
  test('one that is told to a workflow twice over is told once', () => {
    const both = [open('h000'), { ...open('h000', '205/tcpsndbuf'), workflow: open('h000').workflow }];
    expect(route(take(slope('h000'), 'host'), config, both).signals).toHaveLength(1);
  });
});

test('a problem is read back into what it was made of', () => {
  expect(readProblem(problemId('lab', 'h1', '204/tcpsndbuf', 'relieve-container'))).toEqual({
    site: 'lab',
    host: 'h1',
    domain: null,
    aspect: '204/tcpsndbuf',
    playbook: 'relieve-container',
  });
  expect(readProblem(domainProblemId('lab', 'rack-1'))).toMatchObject({ host: null, domain: 'rack-1', aspect: '' });
  expect(readProblem(domainProblemId('lab', 'site:lab'))).toMatchObject({ host: null, domain: 'site:lab' });
  expect(readProblem('nonsense')).toBeNull();
});

test('what is open is found by problem, host and incident, and gone when it is removed', () => {
  const all = createOpenProblems();
  all.add(open('h1'));
  all.add({ ...open('h1'), incident: 'i-1111111111' });
  all.add({ problem: domainProblemId('lab', 'rack-0'), incident: 'i-1111111111', workflow: open('h1').problem, host: null, aspect: '', domain: 'rack-0' });
  expect(all.ofHost('h1')).toHaveLength(1);
  expect(all.ofIncident('i-1111111111')).toHaveLength(2);
  all.remove(open('h1').problem);
  expect([all.ofHost('h1').length, all.size, all.get(open('h1').problem)]).toEqual([0, 1, undefined]);
});

test('sizes of domains and the figures of an incident come from the inventory', () => {
  expect(Object.fromEntries(domainSizes(config.config))).toEqual({ 'site:lab': 6, 'rack-0': 3, 'rack-1': 3 });
  expect(incidentKnobs(config.config, { host: 'h000', container: '204', resource: 'tcpsndbuf' })).toMatchObject({
    service: 'httpd',
    runaways: ['httpd'],
    ceiling: { limit: 8_000_000 },
    verifyForMs: 120_000,
  });
  expect(incidentKnobs(config.config, { host: 'h000', container: '999', resource: 'tcpsndbuf' })).toMatchObject({ service: null, runaways: [], ceiling: null });
  expect(incidentKnobs(config.config, { host: 'h000', container: '204', resource: 'numproc' }).ceiling).toBeNull();
});
