import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readHostLog, type HostLogLine } from '../../lab/host-log.js';
import { until } from '../until.js';
import { labUnderTest, needs, run, type LabUnderTest } from './lab-under-test.js';

let it: LabUnderTest;
beforeAll(async () => {
  it = await labUnderTest();
});
afterAll(async () => {
  await it?.close();
});

const state = () => it.lab.kernel.state();
const logged = (from: number): HostLogLine[] => readHostLog(it.lab.kernel.logFile, from).lines;

/** What the host itself says, through the helper and the real sshd: text in, facts out. */
async function helper(...lines: string[]): Promise<string[]> {
  const { facts } = it;
  const request = `${['nightshift 1', ...lines, 'end'].join('\n')}\n`;
  const argv =
    facts.transport === 'local'
      ? ['sh', facts.helperFile, '--conf', facts.helperConfigFile]
      : [
          'ssh',
          '-F',
          'none',
          '-T',
          '-i',
          facts.keyFile ?? '',
          '-p',
          String(facts.sshPort),
          '-o',
          `UserKnownHostsFile=${facts.knownHostsFile}`,
          '-o',
          'BatchMode=yes',
          '-o',
          'StrictHostKeyChecking=yes',
          `${facts.user}@127.0.0.1`,
        ];
  const { stdout, stderr, code } = await run(argv[0] ?? '', argv.slice(1), { input: request });
  expect(code, stderr).toBe(0);
  return stdout.split('\n');
}
const target = ['engine openvz', 'container 204'];
const processes = (answer: readonly string[]): { pid: number; ticks: number; comm: string; state: string }[] =>
  answer
    .filter((line) => line.startsWith('process '))
    .map((line) => line.split(' '))
    .map((w) => ({ pid: Number(w[1]), ticks: Number(w[2]), state: w[5] ?? '', comm: w[9] ?? '' }));

/** vzctl as root of the host would call it: inside the host's namespaces, where it has some. */
const vzctl = (...args: string[]) => {
  const tool = join(it.facts.hostDir, 'usr', 'sbin', 'vzctl');
  return it.facts.namespaces ? run('nsenter', ['-t', String(it.lab.hostPid), '-m', '-u', '-i', '-p', '--', tool, ...args]) : run(tool, args);
};

