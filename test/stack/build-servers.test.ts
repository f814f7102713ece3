import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ServersMissing, ensureServers } from '../../stack/build-servers.js';
import { cacheDir, isOlder } from '../../stack/find-servers.js';

let dir: string;
let said: string[];
const say = (line: string): void => void said.push(line);
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'nightshift-servers-'));
  said = [];
  await mkdir(join(dir, 'bin'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const program = async (path: string, script: string): Promise<void> => {
  await mkdir(join(path, '..'), { recursive: true });
  await writeFile(path, `#!/bin/sh\n${script}\n`);
  await chmod(path, 0o755);
};
const TEMPORAL = 'echo "temporal version 0.0.0-DEV (Server 1.31.2, UI 2.50.1)"';
const NATS = 'echo "nats-server: v2.14.5"';
const env = () => ({ PATH: `${join(dir, 'bin')}:/usr/bin:/bin`, XDG_CACHE_HOME: join(dir, 'cache'), HOME: dir, DIR: dir });
/** Writes what `go install` would have built, and keeps a line for each call. */
const fakeGo = (install: string): Promise<void> =>
  program(
    join(dir, 'bin', 'go'),
    `
case "$1" in
env) echo go1.26.8;;
install) echo "$@" >> "$DIR/calls"; echo "runtime" >&2; echo "github.com/nats-io/nats-server/v2/server" >&2; sleep 0.3; ${install};;
esac`,
  );
const INSTALL_BOTH = `printf '#!/bin/sh\\n${TEMPORAL}\\n' > "$GOBIN/temporal"; printf '#!/bin/sh\\n${NATS}\\n' > "$GOBIN/nats-server"; chmod +x "$GOBIN"/*`;

test('servers on PATH that are new enough are used, and nothing is built', async () => {
  await program(join(dir, 'bin', 'temporal'), TEMPORAL);
  await program(join(dir, 'bin', 'nats-server'), NATS);
  expect(await ensureServers({ env: env(), say })).toEqual({ temporal: join(dir, 'bin', 'temporal'), natsServer: join(dir, 'bin', 'nats-server') });
  expect(said).toEqual([]);
});

test('a server on PATH that is too old is passed over, with the reason, for one that is built', async () => {
  await program(join(dir, 'bin', 'nats-server'), 'echo "nats-server: v2.10.27"');
  await fakeGo(INSTALL_BOTH);
  const found = await ensureServers({ env: env(), say });
  expect(found.natsServer).toBe(join(await cacheDir(env()), 'bin', 'nats-server'));
  expect(said.join('\n')).toContain('version 2.10.27, and 2.14.3 is the oldest that will do');
});

test('a temporal whose server is too old is passed over however new the command line is', async () => {
  await program(join(dir, 'bin', 'temporal'), 'echo "temporal version 9.9.9 (Server 1.29.1, UI 2.42.1)"');
  await program(join(dir, 'bin', 'nats-server'), NATS);
  await fakeGo(INSTALL_BOTH);
  expect((await ensureServers({ env: env(), say })).temporal).toBe(join(await cacheDir(env()), 'bin', 'temporal'));
});

test('what is missing is built once, with an estimate, and found the next time', async () => {
  await fakeGo(INSTALL_BOTH);
  await ensureServers({ env: env(), say });
  expect(said[0]).toMatch(/^building temporal and nats-server with go1.26.8 .*about \d+ (s|min)/);
  await ensureServers({ env: env(), say });
  expect((await readFile(join(dir, 'calls'), 'utf8')).trim().split('\n')).toHaveLength(1);
});

test('of two builds at once one builds and the other waits for it', async () => {
  await fakeGo(INSTALL_BOTH);
  const [a, b] = await Promise.all([ensureServers({ env: env(), say }), ensureServers({ env: env(), say })]);
  expect(a).toEqual(b);
  expect((await readFile(join(dir, 'calls'), 'utf8')).trim().split('\n')).toHaveLength(1);
});

test('a build whose builder has died is taken over', async () => {
  await fakeGo(INSTALL_BOTH);
  const cache = await cacheDir(env());
  await mkdir(cache, { recursive: true });
  await writeFile(join(cache, 'building.json'), JSON.stringify({ pid: process.pid, startTicks: 1 }));
  await expect(ensureServers({ env: env(), say })).resolves.toBeDefined();
});

test('a build that fails says what the compiler said and leaves nothing that looks built', async () => {
  await fakeGo('echo "no space left on device" >&2; exit 1');
  await expect(ensureServers({ env: env(), say })).rejects.toThrow(/no space left on device/);
  await expect(ensureServers({ env: env(), say })).rejects.toThrow(ServersMissing);
});

test('without Go the error names what is missing and the command that gets it', async () => {
  const without = { ...env(), PATH: join(dir, 'bin') };
  await expect(ensureServers({ env: without, say })).rejects.toThrow(
    /temporal .* and nats-server .*Go >= 1\.26[\s\S]*curl -fsSL https:\/\/go\.dev\/dl\/go1\.26/,
  );
});

test('versions are compared as numbers', () => {
  expect(isOlder('2.9.10', '2.14.3')).toBe(true);
  expect(isOlder('2.14.3', '2.14.3')).toBe(false);
  expect(isOlder('10.0.0', '9.9.9')).toBe(false);
});
