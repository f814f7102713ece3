import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { access, readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { inCheckout } from './root.js';

const run = promisify(execFile);

/** Paths of the two servers that everything runs on. */
export interface Servers {
  temporal: string;
  natsServer: string;
}

export interface ServerKind {
  key: keyof Servers;
  file: string;
  /** The Go package that it is built from; its version is pinned, with checksums, in stack/servers. */
  module: string;
  atLeast: string;
  /** What `--version` says about it. For temporal that is the server inside: the command line counts its own versions. */
  version: RegExp;
}
export const SERVER_KINDS: readonly ServerKind[] = [
  { key: 'temporal', file: 'temporal', module: 'github.com/temporalio/cli/cmd/temporal', atLeast: '1.31.2', version: /Server (\d+\.\d+\.\d+)/ },
  { key: 'natsServer', file: 'nats-server', module: 'github.com/nats-io/nats-server/v2', atLeast: '2.14.3', version: /v?(\d+\.\d+\.\d+)/ },
];

export const MODULE_DIR = inCheckout('stack', 'servers');
export type Env = Record<string, string | undefined>;

/** Where servers that we built are kept: one directory for each set of pinned versions, shared by all checkouts of this user. */
export async function cacheDir(env: Env): Promise<string> {
  const hash = createHash('sha256');
  for (const file of ['go.mod', 'go.sum']) hash.update(await readFile(join(MODULE_DIR, file)));
  const base = env['XDG_CACHE_HOME'] !== undefined && env['XDG_CACHE_HOME'] !== '' ? env['XDG_CACHE_HOME'] : join(homedir(), '.cache');
  return join(base, 'nightshift', `servers-${hash.digest('hex').slice(0, 16)}`);
}

/** What is there: on PATH first if new enough, else built before. Which one was passed over, and why, is said through `say`. */
export async function findServers(env: Env, say: (line: string) => void): Promise<{ found: Partial<Servers>; missing: ServerKind[] }> {
  const built = join(await cacheDir(env), 'bin');
  const found: Partial<Servers> = {};
  for (const kind of SERVER_KINDS) {
    for (const path of [...(await onPath(kind.file, env)), join(built, kind.file)]) {
      if (!(await isExecutable(path))) continue;
      const version = await versionOf(path, kind);
      if (version !== null && !isOlder(version, kind.atLeast)) {
        found[kind.key] = path;
        break;
      }
      say(`${path} is not used: ${version === null ? 'its version cannot be told' : `version ${version}`}, and ${kind.atLeast} is the oldest that will do`);
    }
  }
  return { found, missing: SERVER_KINDS.filter((kind) => found[kind.key] === undefined) };
}

async function onPath(file: string, env: Env): Promise<string[]> {
  const paths = (env['PATH'] ?? '')
    .split(delimiter)
    .filter((dir) => dir.startsWith('/'))
    .map((dir) => join(dir, file));
  const there: string[] = [];
  for (const path of paths) if (await isExecutable(path)) there.push(path);
  return [...new Set(there)].slice(0, 1);
}

const isExecutable = (path: string): Promise<boolean> =>
  access(path, constants.X_OK).then(
    () => true,
    () => false,
  );

async function versionOf(path: string, kind: ServerKind): Promise<string | null> {
  try {
    const { stdout } = await run(path, ['--version'], { timeout: 10_000 });
    return kind.version.exec(stdout)?.[1] ?? null;
  } catch {
    return null; // Not that program, or broken: said by the caller.
  }
}

export function isOlder(version: string, than: string): boolean {
  const [a, b] = [version, than].map((text) => text.split('.').map(Number));
  for (let i = 0; i < 3; i += 1) {
    const difference = (a?.[i] ?? 0) - (b?.[i] ?? 0);
    if (difference !== 0) return difference < 0;
  }
  return false;
}
