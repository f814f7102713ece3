import { copyFile, mkdir, readFile, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Stored } from '../../activities/audit-log.js';
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

test('put back after the drill: nothing is done again, and the next outage is served', async () => {
  const first = await stack.drill('relieve-container');
  expect(first.problems, first.lines.join('\n')).toEqual([]);
  const effects = (await stack.audit.all({ facts: ['intent'] })).length;

  await stack.restart(() => copyFiles(copy, database()));
  await until(async () => (await stack.audit.openProblems()).length === 0);
  expect((await stack.audit.all({ facts: ['intent'] })).length).toBe(effects);

  const second = await stack.drill('relieve-container');
  expect(second.problems, second.lines.join('\n')).toEqual([]);
  expect(second.incident).not.toBe(first.incident);
});

test('put back in the middle of the drill: the same incident goes on, and each effect still happened once', async () => {
  let put: Promise<void> | null = null;
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
    if (record.fact === 'outcome' && record.step === 'raise-limit') put ??= putBack();
  };
  const result = await stack.drill('relieve-container', onRecord);
  await put;
  expect(put).not.toBeNull();
  expect(result.problems, result.lines.join('\n')).toEqual([]);
  const records = await stack.audit.ofIncident(result.incident ?? '');
  const steps = records.flatMap(({ record }) => (record.fact === 'intent' ? [record.step] : []));
  expect(new Set(steps).size, `claimed twice: ${steps.join(' ')}`).toBe(steps.length);
});

async function parentOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
}

async function isAlive(pid: number): Promise<boolean> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null);
  return stat !== null && !/\) [ZX] /.test(stat);
}
