import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { NotAnAnswer, parseAnswer } from '../../activities/far-side/answer.js';
import { encodeRequest, type FarSideRequest } from '../../activities/far-side/request.js';

const kill: FarSideRequest = {
  verb: 'ensure-enterable',
  op: 'i-1.kill',
  target: { engine: 'openvz', container: '204' },
  incarnation: '12.ab',
  limitMs: 60_000,
  enterMs: 1000,
  maxKills: 3,
  runaways: ['httpd'],
  protect: ['keeper'],
  candidates: [{ pid: 5, startTicks: 6 }],
};

describe('a request to a host', () => {
  test('is lines that begin and end', () => {
    expect(encodeRequest(kill, { withinMs: 999.9, notAfterCs: 1234.5 })).toBe(`nightshift 1
verb ensure-enterable
engine openvz
container 204
op i-1.kill
incarnation 12.ab
limit-ms 60000
begin-within-ms 999
not-after-cs 1234
enter-ms 1000
max-kills 3
runaway httpd
protect keeper
candidate 5:6
end
`);
  });

  test('is not made without a time by which an effect must have begun', () => {
    expect(() => encodeRequest(kill, null)).toThrow(TypeError);
  });

  test('carries no value with a newline, a blank, a shell character or a leading dash, whatever the field', () => {
    const bad = fc.oneof(
      fc.string().filter((s) => /[^A-Za-z0-9._:@/+-]/.test(s) || s === '' || s.startsWith('-')),
      fc.constantFrom('-oProxyCommand=x', 'a\nend', '$(x)', '`x`', 'a b', '*', '../x'),
    );
    fc.assert(
      fc.property(bad, (value) => {
        const beginBy = { withinMs: 1000, notAfterCs: 1000 };
        for (const request of [
          { ...kill, op: value },
          { ...kill, incarnation: value },
          { ...kill, runaways: [value] },
          { ...kill, protect: [value] },
          { ...kill, target: { engine: 'openvz', container: value } },
          { ...kill, target: { engine: 'cgroup', cgroup: value } },
          { verb: 'counters', cgroups: [value] },
          { verb: 'seal', op: value, waitMs: 0 },
          { verb: 'ensure-service', op: 'a', target: kill.target, incarnation: '1', limitMs: 1, service: value, runaways: [] },
          { verb: 'ensure-limit', op: 'a', target: kill.target, incarnation: '1', limitMs: 1, resource: value, barrier: 1, limit: 1, save: false },
        ] as FarSideRequest[])
          expect(() => encodeRequest(request, beginBy)).toThrow();
      }),
    );
  });
});

describe('an answer of a host', () => {
  test('is taken as far as it came, and says whether it is whole', () => {
    const text =
      'nightshift 1\nclock 100 18d4a313-897c-4c11-9d6e-7b968f610dca\nload 1.25\nprocess 5 6 1 33 S 1.50 0.25 100 httpd\nprocess 7 8 1 33 R 1.00 0.00 50 sh\npart processes ok\nargs 5 httpd -k start\nresult done read\nend\n';
    const whole = parseAnswer(text);
    expect(whole).toMatchObject({ whole: true, uptimeCs: 100, load1: 1.25, result: { word: 'done', reason: 'read' } });
    expect(whole.processes).toEqual([
      { pid: 5, startTicks: 6, ppid: 1, uid: 33, state: 'S', ageSeconds: 1.5, cpuSeconds: 0.25, rssKb: 100, comm: 'httpd', args: 'httpd -k start' },
      { pid: 7, startTicks: 8, ppid: 1, uid: 33, state: 'R', ageSeconds: 1, cpuSeconds: 0, rssKb: 50, comm: 'sh', args: '' },
    ]);
    for (let cut = 0; cut < text.length; cut++) expect(parseAnswer(text.slice(0, cut)).whole).toBe(false);
    expect(parseAnswer(text.slice(0, text.indexOf('part'))).processes).toBeNull();
  });

  test('what command lines look like reaches nothing but the command line', () => {
    const answer = parseAnswer(
      'nightshift 1\nclock 1 -\nprocess 5 6 1 0 S 1 1 1 x\npart processes ok\nargs 5 a?result done changed?end; $(touch x) -oProxyCommand=y\nresult done read\nend\n',
    );
    expect(answer.processes?.[0]?.args).toBe('a?result done changed?end; $(touch x) -oProxyCommand=y');
    expect(answer.result?.reason).toBe('read');
  });

  test('raw files keep their lines, whatever stands in them', () => {
    const answer = parseAnswer(
      'nightshift 1\nclock 1 -\nfile loadavg\n| 0.1 0.2\nfile x/y missing\nfile z\n| end\n| result done changed\n| \nfile empty\nresult done read\nend\n',
    );
    expect(Object.fromEntries(answer.files)).toEqual({ loadavg: '0.1 0.2\n', 'x/y': null, z: 'end\nresult done changed\n\n', empty: '' });
  });

  test.each([
    ['a banner', 'Welcome\nnightshift 1\n'],
    ['another version', 'nightshift 2\n'],
    ['an unknown line', 'nightshift 1\nhello there\n'],
    ['a number that is none', 'nightshift 1\nclock x -\n'],
    ['a result from nowhere', 'nightshift 1\nresult perhaps so\n'],
    ['an end without result', 'nightshift 1\nend\n'],
    ['more after the end', 'nightshift 1\nresult done read\nend\nload 1\n'],
    ['a process with too few words', 'nightshift 1\nprocess 5 6\n'],
    ['a line of a file outside one', 'nightshift 1\n| x\n'],
  ])('%s is no answer', (_what, text) => {
    expect(() => parseAnswer(text)).toThrow(NotAnAnswer);
  });

  test('any text is an answer or none, never a crash', () => {
    const words = fc.constantFrom(
      'clock',
      'load',
      'process',
      'args',
      'counter',
      'killed',
      'file',
      'x',
      '| y',
      'result',
      'end',
      'op',
      'done',
      '1',
      '-',
      '1:2:httpd:TERM',
      '9'.repeat(30),
      '\n',
      ' ',
      '\0',
      '__proto__',
    );
    fc.assert(
      fc.property(fc.array(words, { maxLength: 40 }), (parts) => {
        try {
          parseAnswer(`nightshift 1\n${parts.join(' ')}\n`);
        } catch (error) {
          expect(error).toBeInstanceOf(NotAnAnswer);
        }
      }),
    );
  });
});
