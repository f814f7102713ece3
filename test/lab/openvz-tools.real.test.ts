import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { readHostLog } from '../../lab/host-log.js';
import { findTool } from '../../lab/prepare.js';
import { until } from '../until.js';
import { labUnderTest, needs, run, runTool, type LabUnderTest } from './lab-under-test.js';

let it: LabUnderTest;
beforeAll(async () => {
  it = await labUnderTest();
});
beforeEach(async () => {
  await it.lab.kernel.reset();
});
afterAll(async () => {
  await it?.close();
});

const conf = (ct = '204'): string => readFileSync(join(it.facts.hostDir, 'etc', 'vz', 'conf', `${ct}.conf`), 'utf8');
const limitNow = (): string => {
  const { barrier, limit } = it.lab.kernel.state().tcpsndbuf;
  return `${barrier}:${limit}`;
};

describe.each([
  ['dash', ['dash']],
  ['bash', ['bash', '--posix']],
  ['busybox', ['busybox', 'sh']],
] as const)('under %s', (name, shell) => {
  const vzctl = (...args: string[]) => runTool(it.facts, shell, 'vzctl', ...args);

  test('vzctl speaks the texts and exit codes of the original', async (context) => {
    needs(context, (await findTool(name)) !== null, `no ${name} here`);
    expect(await vzctl('status', '204')).toEqual({ code: 0, stdout: 'CTID 204 exist mounted running\n', stderr: '' });
    expect(await vzctl('status', '999')).toEqual({ code: 0, stdout: 'CTID 999 deleted unmounted down\n', stderr: '' });
    expect(await vzctl('status', 'x;reboot')).toEqual({ code: 20, stdout: '', stderr: 'Invalid CTID: x;reboot\n' });
    expect(await vzctl('frobnicate', '204')).toEqual({ code: 20, stdout: '', stderr: 'Bad command: frobnicate\n' });
    expect(await vzctl('start', '204')).toEqual({ code: 32, stdout: '', stderr: 'Container is already running\n' });
    expect(await vzctl('start', '999')).toEqual({ code: 14, stdout: '', stderr: 'Container config file does not exist\n' });
    expect(await vzctl('exec2', '999', 'true')).toMatchObject({ code: 14 });

    expect(await vzctl('set', '204', '--tcpsndbuf', '4000000:4000000')).toEqual({
      code: 0,
      stderr: '',
      stdout: 'UB limits were set successfully\nWARNING: Settings were not saved to config and will be lost after CT restart (use --save flag)\n',
    });
    expect(limitNow()).toBe('4000000:4000000');
    expect(conf()).toContain('TCPSNDBUF="1720320:2703360"\n');
    expect(await vzctl('set', '204', '--save', '--tcpsndbuf=4m:unlimited', '--numproc', '300')).toEqual({
      code: 0,
      stderr: '',
      stdout: 'UB limits were set successfully\nCT configuration saved to /etc/vz/conf/204.conf\n',
    });
    expect(conf()).toContain('TCPSNDBUF="4194304:9223372036854775807"\nNUMPROC="300:300"\n');
    for (const bad of ['abc', '12x', '1:', ':1', '-1', '1 2', '', '$(reboot)', '99999999999999999999']) {
      expect(await vzctl('set', '204', '--tcpsndbuf', bad), bad).toEqual({ code: 21, stdout: '', stderr: `Bad parameter for --tcpsndbuf: ${bad}\n` });
    }
    expect(await vzctl('set', '204', '--nosuch', '1')).toEqual({ code: 20, stdout: '', stderr: "vzctl: unrecognized option '--nosuch'\n" });
    expect(await vzctl('set', '204', 'tcpsndbuf', '1')).toMatchObject({ code: 20 });
  });

  test('commands run inside bring their own exit code back by exec2, not by exec', async (context) => {
    needs(context, (await findTool(name)) !== null, `no ${name} here`);
    expect(await vzctl('exec2', '204', 'exit', '7')).toMatchObject({ code: 7 });
    expect(await vzctl('exec', '204', 'exit', '7')).toMatchObject({ code: 8 });
    expect(await vzctl('exec2', '204', 'service', 'httpd', 'status')).toEqual({ code: 0, stdout: 'httpd is running...\n', stderr: '' });
    expect(await vzctl('exec2', '204', 'service', 'sshd', 'restart')).toEqual({ code: 1, stdout: '', stderr: 'sshd: unrecognized service\n' });
  });

  test('stop, start and restart really do, and unsaved limits are lost by it', async (context) => {
    needs(context, (await findTool(name)) !== null, `no ${name} here`);
    await vzctl('set', '204', '--tcpsndbuf', '3000000');
    const table = (): string => readFileSync(join(it.facts.hostDir, 'proc', 'user_beancounters'), 'utf8');
    expect(table()).toContain('204: kmemsize');
    expect(await vzctl('stop', '204')).toEqual({ code: 0, stdout: 'Stopping container ...\nContainer was stopped\nContainer is unmounted\n', stderr: '' });
    expect(await vzctl('status', '204')).toMatchObject({ stdout: 'CTID 204 exist unmounted down\n' });
    expect(table()).not.toContain('204:');
    expect(await vzctl('exec2', '204', 'true')).toEqual({ code: 31, stdout: '', stderr: 'Container is not running\n' });
    expect(await vzctl('start', '204')).toMatchObject({
      code: 0,
      stdout: 'Starting container...\nContainer is mounted\nSetting CPU units: 1000\nContainer start in progress...\n',
    });
    expect(limitNow()).toBe('1720320:2703360');
    expect(it.lab.kernel.state()).toMatchObject({ running: true, workers: 6 });
    expect(await vzctl('restart', '204')).toMatchObject({ code: 0 });
  });

  test("every call is in the host's log, whatever its arguments hold", async (context) => {
    needs(context, (await findTool(name)) !== null, `no ${name} here`);
    const from = it.lab.kernel.state().logEnd;
    const hostile = ['set', '204', '--tcpsndbuf', 'a"b\\c\n{"what":"died"}\t$(reboot)'];
    await vzctl(...hostile);
    expect(readHostLog(it.lab.kernel.logFile, from).lines).toMatchObject([{ what: 'call', tool: 'vzctl', argv: hostile, exit: 21 }]);
  });

  test('vzlist prints the columns of the original', async (context) => {
    needs(context, (await findTool(name)) !== null, `no ${name} here`);
    const vzlist = (...args: string[]) => runTool(it.facts, shell, 'vzlist', ...args);
    expect((await vzlist()).stdout).toBe('      CTID      NPROC STATUS    IP_ADDR         HOSTNAME\n       204          8 running   10.1.1.204      ct204\n');
    expect((await vzlist('-H', '-o', 'ctid,tcpsndbuf.l,tcpsndbuf.f')).stdout).toBe('       204    2703360          0\n');
    expect((await vzlist('-o', 'tcpsndbuf,numproc.m')).stdout.split('\n')[0]).toBe('   TCPSNDB    NPROC.M');
    expect(JSON.parse((await vzlist('-j', '-o', 'ctid,numproc,status')).stdout)).toEqual([{ ctid: 204, numproc: 8, status: 'running' }]);
    expect(await vzlist('999')).toMatchObject({ code: 1, stderr: 'Container(s) not found\n' });
    await vzctl('stop', '204');
    expect(await vzlist()).toMatchObject({ code: 1, stderr: 'Container(s) not found\n' });
    expect((await vzlist('-a')).stdout).toContain('       204          - stopped   10.1.1.204      ct204\n');
  });
});

