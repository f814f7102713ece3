import { expect, test } from 'vitest';
import { createPerHostLimit, HostBusy } from '../../activities/per-host-limit.js';
import { until } from '../until.js';

const gate = () => {
  let open: () => void = () => undefined;
  const opened = new Promise<void>((resolve) => (open = resolve));
  return { open, opened };
};

test('a few run for one host, the next wait in order, and what is too much is refused', async () => {
  const limit = createPerHostLimit({ atOnce: 2, waiting: 2 });
  const order: number[] = [];
  const gates = [gate(), gate(), gate(), gate()];
  const all = gates.map((g, i) =>
    limit('a', undefined, async () => {
      order.push(i);
      await g.opened;
    }),
  );
  await until(() => order.length === 2);
  await expect(limit('a', undefined, async () => undefined)).rejects.toThrow(HostBusy);
  gates[1]!.open();
  await until(() => order.length === 3);
  for (const g of gates) g.open();
  await Promise.all(all);
  expect(order).toEqual([0, 1, 2, 3]);
});

test('a host that hangs keeps nobody else waiting', async () => {
  const limit = createPerHostLimit({ atOnce: 1, waiting: 10 });
  const hang = gate();
  const stuck = [limit('dead', undefined, () => hang.opened), limit('dead', undefined, () => hang.opened)];
  expect(await limit('living', undefined, () => Promise.resolve('served'))).toBe('served');
  hang.open();
  await Promise.all(stuck);
});

test('who leaves the queue is not run, and the others move up', async () => {
  const limit = createPerHostLimit({ atOnce: 1, waiting: 10 });
  const first = gate();
  const running = limit('a', undefined, () => first.opened);
  const leave = new AbortController();
  const left = limit('a', leave.signal, () => Promise.reject(new Error('it was run')));
  const next = limit('a', undefined, () => Promise.resolve('next'));
  leave.abort(new Error('left'));
  await expect(left).rejects.toThrow('left');
  first.open();
  await running;
  expect(await next).toBe('next');
  await expect(limit('a', AbortSignal.abort(new Error('never came')), () => Promise.resolve())).rejects.toThrow('never came');
});

test('a failure frees its turn', async () => {
  const limit = createPerHostLimit({ atOnce: 1, waiting: 0 });
  await expect(limit('a', undefined, () => Promise.reject(new Error('failed')))).rejects.toThrow('failed');
  expect(await limit('a', undefined, () => Promise.resolve(1))).toBe(1);
});
