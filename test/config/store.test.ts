import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { NoConfigError, openConfigStore } from '../../config/store.js';

const good = (site: string): string =>
  `version: 1\nsite: ${site}\nfleet: { hosts: { dauntless: { address: 127.0.0.1, ssh: { keyFile: keys/k, knownHostsFile: keys/h } } } }\nrules: []\n`;
const bad = 'version: 1\nsite: lab\nfleet: { hosts: {} }\nrulez: []\n';

let dir: string;
let file: string;
let directory: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'nightshift-store-'));
  file = join(dir, 'nightshift.yaml');
  directory = join(dir, 'config');
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));
const open = () => openConfigStore({ file, directory });

describe('reload', () => {
  test('a good file is taken into force, and the version before it can still be asked for', async () => {
    writeFileSync(file, good('one'));
    const store = await open();
    const before = store.current().version;
    writeFileSync(file, good('two'));
    expect(store.current().config.site).toBe('one');
    expect(await store.reload()).toMatchObject({ accepted: true, problems: [] });
    expect(store.current().config.site).toBe('two');
    expect((await store.get(before))?.config.site).toBe('one');
  });

  test('a bad file is refused with its problems, and the last good one stays', async () => {
    writeFileSync(file, good('one'));
    const store = await open();
    const { version } = store.current();
    writeFileSync(file, bad);
    const change = await store.reload();
    expect(change).toMatchObject({ accepted: false, version });
    expect(change.problems.map((p) => `${p.line} ${p.path}`)).toEqual(['1 rules', '4 rulez']);
    expect(store.current().config.site).toBe('one');
  });

  test('a file that has gone is refused like a bad one', async () => {
    writeFileSync(file, good('one'));
    const store = await open();
    rmSync(file);
    expect(await store.reload()).toMatchObject({ accepted: false });
    expect(store.current().config.site).toBe('one');
  });

  test('ten reloads at once end with what the file says', async () => {
    writeFileSync(file, good('one'));
    const store = await open();
    writeFileSync(file, good('two'));
    const changes = await Promise.all(Array.from({ length: 10 }, () => store.reload()));
    expect(new Set(changes.map((c) => c.version))).toEqual(new Set([store.current().version]));
    expect(store.current().config.site).toBe('two');
  });
});

describe('start', () => {
  test('with a bad file the last good version is in force, and it is said', async () => {
    writeFileSync(file, good('one'));
    const { version } = (await open()).current();
    writeFileSync(file, bad);
    const again = await open();
    expect(again.atStart).toMatchObject({ accepted: false, version });
    expect(again.atStart.problems).not.toEqual([]);
    expect(again.current().config.site).toBe('one');
  });

  test('with a bad file, the last good version is the one that was in force last, not the newest by name', async () => {
    writeFileSync(file, good('one'));
    const store = await open();
    for (const site of ['two', 'one']) {
      writeFileSync(file, good(site));
      await store.reload();
    }
    writeFileSync(file, bad);
    expect((await open()).current().config.site).toBe('one');
  });

  test('with a bad file and nothing before it, it is a clear failure that holds every problem', async () => {
    writeFileSync(file, bad);
    const failure = await open().catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(NoConfigError);
    expect((failure as Error).message).toContain(`${file}:4:1 rulez: unknown key, did you mean "rules"?`);
  });

  test('files named in a version that is read back are still looked for beside the original', async () => {
    writeFileSync(file, good('one'));
    const expected = (await open()).current().config.fleet.hosts['dauntless']?.ssh?.keyFile;
    expect(expected).toBe(join(dir, 'keys/k'));
    writeFileSync(file, bad);
    const { config, file: named } = (await open()).current();
    expect(config.fleet.hosts['dauntless']?.ssh?.keyFile).toBe(expected);
    expect(named).toBe(file);
  });
});

describe('versions', () => {
  test('a kept version is the file as it was, byte by byte', async () => {
    const text = `# with a comment\n${good('one')}`;
    writeFileSync(file, text);
    const { version } = (await open()).current();
    expect(readFileSync(join(directory, 'versions', `${version}.yaml`), 'utf8')).toBe(text);
    expect(readdirSync(join(directory, 'versions'))).toEqual([`${version}.yaml`]);
  });

  test('a kept version that was changed on disk is not taken for what it says', async () => {
    writeFileSync(file, good('one'));
    const { version } = (await open()).current();
    appendFileSync(join(directory, 'versions', `${version}.yaml`), '# edited\n');
    writeFileSync(file, good('two'));
    expect(await (await open()).get(version)).toBeNull();
  });

  test('a version outlives the memory of the process: thirty versions later it is read back', async () => {
    writeFileSync(file, good('one'));
    const store = await open();
    const { version } = store.current();
    for (let i = 0; i < 30; i += 1) {
      writeFileSync(file, good(`site-${i}`));
      await store.reload();
    }
    expect((await store.get(version))?.config.site).toBe('one');
    expect((await (await open()).get(version))?.config.site).toBe('one');
  });

  test.each(['../../etc/passwd', '', 'zzzzzzzzzzzz', '000000000000'])('%j names no version', async (version) => {
    writeFileSync(file, good('one'));
    expect(await (await open()).get(version)).toBeNull();
  });
});