test('the whole outage, from quiet to the figure of the seed, by the road that the seed took', async () => {
  await it.lab.kernel.reset();
  expect(state()).toMatchObject({ running: true, enterable: true, workers: 6, processes: 8, scene: 'quiet' });
  const began = state().logEnd;

  it.lab.kernel.play('surge', ['$(reboot)', "it's\na `trap`", '-oProxyCommand=reboot']);
  await until(() => !state().enterable, { what: 'the container cannot be entered' });
  expect(state()).toMatchObject({ workers: 60, stuck: 40, processes: 62 });

  // From the host one sees them: sixty workers, most of them running, and nobody gets in.
  const failcnt = state().tcpsndbuf.failcnt;
  const seen = await helper('verb look', ...target, 'want counters', 'want processes', 'want enter', 'enter-ms 300');
  expect(seen).toContain('enter no');
  expect(seen).toContain('running yes');
  const workers = processes(seen).filter(({ comm }) => comm === 'httpd');
  expect(workers).toHaveLength(61);
  const burning = workers.filter(({ state: s }) => s === 'R');
  expect(burning.length).toBeGreaterThanOrEqual(30);
  expect(seen.find((line) => line.startsWith('counter tcpsndbuf '))).toMatch(/^counter tcpsndbuf 2658860 2658860 1720320 2703360 \d+$/);
  // Hostile text on the command line is text.
  expect(seen.filter((line) => line.startsWith('args ') && line.includes('$(reboot)') && line.includes('-oProxyCommand=reboot'))).toHaveLength(54);
  await until(() => state().tcpsndbuf.failcnt > failcnt);

  // Killing enough of them from the host lets one in.
  const killed = burning.slice(0, 20);
  if (it.facts.namespaces)
    expect((await run('nsenter', ['-t', String(it.lab.hostPid), '-p', '-m', '--', 'kill', '-KILL', ...killed.map(({ pid }) => String(pid))])).code).toBe(0);
  else for (const { pid } of killed) process.kill(pid, 'SIGKILL');
  await until(() => state().enterable, { what: 'the container can be entered again' });
  expect((await vzctl('exec2', '204', 'true')).code).toBe(0);
  const deaths = await until(() => {
    const d = logged(began).filter((line) => line.what === 'died');
    return d.length >= 20 && d;
  });
  expect(deaths.map(({ pid, startTicks, signal, by, comm }) => `${pid} ${startTicks} ${signal} ${by} ${comm}`).toSorted()).toEqual(
    killed.map(({ pid, ticks }) => `${pid} ${ticks} 9 outside httpd`).toSorted(),
  );

  // A restart alone does not help.
  const restarted = await vzctl('exec2', '204', 'service', 'httpd', 'restart');
  expect(restarted).toMatchObject({ code: 0, stdout: 'Stopping httpd: [  OK  ]\nStarting httpd: [  OK  ]\n' });
  expect(state().workers).toBe(24);
  const afterRestart = state().tcpsndbuf.failcnt;
  await until(() => state().tcpsndbuf.failcnt > afterRestart + 3, { what: 'refusals go on' });

  // Two raises do.
  expect((await vzctl('set', '204', '--tcpsndbuf', '1978368:3108864')).stdout).toContain('UB limits were set successfully\n');
  const afterOne = state().tcpsndbuf.failcnt;
  await until(() => state().tcpsndbuf.failcnt > afterOne + 3, { what: 'one raise is not enough' });
  expect((await vzctl('set', '204', '--tcpsndbuf', '2275124:3575194')).code).toBe(0);
  await until(() => state().stuck === 0 && state().tcpsndbuf.held === 3_190_632, { what: 'everybody has a buffer' });
  expect(state().tcpsndbuf).toMatchObject({ held: 3_190_632, maxheld: 3_190_632 });
  const flat = state().tcpsndbuf.failcnt;
  await until(
    async () => processes(await helper('verb look', ...target, 'want processes')).filter(({ state: s, comm }) => comm === 'httpd' && s === 'R').length === 0,
    { what: 'nobody burns any more' },
  );
  expect(state().tcpsndbuf.failcnt).toBe(flat);

  // What is saved survives the container's restart.
  expect((await vzctl('set', '204', '--save', '--tcpsndbuf', '2275124:3575194')).stdout).toBe(
    'UB limits were set successfully\nCT configuration saved to /etc/vz/conf/204.conf\n',
  );
  expect(readFileSync(join(it.facts.hostDir, 'etc', 'vz', 'conf', '204.conf'), 'utf8')).toContain('TCPSNDBUF="2275124:3575194"\n');
  expect((await vzctl('restart', '204')).code).toBe(0);
  expect(state().tcpsndbuf).toMatchObject({ barrier: 2_275_124, limit: 3_575_194 });

  const log = logged(began);
  expect(log.filter((line) => line.what === 'limit').map(({ barrier, limit }) => `${barrier}:${limit}`)).toEqual(['1978368:3108864', '2275124:3575194']);
  expect(log.filter((line) => line.what === 'saved')).toHaveLength(1);
  expect(log.filter((line) => line.what === 'service')).toMatchObject([{ service: 'httpd', action: 'restart' }]);
  // The restart ended the other 40 and the master itself: nobody did that from outside.
  expect(log.filter((line) => line.what === 'died' && line.by === 'outside')).toHaveLength(20);
  await it.lab.kernel.reset();
  expect(state()).toMatchObject({ workers: 6, tcpsndbuf: { held: 0, failcnt: 0, limit: 2_703_360 } });
}, 60_000);

