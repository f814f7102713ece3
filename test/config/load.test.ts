import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { didYouMean, editDistance } from '../../config/did-you-mean.js';
import { loadConfig, parseConfig, versionOf } from '../../config/load.js';
import { formatProblem } from '../../config/problem.js';

const fixtures = join(import.meta.dirname, 'fixtures');
const cases = (kind: 'good' | 'bad'): string[] =>
  readdirSync(join(fixtures, kind))
    .filter((name) => name.endsWith('.yaml'))
    .map((name) => name.slice(0, -'.yaml'.length));
const dir = mkdtempSync(join(tmpdir(), 'nightshift-config-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const tell = (result: Awaited<ReturnType<typeof loadConfig>>): string[] => (result.ok ? [] : result.problems.map(formatProblem));

describe('what is in the file', () => {
  test.each(cases('good'))('good: %s', (name) => {
    expect(tell(parseConfig(readFileSync(join(fixtures, 'good', `${name}.yaml`)), `${name}.yaml`))).toEqual([]);
  });

  // Beside each bad file lies what is said about it, line by line: the file name, line, column and path included.
  test.each(cases('bad'))('bad: %s', (name) => {
    const bytes = readFileSync(join(fixtures, 'bad', `${name}.yaml`));
    const expected = readFileSync(join(fixtures, 'bad', `${name}.expect`), 'utf8');
    expect(expected.trim()).not.toBe('');
    expect(`${tell(parseConfig(bytes, 'nightshift.yaml')).join('\n')}\n`).toBe(expected);
  });

  test('the example that a newcomer starts from is good', async () => {
    expect(tell(await loadConfig(join(import.meta.dirname, '../../config/nightshift.example.yaml')))).toEqual([]);
  });

  test('a container id without quotes is the same container', () => {
    const result = parseConfig(readFileSync(join(fixtures, 'good/container-id-without-quotes.yaml')), 'x.yaml');
    expect(result.ok && Object.keys(result.loaded.config.fleet.hosts['dauntless']?.containers ?? {})).toEqual(['204']);
  });

  test('files named in it are looked for beside it, wherever the process was started', () => {
    const result = parseConfig(readFileSync(join(fixtures, 'good/lab-on-loopback.yaml')), '/srv/fleet/nightshift.yaml');
    expect(result.ok && result.loaded.config.fleet.hosts['dauntless']?.ssh).toMatchObject({
      keyFile: '/srv/fleet/keys/lab',
      knownHostsFile: '/etc/lab/known_hosts',
    });
  });

  test('the version is the hash of the bytes, so that a changed comment is another version', () => {
    const text = readFileSync(join(fixtures, 'good/smallest.yaml'), 'utf8');
    const one = parseConfig(Buffer.from(text), 'x.yaml');
    const other = parseConfig(Buffer.from(`${text}# changed\n`), 'x.yaml');
    expect(one.ok && one.loaded.version).toMatch(/^[0-9a-f]{12}$/);
    expect(one.ok && one.loaded.version).toBe(versionOf(Buffer.from(text)));
    expect(one.ok && other.ok && one.loaded.version === other.loaded.version).toBe(false);
  });

  test('a byte order mark does no harm', () => {
    expect(tell(parseConfig(Buffer.concat([Buffer.from([0xef, 0xbb, 0xbf]), readFileSync(join(fixtures, 'good/smallest.yaml'))]), 'x.yaml'))).toEqual([]);
  });

  test('bytes that are not UTF-8 are refused, not replaced', () => {
    expect(tell(parseConfig(Buffer.from([0x61, 0x3a, 0xff, 0xfe]), 'x.yaml'))).toEqual(['x.yaml:1:1 is not UTF-8 text']);
  });

  test.each([
    ['lists in lists', '['.repeat(500_000)],
    ['maps in maps', '{a: '.repeat(200_000)],
    ['lists on one line', '- '.repeat(400_000)],
    ['a staircase', Array.from({ length: 1000 }, (_, i) => `${' '.repeat(i)}a:`).join('\n')],
  ])('%s without end are refused quickly and without taking the process along', (_, text) => {
    const start = performance.now();
    const [first] = tell(parseConfig(Buffer.from(text), 'x.yaml'));
    expect(first).toMatch(/nested deeper than 64 levels|Maximum call stack/i);
    expect(performance.now() - start).toBeLessThan(3000);
  });

  test('a megabyte of keys is read in a moment, although looking for double ones', () => {
    const text = `version: 1\nsite: lab\nrules: []\nfleet:\n  hosts: {}\n  domains:\n${Array.from({ length: 50_000 }, (_, i) => `    d${i}: {}`).join('\n')}\n`;
    const start = performance.now();
    expect(tell(parseConfig(Buffer.from(text), 'x.yaml'))).toEqual([]);
    expect(performance.now() - start).toBeLessThan(5000);
  });

  test('a thousand mistakes are counted, not all told', () => {
    const text = `version: 1\nsite: lab\nfleet: { hosts: {} }\nrules: []\n${Array.from({ length: 1000 }, (_, i) => `key${i}: 1`).join('\n')}\n`;
    const told = tell(parseConfig(Buffer.from(text), 'x.yaml'));
    expect(told).toHaveLength(201);
    expect(told.at(-1)).toContain('and 800 more problems');
  });

  test('whatever stands in the file, there is an answer, and each problem is one line', () => {
    const good = readFileSync(join(fixtures, 'good/condition-over-several-lines.yaml'), 'utf8');
    fc.assert(
      fc.property(fc.nat(good.length), fc.nat(40), fc.string({ unit: 'binary', maxLength: 12 }), (at, cut, insert) => {
        const result = parseConfig(Buffer.from(good.slice(0, at) + insert + good.slice(at + cut)), 'x.yaml');
        for (const line of tell(result)) {
          expect(line).toMatch(/^x\.yaml:[1-9]\d*:[1-9]\d* \S/);
          expect(line).not.toMatch(/[\u0000-\u001f\u007f\u2028\u2029]/);
        }
        if (!result.ok) expect(result.problems.length).toBeGreaterThan(0);
      }),
      { numRuns: 300 },
    );
  });
});

describe('what the file is', () => {
  test('a file that is not there is named, with where to begin', async () => {
    expect(tell(await loadConfig(join(dir, 'none.yaml')))[0]).toContain('none.yaml:1:1 there is no such file, name it with --config');
  });

  test('a directory is not a file', async () => {
    expect(tell(await loadConfig(dir))).toEqual([`${dir}:1:1 is not a file`]);
  });

  test('a FIFO is refused at once instead of being waited for', async () => {
    const fifo = join(dir, 'fifo');
    execFileSync('mkfifo', ['--', fifo]);
    expect(tell(await loadConfig(fifo))).toEqual([`${fifo}:1:1 is not a file`]);
  });

  test('an empty file is refused', async () => {
    const file = join(dir, 'empty.yaml');
    writeFileSync(file, '');
    expect(tell(await loadConfig(file))).toEqual([`${file}:1:1 is empty, begin with \`version: 1\``]);
  });

  test('a file larger than 1 MiB is not read', async () => {
    const file = join(dir, 'large.yaml');
    writeFileSync(file, `# ${'x'.repeat(1024 * 1024)}\n`);
    expect(tell(await loadConfig(file))).toEqual([`${file}:1:1 is larger than 1 MiB`]);
  });

  test('a path through something that is no directory is an answer, not a crash', async () => {
    const file = join(dir, 'plain');
    writeFileSync(file, '');
    mkdirSync(join(dir, 'sub'));
    expect(tell(await loadConfig(join(file, 'x.yaml')))[0]).toContain('cannot be read: ENOTDIR');
  });
});

describe('did you mean', () => {
  test.each([
    ['detla', 'delta'],
    ['Delta', 'delta'],
    ['interval_seconds', 'intervalSeconds'],
    ['servise', 'service'],
  ])('%s: %s', (typed, meant) => {
    expect(didYouMean(typed, ['delta', 'intervalSeconds', 'service', 'x'])).toBe(`did you mean "${meant}"?`);
  });

  test('a word unlike all others gets no guess', () => {
    expect(didYouMean('frobnicate', ['delta', 'held', 'x'])).toBeUndefined();
  });

  test('the distance is a metric: nothing to itself, the same both ways, never more than the longer word', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 12 }), fc.string({ maxLength: 12 }), (a, b) => {
        const distance = editDistance(a, b);
        expect(editDistance(a, a)).toBe(0);
        expect(distance).toBe(editDistance(b, a));
        expect(distance).toBeLessThanOrEqual(Math.max(a.length, b.length));
        expect(distance === 0).toBe(a === b);
      }),
    );
  });
});
