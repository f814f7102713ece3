import { execFile, spawn } from 'node:child_process';
import { mkdir, rename, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { MODULE_DIR, cacheDir, findServers, type Env, type ServerKind, type Servers } from './find-servers.js';
import { tryLock } from './lock-file.js';

const run = promisify(execFile);

/** Go packages that are compiled from nothing, and the time that takes on one core: 4 min 40 s on two. */
const PACKAGES = 1750;
const CORE_SECONDS = 560;

export class ServersMissing extends Error {
  override readonly name = 'ServersMissing';
}

/**
 * Both servers, built first if they are missing (minutes, once). Safe beside another build: one builds, the other waits and uses what it made.
 * Throws ServersMissing, with the command that helps, when there is nothing to build with.
 */
export async function ensureServers({ env, say, signal }: { env: Env; say: (line: string) => void; signal?: AbortSignal }): Promise<Servers> {
  const before = await findServers(env, say);
  if (before.missing.length === 0) return before.found as Servers;
  const dir = await cacheDir(env);
  await mkdir(dir, { recursive: true });
  const release = await lock(join(dir, 'building.json'), say, signal);
  try {
    const now = await findServers(env, () => {});
    if (now.missing.length > 0) {
      await build(now.missing, dir, env, say, signal);
      const after = await findServers(env, say);
      if (after.missing.length > 0)
        throw new ServersMissing(`built, and still not usable: ${after.missing.map((kind) => kind.file).join(', ')} in ${join(dir, 'bin')}`);
      return after.found as Servers;
    }
    return now.found as Servers;
  } finally {
    release();
  }
}

async function build(missing: readonly ServerKind[], dir: string, env: Env, say: (line: string) => void, signal?: AbortSignal): Promise<void> {
  const names = missing.map((kind) => kind.file).join(' and ');
  const go = await goVersion(env, missing);
  const estimate = Math.round(CORE_SECONDS / availableParallelism());
  say(`building ${names} with ${go} from pinned sources, once: about ${duration(estimate)} on this machine (${availableParallelism()} cores); kept in ${dir}`);

  const bin = join(dir, `building-${process.pid}`);
  await mkdir(bin, { recursive: true });
  const started = Date.now();
  try {
    await install(
      missing,
      bin,
      env,
      (packages) => {
        const spent = (Date.now() - started) / 1000;
        const left = Math.max(5, packages < PACKAGES / 20 ? estimate - spent : (spent * (PACKAGES - packages)) / packages);
        say(`  ${Math.min(packages, PACKAGES)} of about ${PACKAGES} packages, ${duration(spent)} so far, about ${duration(left)} to go`);
      },
      signal,
    );
    await mkdir(join(dir, 'bin'), { recursive: true });
    for (const kind of missing) await rename(join(bin, goBinary(kind)), join(dir, 'bin', kind.file));
  } finally {
    await rm(bin, { recursive: true, force: true });
  }
  say(`built ${names} in ${duration((Date.now() - started) / 1000)}`);
}

/** `go install` calls a program by the last element of its path that is no version. */
const goBinary = (kind: ServerKind): string =>
  kind.module
    .replace(/\/v\d+$/, '')
    .split('/')
    .at(-1) ?? kind.file;

/** `go install -v` names each package on stderr as it is compiled: that is the progress. */
function install(missing: readonly ServerKind[], bin: string, env: Env, progress: (packages: number) => void, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn('go', ['install', '-v', '-trimpath', '-ldflags', '-s -w', ...missing.map((kind) => kind.module)], {
      cwd: MODULE_DIR,
      env: { ...env, GOBIN: bin } as NodeJS.ProcessEnv,
      stdio: ['ignore', 'ignore', 'pipe'],
      ...(signal === undefined ? {} : { signal }),
    });
    let packages = 0;
    const last: string[] = [];
    createInterface({ input: child.stderr }).on('line', (line) => {
      if (/^[\w.~-]+(\/[\w.~-]+)*$/.test(line)) packages += 1;
      last.push(line);
      if (last.length > 30) last.shift();
    });
    const timer = setInterval(() => progress(packages), 10_000);
    const end = (error?: Error): void => {
      clearInterval(timer);
      if (error === undefined) resolve();
      else reject(error);
    };
    child.once('error', (cause) =>
      end(new ServersMissing(signal?.aborted === true ? 'the build of the servers was stopped' : 'go could not be started', { cause })),
    );
    child.once('exit', (code, signal) => end(code === 0 ? undefined : new ServersMissing(`go install ended with ${code ?? signal}:\n${last.join('\n')}`)));
  });
}

/** The Go that this module builds with (the toolchain that go.mod asks for may be fetched by Go itself). */
async function goVersion(env: Env, missing: readonly ServerKind[]): Promise<string> {
  try {
    const { stdout } = await run('go', ['env', 'GOVERSION'], { cwd: MODULE_DIR, env: env as NodeJS.ProcessEnv });
    return stdout.trim();
  } catch (cause) {
    const arch = process.arch === 'x64' ? 'amd64' : process.arch;
    const saw = (cause as { stderr?: string }).stderr?.trim();
    throw new ServersMissing(
      [
        `missing: ${missing.map((kind) => `${kind.file} (${kind.key === 'temporal' ? 'with server ' : ''}${kind.atLeast} or newer)`).join(' and ')}, and Go >= 1.26 to build ${missing.length > 1 ? 'them' : 'it'} with` +
          (saw === undefined || saw === '' ? '.' : `; go says: ${saw}`),
        'Get Go, without root:',
        `  mkdir -p ~/.local && curl -fsSL https://go.dev/dl/go1.26.8.linux-${arch}.tar.gz | tar -C ~/.local -xz && export PATH=$HOME/.local/go/bin:$PATH`,
        `or put ${missing.map((kind) => kind.file).join(' and ')} on PATH.`,
      ].join('\n'),
      { cause },
    );
  }
}

/** One builder at a time. */
async function lock(path: string, say: (line: string) => void, signal?: AbortSignal): Promise<() => void> {
  for (let said = false; ; said = true) {
    const got = tryLock(path);
    if ('release' in got) return got.release;
    if (!said) say(`process ${got.heldBy} is building the servers: waiting for it`);
    await pause(250, undefined, signal === undefined ? {} : { signal });
  }
}

function duration(seconds: number): string {
  const whole = Math.round(seconds);
  return whole < 90 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}
