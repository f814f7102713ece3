import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { openEventPublisher } from '../../activities/event-publisher.js';
import { connectNats } from '../../activities/nats.js';
import { openSpool } from '../../activities/spool.js';
import { readSettings } from '../../stack/settings.js';
import { serveHealth } from '../health.js';
import { createLog } from '../log.js';
import { resumeSpikes } from './detect.js';
import { createLocalSource } from './local-source.js';
import { METRICS_CONTENT_TYPE, metricsText } from './metrics-text.js';
import { sampleForEver } from './sample-for-ever.js';
import { createSpikesFile } from './spikes-file.js';
import { viaSshOf } from './via-ssh-of.js';

/** How long an orderly end waits for the stream to take what is left. The rest stays on disk. */
const FLUSH_MS = 4_000;
/** No good sample for so many intervals: this agent sees nothing. */
const BLIND_AFTER_INTERVALS = 5;

/*
 * The agent: reads the counters of one host every second and publishes what changed.
 *   node build/workers/agent/main.js --settings FILE [--via-ssh HOST]
 */
const settings = readSettings('agent', process.argv);
const viaSsh = viaSshOf(settings, process.argv);
const log = createLog(settings);
await mkdir(settings.dataDir, { recursive: true, mode: 0o700 });

const stop = new AbortController();
const spool = await openSpool({
  dir: join(settings.dataDir, 'spool'),
  maxBytes: settings.spoolMaxBytes,
  onProblem: ({ what, file, detail }) => log.error({ what, file }, `spool: ${what}: ${detail}`),
});
const connecting = connectNats({
  servers: settings.nats.servers,
  credentialsFile: settings.nats.credentialsFile,
  inboxPrefix: settings.nats.inboxPrefix,
  name: `agent ${settings.site}/${settings.host}`,
  signal: stop.signal,
  onStatus: ({ type, detail }) => {
    if (type !== 'not-connected' && type !== 'reconnecting') log.info({ nats: type }, `nats: ${type} ${detail}`);
  },
});
const publisher = openEventPublisher({ nc: connecting, spool, log });
// What SSH takes is loaded only where it is used: this process is to be small.
const source =
  viaSsh === null ? createLocalSource(settings.sources) : (await import('./ssh-source.js')).createSshSource({ viaSsh, cgroups: settings.sources.containers });
const spikes = createSpikesFile(join(settings.dataDir, 'spikes.json'), (problem) => log.warn(problem));

const seen = { samples: 0, unread: 0, events: 0, refused: 0, lastGoodMs: performance.now(), lastTookMs: 0, containers: 0, blindSources: '', refusing: false };
const health = await serveHealth({
  port: settings.healthPort,
  checks: {
    sampling: () => {
      const age = performance.now() - seen.lastGoodMs;
      return age > settings.sampleEveryMs * BLIND_AFTER_INTERVALS + FLUSH_MS
        ? { ok: false, detail: `no sample for ${Math.round(age / 1000)} s` }
        : { ok: true };
    },
    sources: () => (seen.blindSources === '' ? { ok: true } : { ok: false, detail: `cannot read ${seen.blindSources}` }),
    spool: () => {
      const { pending, bytes, maxBytes } = spool.status();
      return bytes < maxBytes * 0.9 && !seen.refusing
        ? { ok: true, detail: `${pending} events wait` }
        : { ok: false, detail: `${bytes} of ${maxBytes} bytes used, ${pending} events wait` };
    },
    nats: () => {
      const { connected, holdUp } = publisher.status();
      return { ok: connected && holdUp === null, ...(holdUp === null ? {} : { detail: holdUp }) };
    },
  },
  registry: {
    contentType: METRICS_CONTENT_TYPE,
    metrics: async () => {
      const { pending, bytes, refused, skipped } = spool.status();
      const { acknowledged, failedAttempts, inFlight, connected } = publisher.status();
      return metricsText({
        samples_total: seen.samples,
        samples_unread_total: seen.unread,
        sample_seconds: seen.lastTookMs / 1000,
        containers: seen.containers,
        events_total: seen.events,
        samples_refused_total: seen.refused,
        spool_pending: pending,
        spool_bytes: bytes,
        spool_refused_total: refused,
        spool_skipped_total: skipped,
        publish_acknowledged_total: acknowledged,
        publish_failed_attempts_total: failedAttempts,
        publish_in_flight: inFlight,
        nats_connected: connected ? 1 : 0,
        rss_bytes: process.memoryUsage.rss(),
      });
    },
  },
});

for (const name of ['SIGTERM', 'SIGINT'] as const) process.once(name, () => stop.abort());

connecting
  .then((nc) => nc.closed())
  .then(
    (error) => {
      if (stop.signal.aborted) return;
      log.error({ why: error instanceof Error ? error.message : null }, 'the connection to NATS was closed for good; ending, to be started again');
      process.exitCode = 1;
      stop.abort();
    },
    (error: unknown) => {
      if (stop.signal.aborted) return;
      log.error({ why: String(error) }, 'NATS cannot be used; ending');
      process.exitCode = 1;
      stop.abort();
    },
  );

log.info(
  { host: settings.host, everyMs: settings.sampleEveryMs, via: viaSsh === null ? 'this machine' : viaSsh.address, pending: spool.status().pending },
  'sampling begins',
);
await sampleForEver({
  site: settings.site,
  everyMs: settings.sampleEveryMs,
  thresholds: { host: settings.host, reassertEveryMs: settings.reassertEveryMs, quietAfterMs: settings.quietAfterMs },
  source,
  publisher,
  spikes,
  startFrom: resumeSpikes(await spikes.load(), performance.now()),
  log,
  signal: stop.signal,
  onSample: ({ sample, events, refused, tookMs }) => {
    seen.samples += 1;
    seen.events += events;
    seen.lastTookMs = tookMs;
    seen.refusing = refused;
    if (refused) seen.refused += 1;
    if (sample === null) {
      seen.unread += 1;
      return;
    }
    const tables = Object.entries(sample.tables);
    seen.blindSources = tables
      .filter(([, table]) => table === null)
      .map(([name]) => name)
      .join(', ');
    seen.containers = tables.reduce((sum, [, table]) => sum + (table?.length ?? 0), 0);
    seen.lastGoodMs = performance.now();
  },
});

const { left } = await publisher.close(FLUSH_MS);
await source.close();
await health.close();
await (await Promise.race([connecting, Promise.resolve(null)]))?.close();
log.info({ left }, 'ended');