test('the counters are those of the processes that ps shows', async () => {
  await it.lab.kernel.reset();
  const held = (resource: string): number =>
    Number(new RegExp(`^\\s+(?:204: )?${resource}\\s+(\\d+)`, 'm').exec(readFileSync(join(it.facts.hostDir, 'proc', 'user_beancounters'), 'utf8'))?.[1]);
  await until(() => state().processes === 8);
  const membersNow = async () => {
    const { stdout } = await run('ps', ['-e', '-o', 'ppid=,pid=,rss=,comm=']);
    const rows = stdout
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter((row) => row.length === 4)
      .map(([ppid, pid, rss, comm]) => ({ ppid: Number(ppid), pid: Number(pid), rss: Number(rss), comm }));
    const init = rows.find(({ ppid, comm }) => ppid === it.lab.hostPid && comm === 'init');
    return rows.filter(({ pid, ppid }) => pid === init?.pid || ppid === init?.pid);
  };
  // A shell that has just been started still grows while it is looked at: both are looked at until they agree.
  const members = await until(
    async () => {
      const seen = await membersNow();
      const pages = seen.reduce((sum, { rss }) => sum + rss / 4, 0);
      // The kernel keeps a process's pages in counters per core, read without adding them up: each may be off by some dozens (percpu_counter_batch).
      return Math.abs(held('physpages') - pages) < pages * 0.1 + 64 * seen.length && seen;
    },
    { what: 'the pages are those of the processes' },
  );
  expect(members.filter(({ comm }) => comm === 'httpd')).toHaveLength(7);
  expect(members).toHaveLength(8);
  expect(held('numproc')).toBe(members.length);
  // A worker is small: about a megabyte and a half.
  expect(members.every(({ rss }) => rss < 4096)).toBe(true);
  expect(statSync(join(it.facts.hostDir, 'proc', 'user_beancounters')).mode & 0o777).toBe(0o400);
});

test('a member of the container is one for vzpid, everybody else is the host', async () => {
  await it.lab.kernel.reset();
  const seen = processes(await helper('verb look', ...target, 'want processes'));
  expect(seen).toHaveLength(8);
  expect(seen.map(({ comm }) => comm).toSorted()[7]).toBe('init');
});

test('the key that counts may count and nothing else', async (context) => {
  const { facts } = it;
  needs(context, facts.transport === 'ssh', 'no sshd here');
  const ssh = (input: string, ...command: string[]) =>
    run(
      'ssh',
      [
        '-F',
        'none',
        '-T',
        '-i',
        facts.countersKeyFile ?? '',
        '-p',
        String(facts.sshPort),
        '-o',
        `UserKnownHostsFile=${facts.knownHostsFile}`,
        '-o',
        'BatchMode=yes',
        `${facts.user}@127.0.0.1`,
        ...command,
      ],
      { input },
    );
  expect((await ssh('nightshift 1\nverb counters\nend\n')).stdout).toContain('file beancounters\n| Version: 2.5\n');
  expect((await ssh('nightshift 1\nverb look\nengine openvz\ncontainer 204\nend\n')).stdout).toContain('result refused counters-only');
  expect((await ssh('nightshift 1\nverb counters\nend\n', 'cat', '/etc/shadow')).stdout).toContain('result refused command-given');
});

test('the host has namespaces of its own, and its sshd sees only its own processes', async (context) => {
  needs(context, it.facts.namespaces, 'no namespaces here: they need root');
  const { stdout } = await run('nsenter', [
    '-t',
    String(it.lab.hostPid),
    '-p',
    '-m',
    '-u',
    '--',
    'sh',
    '-c',
    'hostname; ls /proc | grep -c "^[0-9]"; cat /proc/1/comm',
  ]);
  const [name, count, first] = stdout.split('\n');
  expect([name, first]).toEqual(['dauntless', 'init']);
  expect(Number(count)).toBeLessThan(20);
});
