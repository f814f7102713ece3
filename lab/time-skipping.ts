import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFile, chmod, mkdir, mkdtemp, readFile, readdir, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { inCheckout } from '../stack/root.js';
import { findTool } from './prepare.js';

const run = promisify(execFile);

export type TimeSkipping = { executable: string } | { executable: null; why: string };

/**
 * The test server that skips time, for `createTimeSkipping({ server: { executable: { type: 'existing-path', path } } })`. Its jars (38 MB) are fetched once by
 * Maven into the user's cache. `why` says what is missing and how to get it. One workflow per server: time runs for all of them.
 */
export async function timeSkippingServer(cacheDir = join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'nightshift')): Promise<TimeSkipping> {
  if ((await findTool('java')) === null) return { executable: null, why: 'Java is missing: `npm run lab:install`, as root, gets it' };
  const pom = inCheckout('lab', 'time-skipping', 'pom.xml');
  const wrapper = inCheckout('lab', 'time-skipping', 'test-server');
  const version = createHash('sha256')
    .update(await readFile(pom))
    .update(await readFile(wrapper))
    .digest('hex')
    .slice(0, 12);
  const dir = join(cacheDir, `time-skipping-${version}`);
  const executable = join(dir, 'test-server');
  if (await hasJars(dir)) return { executable };
  if ((await findTool('mvn')) === null)
    return { executable: null, why: 'Maven is missing, which fetches the test server: `npm run lab:install`, as root, gets it' };

  await mkdir(cacheDir, { recursive: true });
  const building = await mkdtemp(join(cacheDir, 'time-skipping-building-'));
  try {
    await copyFile(pom, join(building, 'pom.xml'));
    try {
      await run('mvn', ['-q', '-B', 'dependency:copy-dependencies', '-DoutputDirectory=jars', '-DincludeScope=runtime'], {
        cwd: building,
        timeout: 600_000,
        maxBuffer: 16 * 1024 * 1024,
      });
    } catch (error) {
      const { stdout = '', stderr = '', message } = error as Error & { stdout?: string; stderr?: string };
      return {
        executable: null,
        why: `Maven cannot fetch the test server: ${(stdout + stderr).trim().split('\n').slice(0, 3).join(' ').slice(0, 300) || message}`,
      };
    }
    await copyFile(wrapper, join(building, 'test-server'));
    await chmod(join(building, 'test-server'), 0o755);
    // Somebody else may have been faster; a directory that holds something is never replaced.
    await rename(building, dir).catch(async (error: unknown) => {
      if (!(await hasJars(dir))) throw error;
    });
    return { executable };
  } finally {
    await rm(building, { recursive: true, force: true });
  }
}

const hasJars = (dir: string): Promise<boolean> =>
  readdir(join(dir, 'jars')).then(
    (names) => names.some((name) => name.startsWith('temporal-test-server-')),
    () => false,
  );
