import { expect, test } from 'vitest';
import type { Bean } from '../../lab/kernel/beancounters.js';
import { createWebServer, MAX_CLIENTS, type WebServer } from '../../lab/kernel/web-server.js';

/** The model alone, with a clock of its own and processes that come and go at once. */
function apache(): {
  web: WebServer;
  bean: Bean;
  run(ms: number): void;
  kill(slots: number[]): void;
  restart(): void;
  living: Set<number>;
  spinning: Set<number>;
} {
  const bean: Bean = { held: 0, maxheld: 0, barrier: 1_720_320n, limit: 2_703_360n, failcnt: 0 };
  const living = new Set<number>();
  const spinning = new Set<number>();
  let now = 1_000_000;
  const come: number[] = [];
  const go: number[] = [];
  const web = createWebServer(
    {
      spawn: (slot) => come.push(slot),
      tell: (slot, word) => (word === 'refused' ? spinning.add(slot) : spinning.delete(slot)),
      end: (slots) => go.push(...slots),
      sendBuffers: () => bean,
    },
    null,
  );
  const settle = (): void => {
    for (const slot of come.splice(0)) {
      living.add(slot);
      web.came(slot);
    }
    for (const slot of go.splice(0)) {
      living.delete(slot);
      spinning.delete(slot);
      web.gone(slot);
    }
  };
  const run = (ms: number): void => {
    for (const end = now + ms; now < end; now += 200) {
      settle();
      web.step(now);
    }
  };
  web.start(now);
  run(1000);
  return {
    web,
    bean,
    run,
    living,
    spinning,
    kill: (slots) => {
      go.push(...slots);
      settle();
    },
    restart: () => {
      web.stop();
      settle();
      web.start(now);
      settle();
    },
  };
}

test('a quiet server has a master and six workers, and is refused nothing', () => {
  const { web, living, bean, run } = apache();
  run(60_000);
  expect(living.size).toBe(7);
  expect(web.view()).toMatchObject({ stuck: 0, shut: false });
  expect(bean.failcnt).toBe(0);
});

test('a surge piles up to MaxClients; refusals come all at once, and from then on nobody gets in', () => {
  const { web, run, bean, spinning } = apache();
  web.play('surge', 1_001_000);
  const seen: { failcnt: number; shut: boolean }[] = [];
  for (let i = 0; i < 40; i += 1) {
    run(200);
    seen.push({ failcnt: bean.failcnt, shut: web.view().shut });
  }
  expect(web.view()).toMatchObject({ workers: MAX_CLIENTS, stuck: 40 });
  expect(spinning.size).toBe(40);
  expect(bean.held).toBe(20 * 132_943);
  // No moment in which refusals could be seen while the container can still be entered.
  expect(seen.filter(({ failcnt, shut }) => failcnt > 0 !== shut)).toEqual([]);
});

test('who ends enough of the stuck workers gets in, and has half a minute before it shuts again', () => {
  const { web, run, kill, spinning } = apache();
  web.play('surge', 1_001_000);
  run(8000);
  kill([...spinning].slice(0, 16));
  run(200);
  expect(web.view()).toMatchObject({ stuck: 24, shut: false });
  run(12_000);
  expect(web.view().shut).toBe(false);
  run(30_000);
  expect(web.view().shut).toBe(true);
});

test('after a restart two raises by 1.15 are needed and enough; then failcnt stands still at the figure of the seed', () => {
  const { web, run, restart, bean, spinning } = apache();
  web.play('surge', 1_001_000);
  run(8000);
  restart();
  run(4000);
  expect(web.view()).toMatchObject({ shut: false });
  const rates: number[] = [];
  for (const limit of [2_703_360n, 3_108_864n, 3_575_194n]) {
    bean.limit = limit;
    run(1000);
    const before = bean.failcnt;
    run(3000);
    rates.push(bean.failcnt - before);
  }
  expect(rates[0]).toBeGreaterThan(0);
  // A step that helps must be seen to help, or whoever turns the knob gives up.
  expect(rates[1]).toBeGreaterThan(0);
  expect(rates[1]).toBeLessThan((rates[0] ?? 0) * 0.8);
  expect(rates[2]).toBe(0);
  expect(spinning.size).toBe(0);
  expect(bean).toMatchObject({ held: 3_190_632, maxheld: 3_190_632 });
});

test('without a raise a restart alone does not help, but the container can be entered for a good while', () => {
  const { web, run, restart, bean } = apache();
  web.play('surge', 1_001_000);
  run(8000);
  restart();
  run(60_000);
  expect(bean.failcnt).toBeGreaterThan(100);
  expect(web.view().shut).toBe(false);
});

test('a surge ends by itself after ten minutes', () => {
  const { web, run, living, bean } = apache();
  web.play('surge', 1_001_000);
  run(11 * 60_000);
  expect(web.view()).toMatchObject({ scene: 'quiet', stuck: 0 });
  expect(living.size).toBe(7);
  expect(bean.held).toBe(0);
});

test('a blip is three refusals and nothing else', () => {
  const { web, run, bean, living } = apache();
  web.play('blip', 1_001_000);
  run(5000);
  expect(bean).toMatchObject({ failcnt: 3, held: 0 });
  expect(living.size).toBe(7);
});
