import { TestWorkflowEnvironment } from '@temporalio/testing';
import { expect, test } from 'vitest';
import { timeSkippingServer } from '../../lab/time-skipping.js';

test('a server that skips time can be had here, and lets 18 hours pass in an instant', { timeout: 300_000 }, async (context) => {
  const found = await timeSkippingServer();
  if (found.executable === null) {
    if (process.env['LAB_REQUIRED'] === '1') throw new Error(found.why);
    context.skip(found.why);
    return;
  }
  const began = Date.now();
  const env = await TestWorkflowEnvironment.createTimeSkipping({ server: { executable: { type: 'existing-path', path: found.executable } } });
  try {
    const before = await env.currentTimeMs();
    await env.sleep('18 hours');
    expect((await env.currentTimeMs()) - before).toBeGreaterThanOrEqual(18 * 3_600_000);
    expect(Date.now() - began).toBeLessThan(60_000);
  } finally {
    await env.teardown();
  }
});
