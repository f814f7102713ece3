import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../until.js';
import { printBeancounters, ROWS, UNLIMITED, type PrintedContainer } from './fixtures/beancounters.js';
import { natsWithAgents, type NatsWithAgents } from './fixtures/nats-with-agents.js';
import { agentDir, removeDir, startAgent, usageOf } from './fixtures/running-agent.js';

let nats: NatsWithAgents;
let dir: string;
beforeAll(async () => {
  nats = await natsWithAgents();
  dir = await agentDir();
});
afterAll(async () => {
  await nats.close();
  await removeDir(dir);
});

const CONTAINERS = 200;
/** Compiling the hot paths takes a quarter of a second of CPU once; the budget is that of every second after. */
const WARM_UP = 15;
const SAMPLES = 25;
const MAX_RSS_MB = 80;
/** Of one core. */
const MAX_CPU_SHARE = 0.01;

/** A busy host: every figure of every container has moved since the second before, and one container is being refused. */
function table(second: number): string {
  const containers: PrintedContainer[] = Array.from({ length: CONTAINERS }, (_, i) => ({
    uid: String(100 + i),
    figures: Object.fromEntries(ROWS.map((row, r) => [row, [1_000_000 + i * 1000 + second * 17 + r, 9_000_000, 10_000_000, UNLIMITED, row === 'tcpsndbuf' && i === 104 ? second * 412 : 0]])),
  }));
  return printBeancounters(containers);
}

test(`one sample a second over ${CONTAINERS} containers takes less than ${MAX_RSS_MB} MB and ${MAX_CPU_SHARE * 100} % of a core`, { timeout: 120_000 }, async () => {
  const beancounters = join(dir, 'user_beancounters');
  const show = async (second: number): Promise<void> => {
    await writeFile(`${beancounters}.next`, table(second));
    await rename(`${beancounters}.next`, beancounters);
  };
  await show(0);
  const agent = await startAgent(dir, { servers: nats.server.url, credentialsFile: nats.agentCredentials, sources: { beancounters } });
  try {
    let second = 0;
    // A new table a second; the agent is asked rarely, for answering costs as much as a sample.
    const runUntil = (samples: number): Promise<unknown> => until(async () => {
      second += 1;
      await show(second);
      return second % 5 === 0 && (await agent.metric('samples_total')) >= samples;
    }, { timeoutMs: 50_000, everyMs: 1000, what: `${samples} samples` });

    await runUntil(WARM_UP);
    expect(await agent.metric('containers')).toBe(CONTAINERS);
    const before = await usageOf(agent.pid);
    const first = await agent.metric('samples_total');
    await runUntil(first + SAMPLES);
    const after = await usageOf(agent.pid);
    const samples = (await agent.metric('samples_total')) - first;
    // CPU a sample, which at one sample a second is the share of a core: so a machine that is busy with other things does not blur it.
    const share = (after.cpuSeconds - before.cpuSeconds) / samples;
    process.stderr.write(`agent: ${after.rssMb.toFixed(1)} MB (peak ${after.peakMb.toFixed(1)}), ${(share * 1000).toFixed(2)} ms CPU a sample of ${CONTAINERS} containers, ${samples} samples\n`);
    expect(after.peakMb).toBeLessThan(MAX_RSS_MB);
    expect(share).toBeLessThan(MAX_CPU_SHARE);
    expect(await nats.storedIds()).not.toHaveLength(0);
  } finally {
    await agent.end('SIGTERM');
  }
});
