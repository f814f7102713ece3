import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openAuditLog, type AuditLog } from '../../activities/audit-log.js';
import { jetstream, type NatsConnection } from '../../activities/nats.js';
import type { AuditRecord } from '../../events/audit.js';
import { deadLetterSubject } from '../../events/subjects.js';
import { displayWidth } from '../../operator/width.js';
import { until } from '../until.js';
import { base, INCIDENT, story } from './records.js';
import { cli, startCli } from './run-cli.js';
import { cliStack, type CliStack } from './stack-for-cli.js';

let stack: CliStack;
let engine: NatsConnection;
let audit: AuditLog;
const OPEN = 'i-5555555555';

beforeAll(async () => {
  stack = await cliStack();
  engine = await stack.as('engine');
  audit = await openAuditLog(engine);
  // The effector's part too: the engine may write all of aud, and the command line does not care who did.
  for (const record of story()) await audit.append(record);
  const problem = 'lab/dauntless/205/numproc/relieve-container';
  const target = { host: 'dauntless', container: '205', resource: 'numproc' };
  const open = story(OPEN)
    .slice(0, 6)
    .map((record): AuditRecord => ('problem' in record ? ({ ...record, problem, ...(record.fact === 'opened' ? { target } : {}) } as AuditRecord) : record));
  for (const record of open) await audit.append(record);
});
afterAll(async () => {
  await engine.close();
  await stack.close();
});

const withDir = (...args: string[]): string[] => [...args, '--dir', stack.dir];
const json = async (...args: string[]): Promise<unknown> => {
  const { code, out, err } = await cli(withDir(...args, '--json'));
  if (code !== 0) throw new Error(`exit ${code}: ${err}`);
  return JSON.parse(out);
};
const failure = (err: string): { code: string; message: string; hint?: string } =>
  (JSON.parse(err) as { error: { code: string; message: string; hint?: string } }).error;

describe('the command line', () => {
  test('finds the stack wherever --dir stands, or by NIGHTSHIFT_DIR', async () => {
    const wanted = await cli(['incident', 'ls', '--json', '--all', '--dir', stack.dir]);
    expect(wanted.code).toBe(0);
    for (const args of [
      ['--dir', stack.dir, 'incident', 'ls', '--json', '--all'],
      ['incident', '--dir', stack.dir, 'ls', '--all', '--json'],
      ['incident', 'ls', `--dir=${stack.dir}`, '--all', '--json'],
    ]) {
      expect(await cli(args)).toEqual(wanted);
    }
    expect(await cli(['incident', 'ls', '--json', '--all'], { env: { NIGHTSHIFT_DIR: stack.dir } })).toEqual(wanted);
    expect((await cli(withDir('incident', 'ls'), { env: { NIGHTSHIFT_DIR: '/nowhere' } })).code).toBe(0);
  });

  test('says where no stack runs, with the cure, as exit code 5', async () => {
    const { code, out, err } = await cli(['incident', 'ls', '--dir', '/nowhere']);
    expect({ code, out }).toEqual({ code: 5, out: '' });
    expect(err).toMatch(/no stack is running below \/nowhere\n.*npm start/);
    expect(failure((await cli(['doctor', '--json', '--dir', '/nowhere'])).err).code).toBe('no_stack');
  });

  test.each([
    [['frobnicate']],
    [['incident']],
    [['incident', 'show']],
    [['incident', 'ls', '--since', 'yesterday']],
    [['incident', 'close', INCIDENT]],
    [['dlq', 'replay']],
    [['dlq', 'ls', '--reason', 'x']],
    [['event', 'publish']],
  ])('wrong usage is exit code 2: %j', async (args) => {
    const [forPeople, asJson] = await Promise.all([cli(withDir(...args)), cli(withDir(...args, '--json'))]);
    expect(forPeople.code).toBe(2);
    expect(asJson.code).toBe(2);
    expect(asJson.out).toBe('');
    expect(failure(asJson.err)).toMatchObject({ code: 'usage', message: expect.stringMatching(/./) });
  });
});

