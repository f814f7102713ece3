import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openLab, type Lab } from '../../lab/lab.js';
import { prepareLab } from '../../lab/prepare.js';
import { until } from '../until.js';

let dir: string; let lab: Lab; let facts: Awaited<ReturnType<typeof prepareLab>>;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'lab-'));
  facts = await prepareLab({ dir, sshPort: 17406 });
  console.log(facts);
  lab = await openLab(facts);
});
afterAll(async () => { await lab?.close(); await rm(dir, { recursive: true, force: true }); });
test('x', async () => {
  console.log(lab.kernel.state());
  lab.kernel.play('surge', []);
  const t = Date.now();
  await until(() => !lab.kernel.state().enterable);
  console.log(Date.now() - t, lab.kernel.state());
  await new Promise((r) => setTimeout(r, 2000));
  console.log((await promisify(execFile)('ps', ['-eo', 'pid,ppid,ni,cls,s,pcpu,rss,comm,args', '--sort=-pcpu'])).stdout.split('\n').filter((l) => /httpd|init|sshd/.test(l)).slice(0, 70).join('\n'));
  console.log(lab.kernel.state());
  expect(1).toBe(1);
}, 60000);
