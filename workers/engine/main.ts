import { join } from 'node:path';
import { Client } from '@temporalio/client';
import { Worker } from '@temporalio/worker';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { openAuditLog } from '../../activities/audit-log.js';
import { connectNats, jetstream, jetstreamManager } from '../../activities/nats.js';
import { openConfigStore } from '../../config/store.js';
import { readSettings } from '../../stack/settings.js';
import { QUEUES } from '../../workflows/messages.js';
import { answer, inForceOf, recordConfig } from '../control.js';
import { serveHealth } from '../health.js';
import { createLog } from '../log.js';
import { endBecause, stopRequested } from '../stop.js';
import { connectTemporal, installTemporalRuntime } from '../temporal.js';
import { createBridge } from './bridge.js';
import { createBridgeMetrics } from './metrics.js';
import { createRecords } from './record-activity.js';

// A workflow that waits costs some 150 KB in the cache; of more than these the oldest are put out and replayed when they are needed again.
const MAX_CACHED_WORKFLOWS = 400;
// Local activities are appends to the audit: they end within seconds or are tried again after the restart.
const SHUTDOWN_GRACE = '10 seconds';
// After kill -9 the tasks of open incidents still wait for the process that is gone, this long. The default of 10 s is a third of some drills.
const STICKY_FOR = '2 seconds';
const FLUSH_MS = 5_000;

const settings = readSettings('engine', process.argv);
const { site } = settings;
const log = createLog(settings);
process.on('unhandledRejection', endBecause(log, 'a failure that nobody answered for'));
const stopping = stopRequested(log);
const booting = new AbortController();
void stopping.then(() => booting.abort());

installTemporalRuntime(log);
const store = await openConfigStore({ file: settings.configFile, directory: join(settings.dataDir, 'config') }).catch(
  endBecause(log, 'there is no configuration to work by'),
);
if (store.current().config.site !== site)
  endBecause(log, 'wrong configuration')(new Error(`${settings.configFile} is for site ${store.current().config.site}, this stack is ${site}`));
const inForce = inForceOf(store, site);

const nc = await connectNats({
  servers: settings.nats.servers,
  credentialsFile: settings.nats.credentialsFile,
  inboxPrefix: settings.nats.inboxPrefix,
  name: `nightshift engine ${site}`,
  signal: booting.signal,
  onStatus: ({ type, detail }) =>
    type === 'disconnect' || type === 'not-connected' || type === 'error' ? log.warn({ type, detail }, 'NATS') : log.info({ type, detail }, 'NATS'),
}).catch(endBecause(log, 'NATS was never reached'));
// A closed connection does not come back by itself.
void nc.closed().then((error) => {
  if (!booting.signal.aborted) endBecause(log, 'the connection to NATS is closed for good')(error);
});
const audit = await openAuditLog(nc);
const connection = await connectTemporal({ address: settings.temporal.address, log, signal: booting.signal }).catch(
  endBecause(log, 'Temporal was never reached'),
);
const client = new Client({ connection, namespace: settings.temporal.namespace });

const worker = await Worker.create({
  connection,
  namespace: settings.temporal.namespace,
  taskQueue: QUEUES.workflows,
  workflowBundle: { codePath: settings.bundleFile },
  activities: createRecords(audit),
  // Only local ones: anything that needs a machine's credentials is somewhere else.
  enableNonLocalActivities: false,
  maxCachedWorkflows: MAX_CACHED_WORKFLOWS,
  shutdownGraceTime: SHUTDOWN_GRACE,
  stickyQueueScheduleToStartTimeout: STICKY_FOR,
  identity: `engine@${process.pid}`,
}).catch(endBecause(log, 'the workflow worker cannot be made'));
const running = worker.run();
running.catch(endBecause(log, 'the workflow worker has failed'));

const registry = new Registry();
collectDefaultMetrics({ register: registry });
const bridge = createBridge({
  js: jetstream(nc, { timeout: 5_000 }),
  jsm: await jetstreamManager(nc, { checkAPI: false, timeout: 5_000 }),
  audit,
  client,
  taskQueue: QUEUES.workflows,
  config: () => inForce.current(),
  configOf: (version) => store.get(version),
  metrics: createBridgeMetrics(registry),
  log,
});

const health = await serveHealth({
  port: settings.healthPort,
  registry,
  checks: {
    nats: async () => ({ ok: !nc.isClosed() && (await nc.rtt()) >= 0 }),
    temporal: async () => ({ ok: (await client.withDeadline(Date.now() + 1_500, () => connection.workflowService.getSystemInfo({}))) !== undefined }),
    worker: () => ({ ok: worker.getState() === 'RUNNING', detail: worker.getState() }),
    intake: () => {
      const { pulling, paused, held, stalled, open } = bridge.state();
      return {
        ok: pulling || paused.length > 0,
        detail: `${pulling ? 'pulling' : 'resting'}${paused.length > 0 ? `: ${paused.join('; ')}` : ''}; ${held} held, ${stalled} stalled, ${open} open`,
      };
    },
    config: () => ({ ok: true, detail: inForce.current().version }),
  },
}).catch(endBecause(log, 'health cannot be served'));

const saying = { file: settings.configFile, audit, site, by: 'engine', log } as const;
answer(nc, `ctl.${site}.reload.engine`, log, async () => {
  const change = await inForce.reload();
  if (change.accepted) bridge.reloaded();
  return recordConfig({ change, ...saying });
});
answer(nc, `ctl.${site}.intake.pause`, log, async () => {
  bridge.pause('asked for');
  return { paused: true };
});
answer(nc, `ctl.${site}.intake.resume`, log, async () => {
  bridge.resume('asked for');
  return { paused: false };
});

void recordConfig({ change: store.atStart, ...saying }).catch((error: unknown) =>
  log.warn({ error: String(error) }, 'which configuration is in force is not in the audit'),
);
await Promise.race([bridge.start(), stopping]);
if (!booting.signal.aborted) log.info({ site, config: inForce.current().version }, 'serving');

const signal = await stopping;
log.info({ signal }, 'stopping: intake first');
await bridge.stop(FLUSH_MS);
if (worker.getState() === 'RUNNING') worker.shutdown();
await running;
await connection.close();
await health.close();
await nc.drain();
log.info('stopped');
process.exit(0);