describe('incidents', () => {
  test('are listed newest first, as objects with an id', async () => {
    expect(await json('incident', 'ls', '--all')).toEqual([
      expect.objectContaining({ id: OPEN, state: 'working', effects: 0, endedAt: null }),
      expect.objectContaining({ id: INCIDENT, state: 'resolved', effects: 2, events: 8, problem: 'lab/dauntless/204/tcpsndbuf/relieve-container' }),
    ]);
    expect(await json('incident', 'ls', '--open')).toEqual([expect.objectContaining({ id: OPEN })]);
    expect(await json('incident', 'ls', '--host', 'falco')).toEqual([]);
  });

  test('one that is open is listed however old it is', async () => {
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await json('incident', 'ls', '--since', '1ms')).toEqual([expect.objectContaining({ id: OPEN })]);
  });

  test('are shown with their timeline, by id, prefix or @latest', async () => {
    const { code, out } = await cli(withDir('incident', 'show', INCIDENT, '--utc'));
    expect(code).toBe(0);
    expect(out).toMatch(/^i-4c8f2k0m9x {2}resolved\n/);
    expect(out).toContain('\n19:29:09 killed   31 of 34 httpd from the host, 4 s; left: init, sshd, 1 cron\n');
    // eslint-disable-next-line no-control-regex
    expect(out).not.toMatch(/[\x00-\x09\x0b-\x1f\u202e]/);
    expect((await cli(withDir('incident', 'show', '4c8f', '--utc'))).out).toBe(out);
    expect(await json('incident', 'show', '@latest')).toMatchObject({ id: OPEN });
    expect(await json('incident', 'show', INCIDENT)).toMatchObject({
      id: INCIDENT,
      timeline: expect.arrayContaining([expect.objectContaining({ verb: 'killed', fact: 'outcome', seq: expect.any(Number), id: expect.any(String) })]),
    });
  });

  test('that are not there are exit code 5, an ambiguous prefix 2', async () => {
    const { code, err } = await cli(withDir('incident', 'show', 'i-zzzzzzzzzz', '--json'));
    expect(code).toBe(5);
    expect(failure(err)).toMatchObject({ code: 'not_found', hint: expect.stringContaining('incident ls') });
    expect((await cli(withDir('incident', 'show', 'i-'))).code).toBe(2);
  });

  test('a watch of one that has ended tells it all and is done', async () => {
    const { code, out } = await cli(withDir('incident', 'watch', INCIDENT, '--json'));
    expect(code).toBe(0);
    const lines = out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { verb: string; incident: string });
    expect(lines.at(0)).toMatchObject({ verb: 'seen', incident: INCIDENT });
    expect(lines.at(-1)).toMatchObject({ verb: 'resolved' });
  });

  test('a watch ends with the incident, also across a kill -9 of NATS', async () => {
    const id = 'i-7777777777';
    const [opened, ...rest] = story(id);
    const watching = startCli(withDir('incident', 'watch', '--utc', '--timeout', '60s'));
    await until(() => watching.soFar().out !== '', { what: 'the open incident' });
    watching.child.kill('SIGINT');
    expect((await watching.ended).code).toBe(130);

    if (opened === undefined) throw new Error('a story has an opening');
    await audit.append(opened);
    const one = startCli(withDir('incident', 'watch', id, '--utc', '--timeout', '60s'));
    await until(() => one.soFar().out.includes('opened'), { what: 'the opening on the screen' });
    await stack.nats.killAndStartAgain();
    await stack.write();
    const again = await until(() => audit.append(rest[3] as AuditRecord).catch(() => null), { timeoutMs: 20_000, what: 'the audit after the restart' });
    expect(again.duplicate).toBe(false);
    for (const record of rest.slice(4)) await audit.append(record);
    const { code, out } = await one.ended;
    expect(code).toBe(0);
    expect(out.match(/resolved/g)).toHaveLength(1);
    expect(out).toContain('19:29:05 looked   34 processes');
  });

  test('a watch that runs out of time is exit code 8', async () => {
    expect(await cli(withDir('incident', 'watch', OPEN, '--timeout', '400ms'))).toMatchObject({ code: 8, err: expect.stringContaining('has not ended') });
  });

  test('an ended one cannot be closed: exit code 6', async () => {
    const { code, err } = await cli(withDir('incident', 'close', INCIDENT, '-m', 'late', '--json'));
    expect({ code, error: failure(err).code }).toEqual({ code: 6, error: 'already_ended' });
  });

  test('closing an open one without Temporal fails and says what is down; a note goes through all the same', async () => {
    const close = await cli(withDir('incident', 'close', OPEN, '-m', 'why', '--json', '--timeout', '2s'));
    expect({ code: close.code, error: failure(close.err).code }).toEqual({ code: 1, error: 'temporal_unavailable' });
    const note = await cli(withDir('incident', 'note', OPEN, 'seen', 'by', 'hand', '--as', 'ana', '--timeout', '2s'));
    expect(note).toMatchObject({ code: 0, err: expect.stringContaining('straight to the audit') });
    expect((await cli(withDir('incident', 'show', OPEN))).out).toMatch(/noted {4}ana: seen by hand\n$/);
  });

  test('a note after the end stands in the timeline', async () => {
    expect((await cli(withDir('incident', 'note', INCIDENT, 'told the customer', '--as', 'bo'))).code).toBe(0);
    expect((await cli(withDir('incident', 'show', INCIDENT))).out).toMatch(/noted {4}bo: told the customer\n$/);
    expect((await cli(withDir('incident', 'note', INCIDENT, 'x', '--as', '\x1b[2J'))).code).toBe(2);
  });
});

