import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { beancounterTable, DEFAULT_LIMITS, hold, newBeans, ROWS } from '../../lab/kernel/beancounters.js';

const fixture = readFileSync(join(import.meta.dirname, 'fixtures', 'user_beancounters.txt'), 'utf8');

test('the table is the one that the kernel prints, column by column', () => {
  const beans = newBeans(new Map([['tcpsndbuf', [4_000_000n, 4_000_000n]]]));
  for (const [resource, held] of [
    ['kmemsize', 2_412_544],
    ['privvmpages', 6000],
    ['numproc', 62],
    ['physpages', 9000],
    ['oomguarpages', 9000],
    ['numtcpsock', 61],
    ['tcpsndbuf', 3_190_632],
  ] as const)
    hold(beans, resource, held);
  hold(beans, 'privvmpages', 5000);
  hold(beans, 'tcpsndbuf', 663_088);
  Object.assign(beans.get('tcpsndbuf') ?? {}, { failcnt: 90_686 });
  expect(beancounterTable([{ id: '204', beans }])).toBe(fixture);
});

test('it has 24 rows, four of them dummies, and every other one has a default limit', () => {
  expect(ROWS).toHaveLength(24);
  expect(ROWS.filter((row) => row === 'dummy')).toHaveLength(4);
  expect(ROWS.filter((row) => row !== 'dummy').toSorted()).toEqual([...DEFAULT_LIMITS.keys()].toSorted());
});

test('a container that does not run has no rows', () => {
  expect(beancounterTable([])).not.toContain('204:');
  expect(beancounterTable([]).split('\n')).toHaveLength(2 + 24 + 1);
});
