import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { EXIT, EXIT_TABLE } from '../../operator/cli/exit-codes.js';
import { exitCodesText } from '../../operator/cli/program.js';
import { inCheckout } from '../../stack/root.js';

const docs = readFileSync(inCheckout('docs', 'exit-codes.md'), 'utf8');

test('the help and the documentation hold the same table of exit codes, and every code is in it', () => {
  expect(EXIT_TABLE.map(([code]) => code)).toEqual(Object.values(EXIT));
  for (const [code, meaning] of EXIT_TABLE) {
    expect(docs).toContain(`| ${code} | ${meaning} |`);
    expect(exitCodesText()).toMatch(new RegExp(`^ +${code} +${meaning}$`, 'm'));
  }
});

test('every error code that a program may meet is documented', () => {
  const room = inCheckout('operator', 'cli');
  const sources = [...readdirSync(room), ...readdirSync(join(room, 'commands')).map((name) => join('commands', name))]
    .filter((name) => name.endsWith('.ts'))
    .map((name) => readFileSync(join(room, name), 'utf8'));
  const codes = new Set(
    sources.flatMap((text) => [...text.matchAll(/new CliError\(EXIT\.\w+, '(\w+)'|code: '(\w+)', message/g)].map((match) => match[1] ?? match[2] ?? '')),
  );
  expect(codes.size).toBeGreaterThan(12);
  for (const code of codes) expect(docs, code).toContain(`\`${code}\``);
});