describe('events', () => {
  const spike = {
    type: 'container.failcnt_spike',
    data: { host: 'dauntless', container: '204', resource: 'tcpsndbuf', delta: 412, intervalSeconds: 1, held: 1, barrier: 2, limit: 3 },
  };

  test('are built, checked, published and tailed', async () => {
    const built = await json(
      'event',
      'publish',
      '--kind',
      'host.load_slope',
      '--host',
      'dauntless',
      '--data',
      '{"load1":9,"load1Before":1,"intervalSeconds":30,"cores":2}',
    );
    expect(built).toEqual({ id: expect.any(String), subject: 'evt.lab.dauntless.host', seq: expect.any(Number), duplicate: false });
    const { code, out } = await cli(withDir('event', 'tail', '--host', 'dauntless', '--json'));
    expect(code).toBe(0);
    const last = JSON.parse(out.trimEnd().split('\n').at(-1) ?? '') as unknown;
    expect(last).toMatchObject({
      id: String((built as { seq: number }).seq),
      subject: 'evt.lab.dauntless.host',
      event: { type: 'host.load_slope', source: '/lab/dauntless', data: { load1: 9 } },
    });
  });

  test('from stdin, the same id is stored once, and it says so', async () => {
    const event = JSON.stringify({ ...spike, id: 'twice-the-same' });
    const first = await cli(withDir('event', 'publish', '-', '--json'), { input: event });
    expect(JSON.parse(first.out)).toMatchObject({ id: 'twice-the-same', duplicate: false });
    expect(JSON.parse((await cli(withDir('event', 'publish', '-', '--json'), { input: event })).out)).toMatchObject({ duplicate: true });
  });

  test.each([
    [{ ...spike, data: { ...spike.data, delta: -1 } }, 'data.delta'],
    [{ ...spike, type: 'container.exploded' }, 'type'],
    [{ ...spike, source: '/lab/falco' }, 'source'],
    [{ ...spike, source: '/fra1/dauntless' }, 'source'],
    [{ ...spike, data: { ...spike.data, host: 'Dauntless.*' } }, 'data.host'],
    [{ ...spike, extra: 1 }, 'extra'],
    [[], 'event'],
  ])('that are not events are refused with the path of what is wrong: %j', async (draft, path) => {
    const { code, err } = await cli(withDir('event', 'publish', '-', '--json'), { input: JSON.stringify(draft) });
    expect(code).toBe(2);
    expect(failure(err)).toMatchObject({ code: 'invalid_event', message: expect.stringContaining(path) });
  });

  test('raw bytes go out as they are, for tests, and only below evt', async () => {
    const bytes = new Uint8Array([0xff, 0x00, 0x1b, 0x5b]);
    const sent = await cli(withDir('event', 'publish', '-', '--raw', '--subject', 'evt.lab.dauntless.host', '--json'), { input: bytes });
    const { seq } = JSON.parse(sent.out) as { seq: number };
    const lines = (await cli(withDir('event', 'tail', '--json'))).out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { seq: number; event: unknown; problem?: string });
    expect(lines.find((line) => line.seq === seq)).toMatchObject({ event: null, problem: expect.any(String) });
    expect((await cli(withDir('event', 'publish', '-', '--raw', '--subject', 'aud.opened.x'), { input: bytes })).code).toBe(2);
  });

  test('a following tail prints what comes, and --timeout ends it', async () => {
    const tail = startCli(withDir('event', 'tail', '--follow', '--since', '1ms', '--timeout', '30s'));
    const id = 'while-following';
    await until(
      async () => {
        await cli(withDir('event', 'publish', '-'), { input: JSON.stringify({ ...spike, id: `${id}-${Date.now()}` }) });
        return tail.soFar().out.includes('container.failcnt_spike');
      },
      { timeoutMs: 20_000, what: 'an event in the tail' },
    );
    tail.child.kill('SIGINT');
    expect((await tail.ended).code).toBe(130);
    expect((await cli(withDir('event', 'tail', '--follow', '--timeout', '300ms'))).code).toBe(0);
  });
});

