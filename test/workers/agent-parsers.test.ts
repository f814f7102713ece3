import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseBeancounters } from '../../workers/agent/parse-beancounters.js';
import { parseCgroup1Memory } from '../../workers/agent/parse-cgroup1.js';
import { parseMemoryEvents, parseOneValue, parsePidsEvents, parsePressure } from '../../workers/agent/parse-cgroup2.js';
import { parseBootId, parseLoadavg } from '../../workers/agent/parse-loadavg.js';
import { OUTAGE, printBeancounters, ROWS, UNLIMITED } from './fixtures/beancounters.js';

const parse = (text: string, atLeastRows = 0) => parseBeancounters(Buffer.from(text, 'latin1'), atLeastRows);
const containersOf = (text: string) => {
  const parsed = parse(text);
  if (!parsed.ok) throw new Error(parsed.problem);
  return parsed.containers;
};

describe('user_beancounters', () => {
  test('the table of the outage gives container 204 its tcpsndbuf row and leaves out the host itself', () => {
    const containers = containersOf(OUTAGE);
    expect(containers.map((c) => c.container)).toEqual(['204', '101']);
    expect(containers[0]!.rows!.find((r) => r.resource === 'tcpsndbuf')).toEqual({
      resource: 'tcpsndbuf',
      held: 663_088,
      barrier: 4_000_000,
      limit: 4_000_000,
      failcnt: 90_686,
    });
  });

  test('every resource but the dummies is read, swappages too where the kernel has it', () => {
    expect(containersOf(OUTAGE)[0]!.rows!.map((r) => r.resource)).toEqual(ROWS.filter((r) => r !== 'dummy'));
    const newer = printBeancounters([{ uid: '7', figures: {} }], { rows: [...ROWS, 'swappages'] });
    expect(containersOf(newer)[0]!.rows!.at(-1)!.resource).toBe('swappages');
  });

  test('the narrow columns of a 32-bit kernel and figures wider than their column are told apart', () => {
    const text = printBeancounters([{ uid: '101', figures: { kmemsize: [4_294_967_295, 4_294_967_295, 2_147_483_647, 2_147_483_647, 12] } }], { bits: 32 });
    expect(containersOf(text)[0]!.rows![0]).toEqual({ resource: 'kmemsize', held: 4_294_967_295, barrier: 2_147_483_647, limit: 2_147_483_647, failcnt: 12 });
    const wide = printBeancounters([{ uid: '10123456789', figures: { kmemsize: [UNLIMITED, 1, 1, 1, 2] } }], { bits: 32 });
    expect(containersOf(wide)[0]!).toMatchObject({
      container: '10123456789',
      rows: expect.arrayContaining([expect.objectContaining({ resource: 'kmemsize', failcnt: 2 })]),
    });
  });

  test('"unlimited" becomes the largest exact number instead of a rounded one', () => {
    const row = containersOf(printBeancounters([{ uid: '5', figures: {} }]))[0]!.rows![0]!;
    expect(row.limit).toBe(Number.MAX_SAFE_INTEGER);
    expect(row.barrier).toBe(Number.MAX_SAFE_INTEGER);
  });

  test('a name that could be no container is left out and said, the others are read', () => {
    const parsed = parse(
      printBeancounters([
        { uid: '-oProxyCommand=x', figures: {} },
        { uid: '204', figures: {} },
      ]),
    );
    expect(parsed).toMatchObject({ ok: true, strange: ['-oProxyCommand=x'], containers: [{ container: '204' }] });
  });

  test('a file cut anywhere is either refused or loses whole containers at its end, never a digit', () => {
    const whole = containersOf(OUTAGE);
    for (let length = 0; length < OUTAGE.length; length += 1) {
      const parsed = parse(OUTAGE.slice(0, length), ROWS.length);
      if (parsed.ok) expect(parsed.containers).toEqual(whole.slice(0, parsed.containers.length));
    }
    // Busybox sed ends a torn line with a newline: a figure that has lost digits must not pass for a smaller one.
    for (let length = 0; length < OUTAGE.length; length += 1) {
      const parsed = parse(`${OUTAGE.slice(0, length)}\n`, ROWS.length);
      if (parsed.ok) expect(parsed.containers).toEqual(whole.slice(0, parsed.containers.length));
    }
  });

  test('text that is no table is refused with a reason, whatever it is', () => {
    expect(parse('')).toMatchObject({ ok: false, problem: 'the file is empty' });
    expect(parse('Version: 1.0\n')).toMatchObject({ ok: false });
    expect(
      parse(
        printBeancounters([
          { uid: '1', figures: {} },
          { uid: '1', figures: {} },
        ]),
      ),
    ).toMatchObject({ ok: false, problem: expect.stringContaining('twice') });
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 400 }),
          fc.string().map((s) => Buffer.from(`Version: 2.5\nuid\n${s}\n`)),
        ),
        (bytes) => {
          const parsed = parseBeancounters(Buffer.from(bytes));
          if (parsed.ok) for (const { rows } of parsed.containers) for (const r of rows!) expect(Number.isSafeInteger(r.failcnt)).toBe(true);
        },
      ),
    );
  });

  test('what is printed is what is read, for any figures', () => {
    const figure = fc.bigInt({ min: 0n, max: UNLIMITED });
    fc.assert(
      fc.property(
        fc.uniqueArray(fc.integer({ min: 1, max: 99_999 }), { minLength: 1, maxLength: 5 }),
        fc.array(fc.tuple(figure, figure, figure, figure, figure), { minLength: 5, maxLength: 5 }),
        (uids, figures) => {
          const text = printBeancounters(uids.map((uid, i) => ({ uid: String(uid), figures: { numfile: figures[i]! } })));
          const exact = (v: bigint | number) => Math.min(Number(v), Number.MAX_SAFE_INTEGER);
          for (const [i, c] of containersOf(text).entries()) {
            const [held, , barrier, limit, failcnt] = figures[i]!.map(exact);
            expect(c.container).toBe(String(uids[i]));
            expect(c.rows!.find((r) => r.resource === 'numfile')).toEqual({ resource: 'numfile', held, barrier, limit, failcnt });
          }
        },
      ),
      { numRuns: 50 },
    );
  });
});

