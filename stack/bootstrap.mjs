// What the npm scripts run. Plain JavaScript without dependencies: it is here before the packages are.
import { createHash } from 'node:crypto';
import { spawn } from 'node:child_process';
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..');
const NODE_AT_LEAST = [20, 20, 2];
const inRoot = (...parts) => join(ROOT, ...parts);

const COMMANDS = { start, test, check, campaign, bench, build: async () => 0 };

async function main([name, ...args]) {
  const command = COMMANDS[name];
  if (command === undefined) throw new Fault(`usage: node stack/bootstrap.mjs ${Object.keys(COMMANDS).join(' | ')}`);
  checkNode();
  await ensurePackages();
  linkOwnCommand();
  await ensureBuilt();
  return command(args);
}

/** Said without a stack trace: something that whoever runs this can change. */
class Fault extends Error {}

// Standard output belongs to the command (`bench --json` writes one object to it): what happens on the way goes to standard error.
const say = (line) => process.stderr.write(`${line}\n`);

function checkNode() {
  const version = process.versions.node.split('.').map(Number);
  for (let i = 0; i < 3; i += 1) {
    if (version[i] > NODE_AT_LEAST[i]) return;
    if (version[i] < NODE_AT_LEAST[i]) {
      throw new Fault(
        `Nightshift needs Node >= ${NODE_AT_LEAST.join('.')}; this is ${process.versions.node}. Get a newer one from https://nodejs.org/en/download, or: npx --yes node@24 stack/bootstrap.mjs start`,
      );
    }
  }
}

/** Runs a program in the checkout; its output goes to ours. Resolves with its exit code. */
function run(command, args, { env = process.env, stdout = 'inherit' } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: ROOT, env, stdio: ['inherit', stdout === 'stderr' ? 2 : 'inherit', 'inherit'] });
    // Ctrl-C reaches the child by itself, from the terminal; a SIGTERM to us alone has to be handed on.
    const handOn = (signal) => child.kill(signal);
    const stay = () => {};
    process.on('SIGTERM', handOn).on('SIGINT', stay);
    child.once('error', (cause) => reject(new Fault(`${command} could not be started: ${cause.message}`)));
    child.once('exit', (code, signal) => {
      process.off('SIGTERM', handOn).off('SIGINT', stay);
      resolve(code ?? 128 + ({ SIGINT: 2, SIGKILL: 9, SIGTERM: 15 }[signal] ?? 1));
    });
  });
}

async function mustRun(what, command, args) {
  const code = await run(command, args, { stdout: 'stderr' });
  if (code !== 0) throw new Fault(`${what} failed: ${[command, ...args].join(' ')} ended with ${code}`);
}

/** The packages of package-lock.json, exactly; installed again when that file has changed. */
async function ensurePackages() {
  const stamp = inRoot('node_modules', '.nightshift-packages');
  const wanted = hashFiles([inRoot('package-lock.json'), inRoot('package.json')]);
  if (readOrNull(stamp) === wanted) return;
  // Somebody ran npm ci or npm install by himself: npm's own record is as new as the lock file.
  const record = inRoot('node_modules', '.package-lock.json');
  if (!existsSync(record) || statSync(record).mtimeMs < statSync(inRoot('package-lock.json')).mtimeMs) {
    say('installing packages (npm ci)');
    await mustRun('installing packages', 'npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error']);
  }
  writeFileSync(stamp, wanted);
}

/** npx looks into node_modules/.bin first; npm puts the commands of dependencies there, but not the checkout's own. */
function linkOwnCommand() {
  const { bin } = JSON.parse(readFileSync(inRoot('package.json'), 'utf8'));
  mkdirSync(inRoot('node_modules', '.bin'), { recursive: true });
  for (const [name, file] of Object.entries(bin)) {
    const link = inRoot('node_modules', '.bin', name);
    if (lstatSync(link, { throwIfNoEntry: false }) !== undefined) continue;
    const fresh = `${link}.${process.pid}`;
    symlinkSync(relative(dirname(link), inRoot(file)), fresh);
    renameSync(fresh, link);
  }
}

/** Compiles, and builds the workflow bundle, when a source has changed since the last time. */
async function ensureBuilt() {
  const stamp = inRoot('build', '.nightshift-sources');
  const wanted = hashFiles(sources());
  if (readOrNull(stamp) === wanted) return;
  say('building (tsc, workflow bundle)');
  // What was compiled from a source that is gone must not be found. The directory itself stays: a stack may be running from it.
  removeOrphans(inRoot('build'));
  await mustRun('the build', process.execPath, [inRoot('node_modules', 'typescript', 'bin', 'tsc'), '-p', '.']);
  await mustRun('the workflow bundle', process.execPath, [inRoot('build', 'workflows', 'build-bundle.js')]);
  writeFileSync(stamp, wanted);
}