describe('on request the fakes', () => {
  const vzctl = (...args: string[]) => runTool(it.facts, ['sh'], 'vzctl', ...args);

  test('lie: exit 0 and the right words, without effect', async () => {
    it.lab.kernel.misbehave({ set: 'lie' });
    expect(await vzctl('set', '204', '--save', '--tcpsndbuf', '4000000')).toMatchObject({
      code: 0,
      stdout: 'UB limits were set successfully\nCT configuration saved to /etc/vz/conf/204.conf\n',
    });
    expect(limitNow()).toBe('1720320:2703360');
    expect(conf()).not.toContain('4000000');
  });

  test('are locked, slow, or hang until somebody loses patience', async () => {
    it.lab.kernel.misbehave({ set: 'locked', status: 'slow:0.4', exec2: 'hang' });
    expect(await vzctl('set', '204', '--tcpsndbuf', '4000000')).toEqual({ code: 9, stdout: '', stderr: 'Container already locked\n' });
    const began = Date.now();
    expect(await vzctl('status', '204')).toMatchObject({ code: 0 });
    expect(Date.now() - began).toBeGreaterThanOrEqual(390);
    expect(await run(join(it.facts.hostDir, 'usr', 'sbin', 'vzctl'), ['exec2', '204', 'true'], { timeoutMs: 700 })).toMatchObject({ code: -1 });
    it.lab.kernel.misbehave({});
    expect(await vzctl('exec2', '204', 'true')).toMatchObject({ code: 0 });
  });

  test('show half a beancounters file, none, or an old one', async () => {
    const file = join(it.facts.hostDir, 'proc', 'user_beancounters');
    const whole = readFileSync(file, 'utf8');
    it.lab.kernel.misbehave({ beancounters: 'half' });
    expect(whole.startsWith(readFileSync(file, 'utf8'))).toBe(true);
    expect(readFileSync(file, 'utf8').endsWith('\n')).toBe(false);
    it.lab.kernel.misbehave({ beancounters: 'missing' });
    expect(() => readFileSync(file)).toThrow('ENOENT');
    it.lab.kernel.misbehave({});
    await until(() => readFileSync(file, 'utf8').split('\n').length === whole.split('\n').length);
  });
});
