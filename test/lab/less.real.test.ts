import { expect, test } from 'vitest';
import type { LabFacts } from '../../lab/facts.js';
import { until } from '../until.js';
import { labUnderTest, run, runTool } from './lab-under-test.js';

test.each<[string, Partial<LabFacts>]>([
  ['no sshd: it manages this machine', { transport: 'local', namespaces: false }],
  ['no cgroups: a session stands for them', { group: 'session' }],
  ['neither', { transport: 'local', namespaces: false, group: 'session' }],
])(
  'with %s, it runs away and is relieved all the same',
  async (_what, less) => {
    const { lab, facts, close } = await labUnderTest(less);
    try {
      const vzctl = (...args: string[]) =>
        facts.namespaces
          ? run('nsenter', ['-t', String(lab.hostPid), '-m', '-p', '--', `${facts.hostDir}/usr/sbin/vzctl`, ...args])
          : runTool(facts, ['sh'], 'vzctl', ...args);
      lab.kernel.play('surge', []);
      await until(() => !lab.kernel.state().enterable, { what: 'it runs away' });
      expect(lab.kernel.state()).toMatchObject({ processes: 62, stuck: 40 });
      expect((await vzctl('set', '204', '--tcpsndbuf', '7900000:8000000')).code).toBe(0);
      await until(() => lab.kernel.state().stuck === 0 && lab.kernel.state().enterable, { what: 'a limit for all of them ends it' });
      expect(await vzctl('exec2', '204', 'service', 'httpd', 'restart')).toMatchObject({ code: 0 });
      expect(lab.kernel.state().workers).toBe(24);
      // What was entered from outside is counted in a cgroup, until it has gone.
      await until(() => lab.kernel.state().processes === 26, { what: 'init, master and workers are left' });
    } finally {
      await close();
    }
  },
  60_000,
);