describe('dead letters', () => {
  const letter = async (reason: string, payload: string | Uint8Array, detail = 'what is wrong'): Promise<string> => {
    const subject = 'evt.lab.dauntless.host';
    const body = { v: 1, at: new Date().toISOString(), reason, detail, subject, seq: 7, payload: Buffer.from(payload).toString('base64') };
    const ack = await jetstream(engine).publish(deadLetterSubject(reason, 'lab', 'dauntless'), JSON.stringify(body));
    return String(ack.seq);
  };
  const good = (id: string): string =>
    JSON.stringify({
      specversion: '1.0',
      id,
      source: '/lab/dauntless',
      type: 'host.load_slope',
      time: new Date().toISOString(),
      data: { host: 'dauntless', load1: 9, load1Before: 1, intervalSeconds: 30, cores: 2 },
    });

  test('are listed, newest first, by reason', async () => {
    const first = await letter('not-json', '{');
    const second = await letter('bad-schema', '{}', 'data: is missing \x1b[2J');
    expect(await json('dlq', 'ls')).toEqual([
      expect.objectContaining({ id: second, reason: 'bad-schema', bytes: 2 }),
      expect.objectContaining({ id: first, reason: 'not-json' }),
    ]);
    expect(await json('dlq', 'ls', '--reason', 'not-json')).toEqual([expect.objectContaining({ id: first })]);
    const { out } = await cli(withDir('dlq', 'ls'));
    expect(out).toContain('data: is missing \\x1b[2J');
    expect(out).not.toContain('\x1b');
  });

  test('are shown with what came, inert', async () => {
    const id = await letter('not-json', '\x1b]0;owned\x07\u202e{');
    const { code, out } = await cli(withDir('dlq', 'show', id));
    expect(code).toBe(0);
    expect(out).toContain('\\x1b]0;owned\\x07\\u{202e}{');
    expect(out).toContain('would be refused again');
    expect(await json('dlq', 'show', id)).toMatchObject({ id, reason: 'not-json', payload: expect.any(String), stillWrong: expect.any(String) });
    expect((await cli(withDir('dlq', 'show', '999999'))).code).toBe(5);
    expect((await cli(withDir('dlq', 'show', 'x'))).code).toBe(2);
  });

  test('are published again when they would be accepted today, under a new message id', async () => {
    const id = await letter('unknown-host', good('was-unknown-then'));
    const twice = [await json('dlq', 'replay', id), await json('dlq', 'replay', id)] as {
      replayed: { id: string; subject: string; seq: number }[];
      refused: unknown[];
    }[];
    expect(twice.map(({ replayed }) => replayed)).toEqual([
      [{ id, subject: 'evt.lab.dauntless.host', seq: expect.any(Number) }],
      [{ id, subject: 'evt.lab.dauntless.host', seq: expect.any(Number) }],
    ]);
    expect(twice[0]?.replayed[0]?.seq).not.toBe(twice[1]?.replayed[0]?.seq);
  });

  test('what would be refused again is not, without --force: exit code 7', async () => {
    const bad = await letter('handling-failed', '{"nope"');
    await letter('handling-failed', good('was-handled-badly'));
    const all = await cli(withDir('dlq', 'replay', '--all', '--reason', 'handling-failed', '--json'));
    expect(all.code).toBe(7);
    expect(JSON.parse(all.out)).toMatchObject({ replayed: [expect.any(Object)], refused: [{ id: bad }] });
    expect((await cli(withDir('dlq', 'replay', bad, '--force'))).code).toBe(0);
  });
});

