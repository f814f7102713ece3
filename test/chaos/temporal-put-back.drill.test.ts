import { copyFile, mkdir, readFile, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Stored } from '../../activities/audit-log.js';
import { jetstreamManager } from '../../activities/nats.js';
import { BRIDGE_CONSUMER } from '../../events/streams.js';
import { processOf } from '../../stack/stack-file.js';
import { until } from '../until.js';
import { stackUnderTest, type StackUnderTest } from './stack-under-test.js';

/* Temporal's file is put back to a copy from before the drill. What the audit knows to have been done is not done again. */
let stack: StackUnderTest;
let copy: string;
beforeAll(async () => {
  stack = await stackUnderTest();
  copy = join(stack.dir, 'temporal-before');
  await stack.restart(() => copyFiles(database(), copy));
});
afterAll(() => stack.remove());

const database = (): string => join(stack.dir, 'data', 'temporal');

async function copyFiles(from: string, to: string): Promise<void> {
  await rm(to, { recursive: true, force: true });
  await mkdir(to, { recursive: true });
  for (const name of await readdir(from)) await copyFile(join(from, name), join(to, name));
}

test('put back in the middle of the drill: the same incident goes on, and each effect still happened once', async () => {
  const puts: Promise<void>[] = [];
  const putBack = async (): Promise<void> => {
    const temporal = processOf(await stack.file(), 'temporal').pid;
    if (temporal === undefined) throw new Error('the stack has no Temporal');
    // The supervisor must not start it again before the file lies there: SIGSTOP Temporal's parent for the time being.
    const parent = await parentOf(temporal);
    process.kill(parent, 'SIGSTOP');
    try {
      process.kill(temporal, 'SIGKILL');
      await until(async () => !(await isAlive(temporal)), { what: 'the death of Temporal' });
      await copyFiles(copy, database());
    } finally {
      process.kill(parent, 'SIGCONT');
    }
  };
  const onRecord = ({ record }: Stored): void => {
    if (record.fact === 'outcome' && record.step === 'raise-limit' && puts.length === 0) puts.push(putBack());
  };
  const result = await stack.drill('relieve-container', onRecord);
  await Promise.all(puts);
  expect(puts).toHaveLength(1);
  expect(result.problems, result.lines.join('\n')).toEqual([]);
  const records = await stack.audit.ofIncident(result.incident ?? '');
  const steps = records.flatMap(({ record }) => (record.fact === 'intent' ? [record.step] : []));
  expect(new Set(steps).size, `claimed twice: ${steps.join(' ')}`).toBe(steps.length);
});

test('put back afterwards: nothing is done again', async () => {
  const effects = (await stack.audit.all({ facts: ['intent'] })).length;
  expect(effects).toBeGreaterThan(0);
  await stack.restart(() => copyFiles(copy, database()));
  expect(await stack.audit.openProblems()).toEqual([]);
  const jsm = await jetstreamManager(stack.nc, { checkAPI: false });
  await until(async () => (await jsm.consumers.info('EVT', BRIDGE_CONSUMER)).num_pending === 0, { what: 'every event taken' });
  expect((await stack.audit.all({ facts: ['intent'] })).length).toBe(effects);
  expect((await stack.lab.state()).tcpsndbuf.failcnt).toBe(0);
});

async function parentOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
}

async function isAlive(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null);
  return stat !== null && !/\) [ZX] /.test(stat);
}
