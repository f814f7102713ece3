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
const WARM_UP = 40;
const SAMPLES = 20;
/** What other processes do to the caches shows in these; the least disturbed window is what the agent itself costs. */
const WINDOWS = 4;
/** The test has not a minute: four samples a second, each counted as the one of its second. */
const SAMPLE_EVERY_MS = 250;
const MAX_RSS_MB = 80;
/** Of one core. */
const MAX_CPU_SHARE = 0.01;

/** A busy host: every figure of every container has moved since the second before, and one container is being refused. */
function table(second: number): string {
  const containers: PrintedContainer[] = Array.from({ length: CONTAINERS }, (_, i) => ({
    uid: String(100 + i),
    figures: Object.fromEntries(
      ROWS.map((row, r) => [
        row,
        [1_000_000 + i * 1000 + second * 17 + r, 9_000_000, 10_000_000, UNLIMITED, row === 'tcpsndbuf' && i === 104 ? second * 412 : 0],
      ]),
    ),
  }));
  return printBeancounters(containers);
}

test(
  `one sample a second over ${CONTAINERS} containers takes less than ${MAX_RSS_MB} MB and ${MAX_CPU_SHARE * 100} % of a core`,
  { timeout: 120_000 },
  async () => {
    const beancounters = join(dir, 'user_beancounters');
    const show = async (second: number): Promise<void> => {
      await writeFile(`${beancounters}.next`, table(second));
      await rename(`${beancounters}.next`, beancounters);
    };
    await show(0);
    const agent = await startAgent(dir, {
      servers: nats.server.url,
      credentialsFile: nats.agentCredentials,
      sources: { beancounters },
      sampleEveryMs: SAMPLE_EVERY_MS,
    });
    try {
      let second = 0;
      // A new table for each sample; the agent is asked rarely, for answering costs as much as a sample.
      const runFor = async (samples: number): Promise<number> => {
        const first = await agent.metric('samples_total');
        let taken = 0;
        await until(
          async () => {
            second += 1;
            await show(second);
            if (second % 10 === 0) taken = (await agent.metric('samples_total')) - first;
            return taken >= samples;
          },
          { timeoutMs: 50_000, everyMs: SAMPLE_EVERY_MS, what: `${samples} samples` },
        );
        return taken;
      };
      await runFor(WARM_UP);
      expect(await agent.metric('containers')).toBe(CONTAINERS);

      const shares: number[] = [];
      for (let window = 0; window < WINDOWS; window += 1) {
        const before = (await usageOf(agent.pid)).cpuSeconds;
        const samples = await runFor(SAMPLES);
        shares.push(((await usageOf(agent.pid)).cpuSeconds - before) / samples);
      }
      const { peakMb, rssMb } = await usageOf(agent.pid);
      process.stderr.write(
        `agent: ${rssMb.toFixed(1)} MB (peak ${peakMb.toFixed(1)}); CPU a sample of ${CONTAINERS} containers, in windows of ${SAMPLES}: ${shares.map((s) => `${(s * 1000).toFixed(1)} ms`).join(', ')}\n`,
      );
      expect(peakMb).toBeLessThan(MAX_RSS_MB);
      expect(Math.min(...shares)).toBeLessThan(MAX_CPU_SHARE);
      expect(await nats.storedIds()).not.toHaveLength(0);
    } finally {
      await agent.end('SIGTERM');
    }
  },
);