describe('the configuration', () => {
  test('is validated with the place of each problem, as exit code 2', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'nightshift-config-'));
    const file = join(dir, 'nightshift.yaml');
    await writeFile(file, 'version: 1\nsite: lab\nfleet:\n  hots: {}\nrules: []\n');
    const { code, out, err } = await cli(['config', 'validate', file]);
    expect(code).toBe(2);
    expect(out).toContain(`${file}:4:3 `);
    expect(err).toMatch(/\d problems?/);
    const asJson = await cli(['config', 'validate', file, '--json']);
    expect(JSON.parse(asJson.out)).toMatchObject({ valid: false, problems: expect.arrayContaining([expect.objectContaining({ line: 4, col: 3 })]) });
    expect((await cli(['config', 'validate', join(dir, 'none.yaml')])).code).toBe(2);
    await rm(dir, { recursive: true });
    expect(await json('config', 'validate')).toMatchObject({ valid: true, hosts: 1 });
  });

  test('has a schema', async () => {
    expect(JSON.parse((await cli(['config', 'schema'])).out)).toMatchObject({ $schema: expect.stringContaining('draft-07') });
  });

  test('is reloaded by both who hold it; a refusal is exit code 2, silence 1', async () => {
    const silent = await cli(withDir('config', 'reload'));
    expect(silent).toMatchObject({ code: 1, out: expect.stringContaining('effector: no answer') });

    const effector = await stack.as('effector');
    let accepted = true;
    for (const [nc, holder] of [
      [engine, 'engine'],
      [effector, 'effector'],
    ] as const) {
      nc.subscribe(`ctl.lab.reload.${holder}`, {
        callback: (_error, message) =>
          void message.respond(JSON.stringify({ accepted, version: 'abc', problems: accepted ? [] : ['n.yaml:4:3 fleet.hots: unknown key'] })),
      });
      await nc.flush();
    }
    expect(await json('config', 'reload')).toEqual({
      effector: { accepted: true, version: 'abc', problems: [] },
      engine: { accepted: true, version: 'abc', problems: [] },
    });
    accepted = false;
    const refused = await cli(withDir('config', 'reload'));
    expect(refused).toMatchObject({
      code: 2,
      out: expect.stringContaining('n.yaml:4:3 fleet.hots: unknown key'),
      err: expect.stringContaining('stays in force'),
    });
    expect(refused.out).toContain('engine: not asked');
    await effector.close();
  });
});

