import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { root } from './imports.js';

/** Files with one mistake each, and the word by which the linter names it. The rest of the house is not there: only the rules are tried. */
const MISTAKES: Record<string, [source: string, rule: string]> = {
  'workers/floating.ts': ['export const send = async (): Promise<void> => {};\nexport function go(): void {\n  send();\n}\n', 'no-floating-promises'],
  'workers/misused.ts': [
    'export const ready = async (): Promise<boolean> => true;\nexport const is = (): string => (ready() ? "yes" : "no");\n',
    'no-misused-promises',
  ],
  'workers/thenable.ts': ['export const go = async (): Promise<number> => await 1;\n', 'await-thenable'],
  'workers/thrown.ts': ['export const go = (): never => {\n  throw "no";\n};\n', 'only-throw-error'],
  'workers/any.ts': ['export const go = (x: any): unknown => x;\n', 'no-explicit-any'],
  'stack/default.ts': ['export default 1;\n', 'no-default-export'],
  'stack/upwards.ts': ["export { main } from '../workers/engine/main.js';\n", 'no-restricted-imports'],
  'operator/kernel.ts': ["export { kernel } from '../workflows/kernel.js';\n", 'no-restricted-imports'],
  'operator/cli/deep.ts': ["export { next } from '../../workflows/decide/next.js';\n", 'no-restricted-imports'],
  'workers/agent/client.ts': ["export { Client } from '@temporalio/client';\n", 'no-restricted-imports'],
  'workflows/value.ts': ["export { isToken } from '../events/subjects.js';\n", 'no-restricted-imports'],
  'workflows/package.ts': ["import { createHash } from 'node:crypto';\nexport const hash = createHash;\n", 'no-restricted-imports'],
  'workflows/worker.ts': ["export { Worker } from '@temporalio/worker';\n", 'no-restricted-imports'],
  'workflows/environment.ts': ["export const home = process.env['HOME'];\n", 'no-restricted-globals'],
};
/** The same roads, taken rightly. */
const RIGHT: Record<string, string> = {
  'workflows/right.ts':
    "import { sleep } from '@temporalio/workflow';\nimport type { Target } from '../events/audit.js';\nimport { NOTE } from './messages.js';\nexport const go = async (target: Target): Promise<unknown> => {\n  await sleep(1000);\n  return [target, NOTE];\n};\n",
  'workflows/messages.ts': "export const NOTE = 'note';\n",
  'events/audit.ts': 'export interface Target { host: string }\n',
  'operator/right.ts': "export { NOTE } from '../workflows/messages.js';\n",
};

const dir = mkdtempSync(join(tmpdir(), 'nightshift-lint-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
let said = '';
beforeAll(async () => {
  for (const file of ['.oxlintrc.json', 'tsconfig.json', 'package.json']) cpSync(join(root, file), join(dir, file));
  symlinkSync(join(root, 'node_modules'), join(dir, 'node_modules'));
  for (const [file, source] of [...Object.entries(MISTAKES).map(([name, [text]]) => [name, text] as const), ...Object.entries(RIGHT)]) {
    mkdirSync(dirname(join(dir, file)), { recursive: true });
    writeFileSync(join(dir, file), source);
  }
  said = await new Promise<string>((resolve) => {
    execFile(process.execPath, [join(root, 'node_modules/oxlint/bin/oxlint'), '--format', 'unix', '.'], { cwd: dir }, (_, stdout) => resolve(stdout));
  });
});

test.each(Object.entries(MISTAKES))('the linter sees what is wrong in %s', (file, [, rule]) => {
  expect(
    said
      .split('\n')
      .filter((line) => line.startsWith(`${file}:`))
      .join('\n'),
  ).toContain(rule);
});

test.each(Object.keys(RIGHT))('the linter has nothing against %s', (file) => {
  expect(said.split('\n').filter((line) => line.startsWith(`${file}:`))).toEqual([]);
});