function sources() {
  const { include } = JSON.parse(readFileSync(inRoot('tsconfig.json'), 'utf8').replace(/^\s*\/\/.*$/gm, ''));
  const found = [inRoot('tsconfig.json'), inRoot('package-lock.json')];
  for (const room of include) walk(inRoot(room), (file) => file.endsWith('.ts') && found.push(file));
  return found.sort((a, b) => (a < b ? -1 : 1));
}

function removeOrphans(build) {
  walk(build, (file) => {
    const source = inRoot(relative(build, file).replace(/\.js(\.map)?$/, '.ts'));
    if (/\.js(\.map)?$/.test(file) && !file.includes('workflow-bundle') && !existsSync(source)) rmSync(file);
  });
}

function walk(dir, visit) {
  if (!existsSync(dir)) return;
  for (const entry of readdirSync(dir, { withFileTypes: true })) {
    const path = join(dir, entry.name);
    if (entry.isDirectory() && entry.name !== 'node_modules') walk(path, visit);
    else if (entry.isFile()) visit(path);
  }
}

function hashFiles(files) {
  const hash = createHash('sha256').update(process.versions.node.split('.')[0]);
  for (const file of files) hash.update(relative(ROOT, file)).update('\0').update(readFileSync(file)).update('\0');
  return hash.digest('hex');
}

function readOrNull(file) {
  return existsSync(file) ? readFileSync(file, 'utf8') : null;
}

const built = (...parts) => import(pathToFileURL(inRoot('build', ...parts)).href);

async function start(args) {
  const { main: startStack } = await built('stack', 'start.js');
  return startStack(args, process.env, userDirectory());
}

/** npm runs scripts in the checkout; a relative --dir is meant from where the user stands. */
const userDirectory = () => process.env.INIT_CWD ?? process.cwd();

const vitest = inRoot('node_modules', 'vitest', 'vitest.mjs');

/** All tests, or those that `args` select (as for `vitest run`). The last line is `N passed, N failed, N skipped`. */
async function test(args) {
  const { ensureServers } = await built('stack', 'build-servers.js');
  await ensureServers({ env: process.env, say });
  const labRequired = process.env.LAB_REQUIRED === '1';
  const scratch = mkdtempSync(join(tmpdir(), 'nightshift-test-'));
  try {
    const report = join(scratch, 'report.json');
    const code = await run(process.execPath, [vitest, 'run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`, ...args]);
    return sumUp(readReport(report), code, labRequired);
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

function readReport(file) {
  return existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : { testResults: [] };
}

function sumUp(report, code, labRequired) {
  const tests = report.testResults.flatMap((file) => file.assertionResults.map((result) => ({ ...result, file: relative(ROOT, file.name) })));
  const count = (...statuses) => tests.filter((result) => statuses.includes(result.status)).length;
  const passed = count('passed');
  const skipped = tests.filter((result) => ['skipped', 'pending', 'todo', 'disabled'].includes(result.status));
  // A file that could not even be loaded has no test that failed; nor has a run that broke down.
  const broken = report.testResults.filter((file) => file.status === 'failed' && !file.assertionResults.some((result) => result.status === 'failed')).length;
  const failed = count('failed') + (broken > 0 ? broken : code !== 0 && count('failed') === 0 ? 1 : 0);

  if (skipped.length > 0) {
    process.stdout.write(
      `\nskipped, because this machine lacks what they need (npm run lab:install, as root, brings the lab's Debian packages; it says what):\n`,
    );
    for (const result of skipped) process.stdout.write(`  ${result.file}: ${result.fullName}\n`);
    if (labRequired) process.stdout.write('LAB_REQUIRED=1: a skipped test is a failure\n');
  }
  process.stdout.write(`${passed} passed, ${failed} failed, ${skipped.length} skipped\n`);
  return failed > 0 || passed === 0 || (labRequired && skipped.length > 0) ? 1 : 0;
}

/** What has to be right before a commit; what that is stands in scripts/check.mjs. */
async function check(args) {
  return run(process.execPath, [inRoot('scripts', 'check.mjs'), ...args]);
}

async function campaign(args) {
  return run(process.execPath, [inRoot('build', 'test', 'campaign', 'main.js'), ...args]);
}

async function bench(args) {
  const { ensureServers } = await built('stack', 'build-servers.js');
  await ensureServers({ env: process.env, say });
  return run(process.execPath, [inRoot('build', 'bench', 'bench.js'), ...args]);
}

main(process.argv.slice(2)).then(
  (code) => {
    process.exitCode = code;
  },
  (error) => {
    say(error instanceof Fault ? error.message : (error?.stack ?? String(error)));
    process.exitCode = 1;
  },
);
