// `npm run check`: what has to hold before a commit, within two minutes. All steps run, whatever the first one says; the exit code is 1 when any failed.
// `--fix` lets the formatter and the linter change what they can; names select steps: `node scripts/check.mjs lint types`.
import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const args = process.argv.slice(2);
const fix = args.includes('--fix');
const only = args.filter((arg) => !arg.startsWith('--'));

/** Name, what runs, its arguments. The quick ones first. */
const STEPS = [
  ['format', 'node_modules/oxfmt/bin/oxfmt', [fix ? '--write' : '--check', '.']],
  ['lint', 'node_modules/oxlint/bin/oxlint', [...(fix ? ['--fix'] : []), '--deny-warnings', '.']],
  ['types', 'node_modules/typescript/bin/tsc', ['--noEmit', '-p', '.']],
  ['dead exports', 'node_modules/knip/bin/knip.js', ['--no-progress', '--no-config-hints']],
  ['boundaries and unit tests', 'node_modules/vitest/vitest.mjs', ['run', '--project', 'unit', '--reporter', 'dot']],
];

const unknown = only.filter((name) => !STEPS.some(([step]) => step === name));
if (unknown.length > 0) {
  process.stderr.write(
    `check: no step ${unknown.map((name) => JSON.stringify(name)).join(', ')}; there are ${STEPS.map(([step]) => JSON.stringify(step)).join(', ')}\n`,
  );
  process.exit(2);
}

const results = [];
for (const [name, program, programArgs] of STEPS) {
  if (only.length > 0 && !only.includes(name)) continue;
  process.stdout.write(`check: ${name}\n`);
  const start = performance.now();
  const code = await run(program, programArgs);
  results.push({ name, code, seconds: (performance.now() - start) / 1000 });
}
process.stdout.write('\n');
for (const { name, code, seconds } of results)
  process.stdout.write(`check: ${code === 0 ? 'ok    ' : 'FAILED'} ${name.padEnd(26)} ${seconds.toFixed(1).padStart(6)} s\n`);
process.stdout.write(`check: ${results.reduce((sum, { seconds }) => sum + seconds, 0).toFixed(1)} s in all\n`);
process.exitCode = results.some(({ code }) => code !== 0) ? 1 : 0;

/** Runs one of our tools with this Node and resolves with its exit code; a signal counts as a failure. */
function run(program, programArgs) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(root, program), ...programArgs], { cwd: root, stdio: 'inherit' });
    child.on('error', (cause) => reject(new Error(`${program} could not be started: run npm install`, { cause })));
    child.on('exit', (code) => resolve(code ?? 1));
  });
}
