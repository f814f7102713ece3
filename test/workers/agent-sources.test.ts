import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parseAnswer } from '../../activities/far-side/answer.js';
import type { SettingsOf } from '../../stack/settings.js';
import { createLocalSource } from '../../workers/agent/local-source.js';
import { createSampleOfAnswer } from '../../workers/agent/sample-of-answer.js';
import { createSayOnce } from '../../workers/agent/say-once.js';
import { createSpikesFile } from '../../workers/agent/spikes-file.js';
import { viaSshOf } from '../../workers/agent/via-ssh-of.js';
import { importsOf } from '../house/imports.js';
import { OUTAGE } from './fixtures/beancounters.js';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'nightshift-sources-'));
});
afterEach(async () => {
  await rm(dir, { recursive: true, force: true });
});

async function files(content: Record<string, string>): Promise<void> {
  for (const [name, text] of Object.entries(content)) {
    await mkdir(join(dir, name, '..'), { recursive: true });
    await writeFile(join(dir, name), text);
  }
}
const sources = (more: Partial<SettingsOf<'agent'>['sources']>): SettingsOf<'agent'>['sources'] => ({
  beancounters: null,
  cgroup2: null,
  cgroup1Memory: null,
  containers: {},
  watchAll: false,
  proc: join(dir, 'proc'),
  ...more,
});
const PROC = { 'proc/loadavg': '3.10 0.40 0.28 3/112 15046\n', 'proc/sys/kernel/random/boot_id': '1a629a9f-6ab0-43ef-8632-9b1cfcfdb80c\n' };
const SHOP_V2 = {
  'cg/lab/shop/memory.events': 'low 0\nhigh 0\nmax 1159\noom 6\noom_kill 6\n',
  'cg/lab/shop/memory.max': '67108864\n',
  'cg/lab/shop/memory.current': '66056192\n',
  'cg/lab/shop/memory.pressure': 'some avg10=5.35 avg60=1.20 avg300=0.27 total=1234567\nfull avg10=4.90 avg60=1.10 avg300=0.25 total=1134567\n',
  'cg/lab/shop/pids.events': 'max 5\n',
  'cg/lab/shop/pids.max': 'max\n',
  'cg/lab/shop/pids.current': '31\n',
};
const SHOP_ROWS = [
  { resource: 'memory', held: 66_056_192, barrier: 67_108_864, limit: 67_108_864, failcnt: 1165, stallMicros: 1_234_567 },
  { resource: 'pids', held: 31, barrier: Number.MAX_SAFE_INTEGER, limit: Number.MAX_SAFE_INTEGER, failcnt: 5 },
];

describe('this machine', () => {
  test('load, boot id and beancounters come with one sample', async () => {
    await files({ ...PROC, beancounters: OUTAGE });
    const sample = await createLocalSource(sources({ beancounters: join(dir, 'beancounters') })).sample();
    expect(sample).toMatchObject({
      load1: 3.1,
      bootId: '1a629a9f-6ab0-43ef-8632-9b1cfcfdb80c',
      problems: [],
      tables: { beancounters: [{ container: '204' }, { container: '101' }] },
    });
    expect(sample.cores).toBeGreaterThan(0);
  });

  test('a half-written table is no table, is said, and leaves the rest of the sample', async () => {
    await files({ ...PROC, beancounters: OUTAGE });
    const source = createLocalSource(sources({ beancounters: join(dir, 'beancounters') }));
    await source.sample();
    await files({ beancounters: OUTAGE.slice(0, 1000) });
    expect(await source.sample()).toMatchObject({ load1: 3.1, tables: { beancounters: null }, problems: [expect.stringContaining('beancounters: ')] });
    await rm(join(dir, 'beancounters'));
    expect(await source.sample()).toMatchObject({ tables: { beancounters: null }, problems: [expect.stringContaining('ENOENT')] });
    await files({ beancounters: OUTAGE });
    expect(await source.sample()).toMatchObject({ tables: { beancounters: [{ container: '204' }, { container: '101' }] }, problems: [] });
  });

  test('a cgroup of version 2 gives memory with its stalls, and pids; one that is not there is no container', async () => {
    await files({ ...PROC, ...SHOP_V2 });
    const sample = await createLocalSource(sources({ cgroup2: join(dir, 'cg'), containers: { shop: 'lab/shop', gone: 'lab/gone' } })).sample();
    expect(sample.tables.cgroup2).toEqual([{ container: 'shop', rows: SHOP_ROWS }]);
  });

  test('a cgroup of version 1 gives memory, and pids from the hierarchy beside it', async () => {
    await files({
      ...PROC,
      'cg/memory/shop/memory.failcnt': '92\n',
      'cg/memory/shop/memory.usage_in_bytes': '66056192\n',
      'cg/memory/shop/memory.limit_in_bytes': '9223372036854771712\n',
      'cg/pids/shop/pids.events': 'max 1\n',
      'cg/pids/shop/pids.max': '100\n',
      'cg/pids/shop/pids.current': '100\n',
    });
    const sample = await createLocalSource(sources({ cgroup1Memory: join(dir, 'cg/memory'), watchAll: true })).sample();
    expect(sample.tables.cgroup1).toEqual([
      {
        container: 'shop',
        rows: [
          { resource: 'memory', held: 66_056_192, barrier: Number.MAX_SAFE_INTEGER, limit: Number.MAX_SAFE_INTEGER, failcnt: 92 },
          { resource: 'pids', held: 100, barrier: 100, limit: 100, failcnt: 1 },
        ],
      },
    ]);
  });

  test('a cgroup whose files are not whole is there, but says nothing this time', async () => {
    await files({ ...PROC, ...SHOP_V2, 'cg/lab/shop/memory.events': 'low 0\nhigh 0\nma' });
    const sample = await createLocalSource(sources({ cgroup2: join(dir, 'cg'), containers: { shop: 'lab/shop', 'no such name': 'lab/x' } })).sample();
    expect(sample.tables.cgroup2).toEqual([{ container: 'shop', rows: null }]);
    expect(sample.problems).toEqual([expect.stringContaining('memory.events is not whole'), expect.stringContaining('"no such name" is no container name')]);
  });
});