describe('the doctor', () => {
  test('names what is down, and everything else beside it', async () => {
    const { code, out } = await cli(withDir('doctor', '--json', '--timeout', '2s'));
    expect(code).toBe(1);
    const findings = JSON.parse(out) as { id: string; level: string; message: string }[];
    const level = Object.fromEntries(findings.map((finding) => [finding.id, finding.level]));
    expect(level).toMatchObject({
      node: 'ok',
      'process.nats': 'ok',
      nats: 'ok',
      'stream.EVT': 'ok',
      'stream.AUDIT': 'ok',
      'stream.DLQ': 'ok',
      'stream.ADV': 'ok',
      lag: 'ok',
      clock: 'ok',
      temporal: 'error',
      config: 'ok',
      'config.same': 'warning',
      owners: 'warning',
      paging: 'warning',
    });
  });

  test('tells a process from another that got its pid', async () => {
    await stack.write((s) => ({ ...s, processes: s.processes.map((p) => (p.role === 'nats' ? { ...p, startTicks: 1 } : p)) }));
    const { out } = await cli(withDir('doctor', '--timeout', '1s'));
    await stack.write();
    expect(out).toMatch(/ERROR +nats: process \d+ is gone/);
  });
});

describe('rights', () => {
  test('credentials that NATS does not know are exit code 4', async () => {
    const other = await cliStack();
    await stack.write((s) => ({
      ...s,
      processes: s.processes.map((p) => (p.role === 'operator' ? { ...p, credentials: other.identities.credentials.operator } : p)),
    }));
    const { code, err } = await cli(withDir('incident', 'ls', '--json', '--timeout', '1s'));
    await stack.write();
    await other.close();
    expect({ code, error: failure(err).code }).toEqual({ code: 4, error: 'forbidden' });
  });

  test('a NATS that is down is exit code 1 within the time given', async () => {
    await stack.write((s) => ({ ...s, processes: s.processes.map((p) => (p.role === 'nats' ? { ...p, ports: { client: 1 } } : p)) }));
    const began = Date.now();
    const { code, err } = await cli(withDir('incident', 'ls', '--json', '--timeout', '1s'));
    await stack.write();
    expect({ code, error: failure(err).code }).toEqual({ code: 1, error: 'nats_unavailable' });
    expect(Date.now() - began).toBeLessThan(8_000);
  });
});

test('a record written with another version of the stack does not end the telling', async () => {
  const { incident: _, ...site } = base('10:00:00');
  await audit.append({ ...site, fact: 'stack', role: 'engine', change: 'restarted', summary: 'again' });
  expect((await cli(withDir('incident', 'ls'))).code).toBe(0);
});

describe('on a terminal of 80 columns', () => {
  // The one thing that is pretended: everything behind it asks isTTY and columns.
  const terminal = {
    NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent('Object.assign(process.stdout,{isTTY:true,columns:80})')}`,
    TERM: 'xterm',
  };

  test.each([
    ['incident', 'show', INCIDENT],
    ['incident', 'ls', '--all'],
    ['event', 'tail'],
    ['dlq', 'ls'],
    ['doctor', '--timeout', '1s'],
    ['incident', '--help'],
    ['drill', 'ls'],
  ])('lines fit: %s %s', async (...args) => {
    const { out } = await cli(withDir(...args), { env: terminal });
    expect(out).not.toBe('');
    for (const line of stripVTControlCharacters(out).split('\n')) expect(`${displayWidth(line)} ${line}`).toMatch(/^([0-9]|[1-7][0-9]|80) /);
  });

  test('there is colour, unless somebody says no', async () => {
    const show = withDir('incident', 'show', INCIDENT);
    expect((await cli(show, { env: terminal })).out).toContain('\x1b[32mresolved\x1b[0m');
    for (const [args, env] of [
      [['--no-color'], {}],
      [[], { NO_COLOR: '1' }],
      [[], { TERM: 'dumb' }],
    ] as const)
      expect((await cli([...show, ...args], { env: { ...terminal, ...env } })).out).not.toContain('\x1b');
  });
});

test('into a pipe nothing is wrapped, and a reader that goes away is no failure', async () => {
  const { out } = await cli(withDir('incident', 'show', INCIDENT, '--utc'));
  expect(out).toContain('19:29:03 seen     container 204 on dauntless: tcpsndbuf failcnt +412 in 1 s (held 4.0 MB of 4.0 MB), load 3.1 rising\n');
  const { child, ended } = startCli(withDir('event', 'tail', '--follow', '--since', '1h'));
  child.stdout?.destroy();
  const { code } = await ended;
  expect(code).toBe(0);
});
