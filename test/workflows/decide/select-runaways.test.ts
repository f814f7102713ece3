import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { ProcessFact } from '../../../activities/looks.js';
import { PROTECTED, selectRunaways } from '../../../workflows/decide/select-runaways.js';

const process = (given: Partial<ProcessFact> & { pid: number }): ProcessFact => ({
  startTicks: given.pid,
  ppid: 1,
  uid: 33,
  comm: 'httpd',
  args: 'httpd',
  state: 'R',
  ageSeconds: 100,
  cpuSeconds: 10,
  rssKb: 1000,
  ...given,
});
const select = (processes: ProcessFact[], given: Partial<Parameters<typeof selectRunaways>[0]> = {}) =>
  selectRunaways({ processes, runaways: ['httpd'], protect: [], maxKills: 100, ...given });
const pids = (s: { candidates: ProcessFact[] }): number[] => s.candidates.map((p) => p.pid);

describe('which runaways are ended', () => {
  test('only those that bear a name from the inventory', () => {
    const all = [
      process({ pid: 10 }),
      process({ pid: 11, comm: 'exim' }),
      process({ pid: 12, comm: 'httpd2' }),
      process({ pid: 13, args: 'httpd', comm: 'perl' }),
    ];
    expect(pids(select(all))).toEqual([10]);
  });
  test('never what is protected, even when somebody lists it as a runaway', () => {
    const all = [process({ pid: 10, comm: 'sshd' }), process({ pid: 11, comm: 'mysqld' }), process({ pid: 12, comm: 'backup' }), process({ pid: 13 })];
    expect(pids(select(all, { runaways: ['sshd', 'mysqld', 'backup', 'httpd'], protect: ['backup'] }))).toEqual([13]);
  });
  test('children before their parent, so that the parent is there to reap them', () => {
    const all = [process({ pid: 10, cpuSeconds: 999 }), process({ pid: 11, ppid: 10 }), process({ pid: 12, ppid: 11 })];
    expect(pids(select(all))).toEqual([12, 11, 10]);
  });
  test('among equals the hottest first, then the youngest', () => {
    const all = [process({ pid: 10, cpuSeconds: 5 }), process({ pid: 11, cpuSeconds: 50 }), process({ pid: 12, cpuSeconds: 1, ageSeconds: 20 })];
    expect(pids(select(all))).toEqual([11, 12, 10]);
  });
  test('a zombie is left: ending it would count as an act and change nothing', () => {
    expect(pids(select([process({ pid: 10, state: 'Z' }), process({ pid: 11, state: 'D' })]))).toEqual([11]);
  });
  test('no more than may be ended, and that is said', () => {
    expect(select([process({ pid: 10 }), process({ pid: 11 }), process({ pid: 12 })], { maxKills: 2 })).toMatchObject({
      reason: 'too-many',
      candidates: { length: 2 },
    });
  });
  test('nothing when the inventory names none, or none is there', () => {
    expect(select([process({ pid: 10 })], { runaways: [] })).toEqual({ candidates: [], reason: 'no-names' });
    expect(select([process({ pid: 10, comm: 'init' })])).toEqual({ candidates: [], reason: 'none' });
  });
  test('parents that form a circle (pids reused while they were read) are no trap', () => {
    expect(pids(select([process({ pid: 10, ppid: 11 }), process({ pid: 11, ppid: 10 }), process({ pid: 12, ppid: 12 })])).toSorted((a, b) => a - b)).toEqual([
      10, 11, 12,
    ]);
  });

  const anyProcess = fc
    .record({
      pid: fc.integer({ min: 0, max: 40 }),
      ppid: fc.integer({ min: 0, max: 40 }),
      comm: fc.constantFrom('httpd', 'php', 'sshd', 'init', 'mysqld', '$(reboot)', '-oProxyCommand=x', 'a\nb'),
      state: fc.constantFrom('R', 'S', 'D', 'Z'),
      cpuSeconds: fc.integer({ min: 0, max: 1000 }),
      ageSeconds: fc.integer({ min: 0, max: 1000 }),
    })
    .map((p) => process(p));

  test('whatever runs there: bounded, named, unprotected, from the list, each once, no parent before its child', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(anyProcess, { selector: (p) => p.pid }),
        fc.subarray(['httpd', 'php', 'sshd', 'mysqld', '$(reboot)']),
        fc.subarray(['php']),
        fc.integer({ min: 1, max: 20 }),
        (processes, runaways, protect, maxKills) => {
          const { candidates } = selectRunaways({ processes, runaways, protect, maxKills });
          expect(candidates.length).toBeLessThanOrEqual(maxKills);
          expect(new Set(pids({ candidates })).size).toBe(candidates.length);
          for (const p of candidates) {
            expect(processes).toContain(p);
            expect(runaways).toContain(p.comm);
            expect([...PROTECTED, ...protect]).not.toContain(p.comm);
            expect(p.pid).toBeGreaterThan(1);
            expect(p.state).not.toBe('Z');
          }
          const order = pids({ candidates });
          const parents = new Map(processes.map((p) => [p.pid, p.ppid]));
          for (const p of candidates) {
            const at = order.indexOf(p.ppid);
            if (at !== -1 && parents.get(p.ppid) !== p.pid && !inCircle(p.pid, parents)) expect(at).toBeGreaterThan(order.indexOf(p.pid));
          }
        },
      ),
      { numRuns: 1000 },
    );
  });
});

function inCircle(pid: number, parents: ReadonlyMap<number, number>): boolean {
  const seen = new Set<number>();
  for (let at: number | undefined = pid; at !== undefined && parents.has(at); at = parents.get(at)) {
    if (seen.has(at)) return true;
    seen.add(at);
  }
  return false;
}