// Origin: a Debian 12 guest (Linux 6.1) after `stress-ng --vm` in a cgroup with memory.max 64 MiB and pids.max 100.
const MEMORY_EVENTS = 'low 0\nhigh 0\nmax 1159\noom 6\noom_kill 6\noom_group_kill 0\n';
const PRESSURE = 'some avg10=5.35 avg60=1.20 avg300=0.27 total=1234567\nfull avg10=4.90 avg60=1.10 avg300=0.25 total=1134567\n';

describe('cgroup v2', () => {
  test('memory.events gives how often the limit was hit and how often that ended in OOM', () => {
    expect(parseMemoryEvents(MEMORY_EVENTS)).toEqual({ max: 1159, oom: 6 });
  });
  test('memory.pressure gives the microseconds waited', () => {
    expect(parsePressure(PRESSURE)).toEqual({ someMicros: 1_234_567, fullMicros: 1_134_567 });
  });
  test('pids.events, single figures and "max" are read', () => {
    expect(parsePidsEvents('max 5\n')).toEqual({ max: 5 });
    expect(parseOneValue('67108864\n')).toBe(67_108_864);
    expect(parseOneValue('max\n')).toBe(Number.MAX_SAFE_INTEGER);
  });
  test('a file that is not whole gives nothing rather than a smaller figure', () => {
    for (let length = 0; length < MEMORY_EVENTS.length; length += 1) {
      const parsed = parseMemoryEvents(MEMORY_EVENTS.slice(0, length));
      if (parsed !== null) expect(parsed).toEqual({ max: 1159, oom: 6 });
    }
    expect(parsePressure(PRESSURE.slice(0, -3))).toBeNull();
    expect(parseOneValue('671')).toBeNull();
    expect(parseOneValue('-1\n')).toBeNull();
  });
});

test('cgroup v1 memory files are read, with no limit as the largest exact number', () => {
  // Origin: an LXC container on this kind of machine, `memory.limit_in_bytes` unset: the largest multiple of a page.
  expect(parseCgroup1Memory({ failcnt: '92\n', usage: '66056192\n', limit: '9223372036854771712\n' })).toEqual({
    failcnt: 92,
    held: 66_056_192,
    limit: Number.MAX_SAFE_INTEGER,
  });
  expect(parseCgroup1Memory({ failcnt: '', usage: '1\n', limit: '1\n' })).toBeNull();
});

test('load and boot id are read, and nothing else is taken for them', () => {
  expect(parseLoadavg('150.12 40.11 12.28 151/1112 15046\n')).toBe(150.12);
  expect(parseLoadavg('150.1')).toBeNull();
  expect(parseLoadavg('')).toBeNull();
  expect(parseBootId('1a629a9f-6ab0-43ef-8632-9b1cfcfdb80c\n')).toBe('1a629a9f-6ab0-43ef-8632-9b1cfcfdb80c');
  expect(parseBootId('1a629a9f')).toBeNull();
});
