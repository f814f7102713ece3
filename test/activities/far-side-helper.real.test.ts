import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { until } from '../until.js';
import { lines, managedHost, SHELLS, type ManagedHost, type Shell } from './fixtures/managed-host.js';
import { mustSkipWithout } from './fixtures/needs.js';

const FAR = 99_999_999_999;
const soon = ['begin-within-ms 20000', `not-after-cs ${FAR}`, 'limit-ms 20000'];

describe.each(Object.keys(SHELLS) as Shell[])('the far-side helper under %s', (shell) => {
  describe.skipIf(mustSkipWithout(SHELLS[shell][0]))('on a host', () => {
    let host: ManagedHost;
    beforeEach(async () => {
      host = await managedHost(shell);
    });
    afterEach(() => host.close());

    const enterable = async (op: string, candidates: { pid: number; ticks: number }[], more: string[] = []): Promise<string[]> => [
      'verb ensure-enterable',
      `op ${op}`,
      'engine openvz',
      'container 204',
      `incarnation ${await host.incarnation()}`,
      ...soon,
      'enter-ms 400',
      'runaway httpd',
      ...(more.some((m) => m.startsWith('max-kills')) ? [] : ['max-kills 100']),
      ...more,
      ...candidates.map(({ pid, ticks }) => `candidate ${pid}:${ticks}`),
    ];

    test('a look shows counters, processes, incarnation and whether the container can be entered', async () => {
      const { pid, ticks } = await host.start('httpd');
      const look = await host.ask(['verb look', 'engine openvz', 'container 204', 'want counters', 'want processes', 'want enter', 'enter-ms 2000']);
      expect(look.whole).toBe(true);
      expect(look.running).toBe(true);
      expect(look.counters).toEqual([
        { resource: 'kmemsize', held: 1, maxheld: 2, barrier: 3, limit: Number.MAX_SAFE_INTEGER, failcnt: 4 },
        { resource: 'tcpsndbuf', held: 100, maxheld: 200, barrier: 4_000_000, limit: 4_000_000, failcnt: 90_686 },
      ]);
      expect(look.processes).toHaveLength(2);
      expect(look.processes).toContainEqual(
        expect.objectContaining({ pid, startTicks: ticks, comm: 'httpd', args: `${host.dir}/bin/httpd 300`, ppid: process.pid, uid: process.getuid!() }),
      );
      expect(look.enteredInMs).toBeLessThanOrEqual(2000);
      expect(look.bootId).toBe(readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim());
      const init = look.processes!.find((p) => p.comm === 'init')!;
      expect(look.incarnation).toBe(`${init.startTicks}.${look.bootId!.slice(0, 8)}`);
    });

    test('a look at a container that is down or that nobody has counted says so', async () => {
      host.write('status', 'down\n');
      const down = await host.ask(['verb look', 'engine openvz', 'container 204']);
      expect(down.running).toBe(false);
      const none = await host.ask(['verb look', 'engine openvz', 'container 999', 'want counters', 'want processes']);
      expect(none).toMatchObject({ counters: null, processes: [], incarnation: null });
    });

    test('a container that does not answer in time cannot be entered, and nothing of the try is left', async () => {
      await host.start('httpd');
      host.enterableBelow(0);
      const startedAt = Date.now();
      const look = await host.ask(['verb look', 'engine openvz', 'container 204', 'want enter', 'enter-ms 300']);
      expect(look.enteredInMs).toBeNull();
      expect(Date.now() - startedAt).toBeLessThan(4000);
      await until(() => !processesMention('4711', host.dir), { what: 'the hanging vzctl is gone' });
    });

    test('counters are the whole files, as they are', async () => {
      const { files } = await host.ask(['verb counters', 'cgroup no/such']);
      expect(files.get('beancounters')).toBe(readFileSync(join(host.dir, 'ubc'), 'utf8'));
      expect(files.get('loadavg')).toMatch(/^\d+\.\d\d /);
      expect([...files].some(([name, text]) => name.startsWith('no/such/memory') && text === null)).toBe(true);
    });

    test('a key for counters reads counters and nothing else', async () => {
      expect((await host.ask(['verb counters'], { args: ['--counters-only'] })).result).toEqual({ word: 'done', reason: 'read' });
      for (const request of [
        ['verb look', 'engine openvz', 'container 204'],
        ['verb journal', 'op a.b'],
        ['verb seal', 'op a.b'],
        await enterable('a.b', []),
      ]) {
        expect((await host.ask(request, { args: ['--counters-only'] })).result).toEqual({ word: 'refused', reason: 'counters-only' });
      }
      expect(existsSync(join(host.dir, 'state'))).toBe(false);
    });

    test('a command that comes with the connection is refused and not looked at', async () => {
      const answer = await host.ask(['verb counters'], { env: { SSH_ORIGINAL_COMMAND: `touch ${host.dir}/canary` } });
      expect(answer.result).toEqual({ word: 'refused', reason: 'command-given' });
      expect(existsSync(join(host.dir, 'canary'))).toBe(false);
    });

    test('killing stops as soon as the container can be entered', async () => {
      const all = [];
      for (let i = 0; i < 12; i++) all.push(await host.start('httpd'));
      host.enterableBelow(7);
      const answer = await host.ask(await enterable('i-1.kill', all));
      expect(answer.result).toEqual({ word: 'done', reason: 'changed' });
      expect(answer.killed).toHaveLength(8);
      expect(answer.left).toBe(4);
      expect(answer.enteredInMs).toBeLessThanOrEqual(400);
      expect(all.filter(({ pid }) => host.alive(pid))).toHaveLength(4);
      expect(host.effectsLog()).toHaveLength(8);
      expect(host.effectsLog()[0]).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ 204 op=i-1\.kill kill pid=\d+ ticks=\d+ comm=httpd signal=TERM$/);
    });

    test('a container that can be entered loses no process', async () => {
      const victim = await host.start('httpd');
      const answer = await host.ask(await enterable('i-1.kill', [victim]));
      expect(answer.result).toEqual({ word: 'done', reason: 'already' });
      expect(host.alive(victim.pid)).toBe(true);
    });

    test('a process that is deaf to SIGTERM gets SIGKILL', async () => {
      const victim = await host.start('httpd', { stubborn: true });
      host.enterableBelow(0);
      const answer = await host.ask(await enterable('i-1.kill', [victim]));
      expect(answer.killed).toEqual([{ pid: victim.pid, startTicks: victim.ticks, comm: 'httpd', signal: 'KILL' }]);
      expect(host.alive(victim.pid)).toBe(false);
    });

    test('a reused pid, a stranger, a protected and another name are spared, each with its reason', async () => {
      const reused = await host.start('httpd');
      const stranger = await host.start('httpd', { outside: true });
      const crond = await host.start('crond');
      const kept = await host.start('keeper');
      const other = await host.start('mailer');
      const [init] = readFileSync(join(host.dir, 'pids'), 'utf8').split('\n').map(Number);
      host.enterableBelow(0);
      const answer = await host.ask(
        await enterable(
          'i-1.kill',
          [
            { pid: reused.pid, ticks: reused.ticks - 1 },
            stranger,
            crond,
            kept,
            other,
            { pid: init!, ticks: host.ticksOf(init!) },
            { pid: 99_999_999, ticks: 5 },
            { pid: 1, ticks: host.ticksOf(1) },
          ],
          ['runaway crond', 'runaway keeper', 'runaway init', 'protect keeper'],
        ),
      );
      expect(answer.result).toEqual({ word: 'failed', reason: 'nothing-to-kill' });
      expect(answer.killed).toEqual([]);
      expect(Object.fromEntries(answer.spared.map((s) => [s.pid, s.why]))).toEqual({
        [reused.pid]: 'other-process',
        [stranger.pid]: 'not-in-the-container',
        [crond.pid]: 'protected',
        [kept.pid]: 'protected',
        [other.pid]: 'not-a-runaway',
        [init!]: 'protected',
        99999999: 'gone',
        1: 'not-in-the-container',
      });
      for (const { pid } of [reused, stranger, crond, kept, other]) expect(host.alive(pid)).toBe(true);
      expect(host.effectsLog()).toEqual([]);
    });

    test('no more are ended than allowed', async () => {
      const all = [];
      for (let i = 0; i < 6; i++) all.push(await host.start('httpd'));
      host.enterableBelow(0);
      const answer = await host.ask(await enterable('i-1.kill', all, ['max-kills 2']));
      expect(answer.result).toEqual({ word: 'failed', reason: 'not-enterable' });
      expect(answer.killed).toHaveLength(2);
      expect(all.filter(({ pid }) => host.alive(pid))).toHaveLength(4);
    });

    test('another incarnation of the container is left alone', async () => {
      const victim = await host.start('httpd');
      host.enterableBelow(0);
      const request = (await enterable('i-1.kill', [victim])).map((line) => (line.startsWith('incarnation') ? 'incarnation 1.abcdef01' : line));
      expect((await host.ask(request)).result).toEqual({ word: 'refused', reason: 'other-incarnation' });
      host.write('status', 'down\n');
      expect((await host.ask(request.map((line) => line.replace('i-1.kill', 'i-1.kill-2')))).result).toEqual({ word: 'refused', reason: 'other-incarnation' });
      expect(host.alive(victim.pid)).toBe(true);
    });

    test('what comes after its time does nothing, and for good', async () => {
      const victim = await host.start('httpd');
      host.enterableBelow(0);
      const request = await enterable('i-1.kill', [victim]);
      expect((await host.ask(request.map((l) => (l.startsWith('not-after-cs') ? 'not-after-cs 100' : l)))).result).toEqual({
        word: 'refused',
        reason: 'too-late',
      });
      expect((await host.ask(request)).result).toEqual({ word: 'refused', reason: 'too-late' });
      expect(host.alive(victim.pid)).toBe(true);
    });

    test('the same operation twice, also at once, acts once and answers the same', async () => {
      const restart = [
        'verb ensure-service',
        'op i-1.restart',
        'engine openvz',
        'container 204',
        `incarnation ${await host.incarnation()}`,
        ...soon,
        'service httpd',
        'runaway httpd',
      ];
      const answers = await Promise.all([host.ask(restart), host.ask(restart), host.ask(restart), host.ask(restart)]);
      answers.push(await host.ask(restart));
      for (const { result } of answers) expect(result).toEqual({ word: 'done', reason: 'changed' });
      expect(answers.filter((a) => a.operation === 'new')).toHaveLength(1);
      expect(answers.filter((a) => a.operation === 'finished')).toHaveLength(4);
      expect(host.vzctlLog()).toEqual(['exec2 service httpd restart']);
      expect(host.effectsLog()).toHaveLength(1);
    });

    test('an operation id is not lent to another act', async () => {
      const limit = [
        'verb ensure-limit',
        'op i-1.raise',
        'engine openvz',
        'container 204',
        `incarnation ${await host.incarnation()}`,
        ...soon,
        'resource tcpsndbuf',
        'barrier 5000000',
        'limit 6000000',
      ];
      expect((await host.ask(limit)).result).toEqual({ word: 'done', reason: 'changed' });
      expect((await host.ask(limit.map((l) => l.replace('6000000', '7000000')))).result).toEqual({ word: 'refused', reason: 'other-operation' });
      expect(host.vzctlLog()).toHaveLength(1);
    });

    test('a helper that is killed in mid-effect leaves an operation that is unknown, and is never begun again', async () => {
      host.write('restart-hangs', '');
      const restart = [
        'verb ensure-service',
        'op i-1.restart',
        'engine openvz',
        'container 204',
        `incarnation ${await host.incarnation()}`,
        ...soon,
        'service httpd',
      ];
      const helper = host.startHelper(restart);
      await until(() => host.vzctlLog().length === 1, { what: 'the restart has begun' });
      expect((await host.ask(['verb journal', 'op i-1.restart'])).result).toEqual({ word: 'unknown', reason: 'running' });
      process.kill(helper.pid!, 'SIGKILL');
      await until(() => !host.alive(helper.pid!));
      const journal = await host.ask(['verb journal', 'op i-1.restart', 'wait-ms 5000']);
      expect(journal).toMatchObject({ operation: 'started', result: { word: 'unknown', reason: 'cut-short' }, did: ['restart httpd'] });
      expect((await host.ask(restart)).result).toEqual({ word: 'unknown', reason: 'cut-short' });
      expect(host.vzctlLog()).toHaveLength(1);
      for (const pid of processesWith('4711', host.dir)) process.kill(pid, 'SIGKILL');
    });

    test('a lost connection does not cut an effect in half', async () => {
      const all = [];
      for (let i = 0; i < 8; i++) all.push(await host.start('httpd'));
      host.enterableBelow(0);
      const helper = host.startHelper(await enterable('i-1.kill', all));
      await until(() => existsSync(join(host.dir, 'state/ops/i-1.kill/progress')), { what: 'the killing has begun' });
      process.kill(helper.pid!, 'SIGHUP');
      const journal = await host.ask(['verb journal', 'op i-1.kill', 'wait-ms 15000']);
      expect(journal).toMatchObject({ operation: 'finished', result: { word: 'done', reason: 'changed' } });
      expect(journal.killed).toHaveLength(8);
    });

    test('what has not begun can be barred, and then never begins', async () => {
      const victim = await host.start('httpd');
      host.enterableBelow(0);
      expect(await host.ask(['verb journal', 'op i-1.kill'])).toMatchObject({ operation: 'absent', result: { word: 'done' } });
      expect((await host.ask(['verb seal', 'op i-1.kill'])).result).toEqual({ word: 'refused', reason: 'sealed' });
      expect((await host.ask(await enterable('i-1.kill', [victim]))).result).toEqual({ word: 'refused', reason: 'sealed' });
      expect((await host.ask(['verb seal', 'op i-1.kill'])).result).toEqual({ word: 'refused', reason: 'sealed' });
      expect(host.alive(victim.pid)).toBe(true);
    });

    test('without a journal nothing is done', async () => {
      const victim = await host.start('httpd');
      host.enterableBelow(0);
      const request = await enterable('i-1.kill', [victim]);
      host.write('state', 'a file where the directory should be');
      expect((await host.ask(request)).result).toEqual({ word: 'refused', reason: 'journal' });
      expect(host.alive(victim.pid)).toBe(true);
    });

    test('old entries of the journal are forgotten, young ones kept', async () => {
      const ops = join(host.dir, 'state/ops');
      for (const [name, days] of [
        ['old.one', 40],
        ['young.one', 20],
      ] as const) {
        mkdirSync(join(ops, name), { recursive: true });
        writeFileSync(join(ops, name, 'claim'), 'x');
        const then = Date.now() / 1000 - days * 86_400;
        utimesSync(join(ops, name), then, then);
      }
      await host.ask(await enterable('i-1.kill', []));
      expect(readdirSync(ops).toSorted()).toEqual(['i-1.kill', 'young.one']);
    });

    test('a service is restarted when all of its processes are new', async () => {
      const old = await host.start('httpd');
      const answer = await host.ask([
        'verb ensure-service',
        'op i-1.a',
        'engine openvz',
        'container 204',
        `incarnation ${await host.incarnation()}`,
        ...soon,
        'service httpd',
        'runaway httpd',
      ]);
      expect(answer.result).toEqual({ word: 'done', reason: 'changed' });
      expect(answer.details).toContain('service 1 0');
      expect(host.alive(old.pid)).toBe(false);
    });

    test.each([
      ['restart-fails', 'command', 'httpd: cannot open its log'],
      ['restart-dead', 'not-running', 'service 0 0'],
      ['restart-keeps', 'old-processes', 'service 1 1'],
    ])('a restart that goes wrong (%s) is told as %s', async (how, reason, detail) => {
      host.write(how, '');
      await host.start('httpd');
      const answer = await host.ask([
        'verb ensure-service',
        'op i-1.a',
        'engine openvz',
        'container 204',
        `incarnation ${await host.incarnation()}`,
        ...soon,
        'service httpd',
        'runaway httpd',
      ]);
      expect(answer.result).toEqual({ word: 'failed', reason });
      expect(answer.details).toContain(detail);
    });

    test('a restart that hangs is ended with its time', async () => {
      host.write('restart-hangs', '');
      const answer = await host.ask([
        'verb ensure-service',
        'op i-1.a',
        'engine openvz',
        'container 204',
        `incarnation ${await host.incarnation()}`,
        'begin-within-ms 20000',
        `not-after-cs ${FAR}`,
        'limit-ms 500',
        'service httpd',
      ]);
      expect(answer.result).toEqual({ word: 'failed', reason: 'out-of-time' });
      await until(() => !processesMention('4711', host.dir), { what: 'the hanging restart is gone' });
    });

    test('a limit is set once, read back, and kept only when asked to', async () => {
      const incarnation = await host.incarnation();
      const limit = (op: string, more: string[] = []): string[] => [
        'verb ensure-limit',
        `op ${op}`,
        'engine openvz',
        'container 204',
        `incarnation ${incarnation}`,
        ...soon,
        'resource tcpsndbuf',
        'barrier 5000000',
        'limit 6000000',
        ...more,
      ];
      expect(await host.ask(limit('i-1.a'))).toMatchObject({
        result: { word: 'done', reason: 'changed' },
        was: { barrier: 4_000_000 },
        is: { barrier: 5_000_000, limit: 6_000_000 },
      });
      expect((await host.ask(limit('i-1.b'))).result).toEqual({ word: 'done', reason: 'already' });
      expect(host.vzctlLog()).toEqual(['set 204 no --tcpsndbuf 5000000:6000000']);
      expect(readdirSync(join(host.dir, 'vzconf'))).toEqual([]);
      expect((await host.ask(limit('i-1.c', ['save yes']))).result).toEqual({ word: 'done', reason: 'changed' });
      expect(readFileSync(join(host.dir, 'vzconf/204.conf'), 'utf8')).toBe('TCPSNDBUF="5000000:6000000"\n');
      expect((await host.ask(limit('i-1.d', ['save yes']))).result).toEqual({ word: 'done', reason: 'already' });
      expect(host.vzctlLog()).toHaveLength(2);
    });

    test('a limit that is not taken is told', async () => {
      const incarnation = await host.incarnation();
      const limit = (op: string): string[] => [
        'verb ensure-limit',
        `op ${op}`,
        'engine openvz',
        'container 204',
        `incarnation ${incarnation}`,
        ...soon,
        'resource tcpsndbuf',
        'barrier 5',
        'limit 6',
      ];
      host.write('set-fails', '');
      expect(await host.ask(limit('i-1.a'))).toMatchObject({ result: { word: 'failed', reason: 'command' }, details: ['Container already locked', 'code 9'] });
      rmSync(join(host.dir, 'set-fails'));
      host.write('set-lies', '');
      expect(await host.ask(limit('i-1.b'))).toMatchObject({ result: { word: 'failed', reason: 'not-as-wanted' }, is: { barrier: 4_000_000 } });
    });

    test('the configuration of a container that is not there is not made', async () => {
      host.write('status', 'down\n');
      const answer = await host.ask([
        'verb ensure-limit',
        'op i-1.a',
        'engine openvz',
        'container 205',
        'incarnation 1.a',
        ...soon,
        'resource tcpsndbuf',
        'barrier 5',
        'limit 6',
        'save yes',
      ]);
      expect(answer.result).toEqual({ word: 'refused', reason: 'other-incarnation' });
      expect(readdirSync(join(host.dir, 'vzconf'))).toEqual([]);
    });

    test('hostile values are refused in every field and come to nothing', async () => {
      const victim = await host.start('httpd');
      const canary = join(host.dir, 'canary');
      const hostile = [
        `$(touch ${canary})`,
        `\`touch ${canary}\``,
        `x; touch ${canary}`,
        `x && touch ${canary}`,
        `x | touch ${canary}`,
        `'; touch ${canary}; '`,
        `"; touch ${canary}; "`,
        `-oProxyCommand=touch ${canary}`,
        '-rf',
        '--',
        '*',
        '?',
        '[a-z]',
        '../../etc',
        '/etc/passwd',
        '~root',
        '${PATH}',
        '$IFS',
        'a b',
        'a\tb',
        'a\0b',
        'a\rb',
        'a\x1b[2Jb',
        'ä',
        '',
        `x\nverb seal\nop ${'z'.repeat(10)}`,
        'x\nend',
        '9'.repeat(300),
        '-1',
        '%n',
        '__proto__',
        '\\',
        '!',
        '#',
        '<(id)',
        '>/tmp/x',
      ];
      const base: Record<string, string[]> = {
        counters: ['verb counters', 'cgroup lab/shop'],
        look: ['verb look', 'engine openvz', 'container 204', 'want counters', 'enter-ms 300'],
        journal: ['verb journal', 'op a.b', 'wait-ms 0'],
        enterable: await enterable('h.1', [victim], ['protect x']),
        service: ['verb ensure-service', 'op h.2', 'engine openvz', 'container 204', 'incarnation 1.a', ...soon, 'service httpd', 'runaway httpd'],
        limit: [
          'verb ensure-limit',
          'op h.3',
          'engine openvz',
          'container 204',
          'incarnation 1.a',
          ...soon,
          'resource tcpsndbuf',
          'barrier 5',
          'limit 6',
          'save yes',
        ],
      };
      const notNumbers = ['0x10', '010', '1e3', '1.5', '+1', '1 2', '99999999999999999999'];
      const requests: string[] = [];
      let n = 0;
      for (const body of Object.values(base)) {
        body.forEach((line, at) => {
          const key = line.split(' ')[0]!;
          // Each field meets four of them; together the fields meet all of them many times over.
          for (let i = 0; i < 4; i++) requests.push(lines(body.with(at, `${key} ${hostile[n++ % hostile.length]!}`)));
          if (/-ms |-cs |barrier |limit |kills |container |candidate /.test(line))
            for (const bad of notNumbers) requests.push(lines(body.with(at, `${key} ${bad}`)));
        });
      }
      for (const bad of hostile) requests.push(lines([`${bad} x`]), lines([bad]));
      requests.push(
        '',
        'end\n',
        'nightshift 2\nend\n',
        'nightshift 1\nverb counters\n',
        'nightshift 1\nverb counters\nend\nverb seal\n',
        'x'.repeat(70_000),
        `nightshift 1\n${'verb counters\n'.repeat(3000)}end\n`,
      );
      const running = new Set<Promise<void>>();
      const unrefused: string[] = [];
      for (const request of requests) {
        const one = host
          .ask(request)
          .then(({ result }) => {
            if (result?.word !== 'refused') unrefused.push(request);
          })
          .finally(() => running.delete(one));
        running.add(one);
        if (running.size >= 4) await Promise.race(running);
      }
      await Promise.all(running);
      expect(unrefused).toEqual([]);
      expect(existsSync(canary)).toBe(false);
      expect(host.alive(victim.pid)).toBe(true);
      expect(host.vzctlLog()).toEqual([]);
      expect(host.effectsLog()).toEqual([]);
      expect(existsSync(join(host.dir, 'state/ops/zzzzzzzzzz'))).toBe(false);
      expect(statSync(host.dir).isDirectory()).toBe(true);
    }, 120_000);
  });
});

/** Processes with these words in their command line whose environment names the directory. */
function processesWith(words: string, dir: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'latin1').includes(words) && readFileSync(`/proc/${pid}/environ`, 'latin1').includes(dir);
      } catch {
        return false;
      }
    });
}
const processesMention = (words: string, dir: string): boolean => processesWith(words, dir).length > 0;