describe('a host over SSH', () => {
  const shown = (name: string, text: string): string => `file ${name}\n${text.replace(/^(?=.)/gm, '| ')}`;
  const answer = (body: string): string =>
    `nightshift 1\nclock 241059 1a629a9f-6ab0-43ef-8632-9b1cfcfdb80c\ncores 2\n${shown('loadavg', PROC['proc/loadavg'])}${body}result done read\nend\n`;

  test('its answer makes the same sample as reading its files there', async () => {
    await files({ ...PROC, ...SHOP_V2, beancounters: OUTAGE });
    const there = await createLocalSource(
      sources({ beancounters: join(dir, 'beancounters'), cgroup2: join(dir, 'cg'), containers: { shop: 'lab/shop' } }),
    ).sample();
    const text = answer(
      shown('beancounters', OUTAGE) +
        Object.entries(SHOP_V2)
          .map(([name, content]) => shown(name.slice(3), content))
          .join(''),
    );
    const here = createSampleOfAnswer({ shop: 'lab/shop' })(parseAnswer(text));
    expect(here.tables.beancounters).toEqual(there.tables.beancounters);
    expect(here.tables.cgroup2).toEqual(there.tables.cgroup2);
    expect(here).toMatchObject({ bootId: there.bootId, load1: there.load1, cores: 2, problems: [] });
  });

  test('a host without beancounters says so, a half-written table is none', () => {
    const sampleOf = createSampleOfAnswer({});
    expect(sampleOf(parseAnswer(answer('file beancounters missing\n')))).toMatchObject({ tables: {}, problems: [expect.stringContaining('beancounters: ')] });
    expect(sampleOf(parseAnswer(answer(shown('beancounters', `${OUTAGE.slice(0, 900)}\n`))))).toMatchObject({
      tables: { beancounters: null },
      problems: [expect.stringContaining('beancounters: ')],
    });
  });

  test('the address on the command line takes the place of the one in the settings, and is an address', () => {
    const viaSsh = { address: 'a', port: 22, user: 'root', keyFile: '/k', knownHostsFile: '/h' };
    expect(viaSshOf({}, ['--settings', 'f'])).toBeNull();
    expect(viaSshOf({ viaSsh }, [])).toEqual(viaSsh);
    expect(viaSshOf({ viaSsh }, ['--via-ssh', 'dauntless.example'])).toEqual({ ...viaSsh, address: 'dauntless.example' });
    expect(() => viaSshOf({ viaSsh }, ['--via-ssh', '-oProxyCommand=x'])).toThrow(/usage/);
    expect(() => viaSshOf({}, ['--via-ssh', 'dauntless'])).toThrow(/viaSsh.user, .port, .keyFile/);
  });
});

test('a trouble is said when it begins and when it ends, not each second in between, whatever its details', () => {
  const said: string[] = [];
  const log = {
    info: (_: object, m: string) => {
      said.push(`info ${m}`);
    },
    warn: (_: object, m: string) => {
      said.push(`warn ${m}`);
    },
    error: () => undefined,
  };
  const say = createSayOnce(log);
  say(['beancounters: cut at byte 1']);
  say(['beancounters: cut at byte 2'], 'sample');
  say([], 'spool');
  say(['beancounters: cut at byte 3', 'load: not there']);
  say(['load: not there']);
  say([]);
  say([]);
  expect(said).toEqual(['warn beancounters: cut at byte 1', 'warn load: not there', 'info beancounters: well again', 'info load: well again']);
});

test('open spikes outlive the process; a file that is not ours is said and costs nothing else', async () => {
  const problems: string[] = [];
  const file = join(dir, 'spikes.json');
  const spikes = [{ source: 'beancounters' as const, container: '204', resource: 'tcpsndbuf' as const }];
  const writer = createSpikesFile(file, (p) => problems.push(p));
  expect(await writer.load()).toEqual([]);
  await writer.save(spikes);
  expect(await createSpikesFile(file, (p) => problems.push(p)).load()).toEqual(spikes);
  expect(problems).toEqual([]);
  await writeFile(file, '[{"source":"elsewhere"}]');
  expect(await createSpikesFile(file, (p) => problems.push(p)).load()).toEqual([]);
  expect(problems).toHaveLength(1);
  await createSpikesFile(join(dir, 'no/such/dir'), (p) => problems.push(p)).save(spikes);
  expect(problems).toHaveLength(2);
});

test('nothing that the agent loads is of Temporal', () => {
  const seen = new Set<string>();
  const packages = new Set<string>();
  const visit = (file: string): void => {
    if (seen.has(file)) return;
    seen.add(file);
    for (const { specifier, type } of importsOf(file)) {
      if (type) continue;
      if (specifier.startsWith('.')) visit(join(file, '..', specifier).replace(/\.js$/, '.ts'));
      else packages.add(specifier);
    }
  };
  visit('workers/agent/main.ts');
  expect(seen.size).toBeGreaterThan(20);
  expect([...packages].filter((p) => !p.startsWith('node:')).sort()).toEqual(['@nats-io/jetstream', 'nats', 'pino', 'zod']);
});
