import { TestWorkflowEnvironment } from '@temporalio/testing';
import { expect, test } from 'vitest';
import { timeSkippingServer } from '../../lab/time-skipping.js';
import { until } from '../until.js';
import { openTheatre, RUNAWAY } from './theatre.js';

test(
  'an incident that stands open through a night is looked at some two hundred times, touched never, and resolves when it is over',
  { timeout: 300_000 },
  async (context) => {
    const found = await timeSkippingServer();
    if (found.executable === null) {
      if (process.env['LAB_REQUIRED'] === '1') throw new Error(found.why);
      context.skip(found.why);
      return;
    }
    const env = await TestWorkflowEnvironment.createTimeSkipping({ server: { executable: { type: 'existing-path', path: found.executable } } });
    const theatre = await openTheatre({ address: env.address, namespace: env.namespace ?? 'default', client: env.client, close: () => env.teardown() });
    try {
      let looks = 0;
      const play = await theatre.start({
        about: '',
        model: { ...RUNAWAY, workers: 3, traffic: 8_000_000 },
        knobs: { ceiling: null, verifyForMs: 120_000, watchForMs: 15_000 },
        before: (step) => {
          if (step === 'look') looks += 1;
        },
      });
      await play.reached('escalated');
      const written = play.records.length;
      await env.sleep('16 hours');
      expect(looks).toBeGreaterThan(150);
      expect(looks).toBeLessThan(215);
      expect((await play.view()).state).toBe('escalated');
      // Quiet: what is seen while nothing changes is not written down two hundred times.
      expect(play.records).toHaveLength(written);

      play.container.model.traffic = 0;
      const over = await env.currentTimeMs();
      await until(
        async () => {
          await env.sleep('1 minute');
          return (await play.handle.describe()).status.name === 'COMPLETED';
        },
        { what: 'its end', timeoutMs: 60_000 },
      );
      expect(await play.handle.result()).toMatchObject({ state: 'resolved', effects: 0 });
      expect((await env.currentTimeMs()) - over).toBeLessThan(15 * 60_000);
      expect(play.container.hostLog).toEqual([]);
    } finally {
      await theatre.close();
    }
  },
);
