import { join } from 'node:path';
import { Context } from '@temporalio/activity';
import { Worker, type WorkerOptions } from '@temporalio/worker';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { openAuditLog } from '../../activities/audit-log.js';
import { createLooks } from '../../activities/create-looks.js';
import { createFarSide } from '../../activities/far-side/create-far-side.js';
import { connectNats } from '../../activities/nats.js';
import { createPerHostLimit } from '../../activities/per-host-limit.js';
import { createLocalTransport } from '../../activities/transports/local.js';
import { createSshTransport } from '../../activities/transports/ssh.js';
import { createVerbs } from '../../activities/verbs/index.js';
import { openConfigStore } from '../../config/store.js';
import { readSettings } from '../../stack/settings.js';
import { QUEUES } from '../../workflows/messages.js';
import { answer, inForceOf, recordConfig } from '../control.js';
import { serveHealth } from '../health.js';
import { createLog } from '../log.js';
import { endBecause, stopRequested } from '../stop.js';
import { connectTemporal, installTemporalRuntime } from '../temporal.js';
import { createEffectorActivities } from './activities.js';
import { createFailpoints } from './failpoints.js';

// An effect in progress is let finish: cutting it off would leave it unknown. Most take seconds.
const SHUTDOWN_GRACE = '30 seconds';
// Looks wait for hosts, effects for few of them; a host that hangs holds its own few slots and nobody else's.
const SLOTS = { looks: 20, effects: 10 };
const PER_HOST = { reads: { atOnce: 2, waiting: 20 }, effects: { atOnce: 1, waiting: 20 } };

const settings = readSettings('effector', process.argv);
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
if (settings.failpoints !== undefined && inForce.current().config.policy.profile !== 'lab') {
  endBecause(log, 'failpoints are for the lab')(new Error('settings name a failpoints file, and the policy in force is not the profile `lab`'));
}

const nc = await connectNats({
  servers: settings.nats.servers,
  credentialsFile: settings.nats.credentialsFile,
  inboxPrefix: settings.nats.inboxPrefix,
  name: `nightshift effector ${site}`,
  signal: booting.signal,
  onStatus: ({ type, detail }) =>
    type === 'disconnect' || type === 'not-connected' || type === 'error' ? log.warn({ type, detail }, 'NATS') : log.info({ type, detail }, 'NATS'),
}).catch(endBecause(log, 'NATS was never reached'));
void nc.closed().then((error) => {
  if (!booting.signal.aborted) endBecause(log, 'the connection to NATS is closed for good')(error);
});
const audit = await openAuditLog(nc);
const connection = await connectTemporal({ address: settings.temporal.address, log, signal: booting.signal }).catch(
  endBecause(log, 'Temporal was never reached'),
);

const farSide = createFarSide({
  ssh: createSshTransport(),
  local: createLocalTransport({ helperFile: settings.helperFile }),
  limits: { reads: createPerHostLimit(PER_HOST.reads), effects: createPerHostLimit(PER_HOST.effects) },
});
const activities = createEffectorActivities(createLooks({ farSide, inventory: () => inForce.current(), signal: () => Context.current().cancellationSignal }), {
  audit,
  verbs: createVerbs({ farSide }),
  site,
  config: () => inForce.current(),
  configOf: (version) => store.get(version),
  ...(settings.failpoints === undefined ? {} : { failpoint: createFailpoints(settings.failpoints, log) }),
});

// Two queues, apart: looks at dead hosts must not keep an effect waiting.
const common = { connection, namespace: settings.temporal.namespace, shutdownGraceTime: SHUTDOWN_GRACE, identity: `effector@${process.pid}` } satisfies Omit<
  WorkerOptions,
  'taskQueue'
>;
const workers = await Promise.all([
  Worker.create({ ...common, taskQueue: QUEUES.looks, activities: activities.looks, maxConcurrentActivityTaskExecutions: SLOTS.looks }),
  Worker.create({ ...common, taskQueue: QUEUES.effects, activities: activities.effects, maxConcurrentActivityTaskExecutions: SLOTS.effects }),
]).catch(endBecause(log, 'the activity workers cannot be made'));
const running = Promise.all(workers.map((worker) => worker.run()));
running.catch(endBecause(log, 'an activity worker has failed'));

const registry = new Registry();
collectDefaultMetrics({ register: registry });
const health = await serveHealth({
  port: settings.healthPort,
  registry,
  checks: {
    nats: async () => ({ ok: !nc.isClosed() && (await nc.rtt()) >= 0 }),
    temporal: async () => ({ ok: (await connection.withDeadline(Date.now() + 1_500, () => connection.workflowService.getSystemInfo({}))) !== undefined }),
    workers: () => ({ ok: workers.every((worker) => worker.getState() === 'RUNNING'), detail: workers.map((worker) => worker.getState()).join(', ') }),
    config: () => ({ ok: true, detail: inForce.current().version }),
  },
}).catch(endBecause(log, 'health cannot be served'));

const saying = { file: settings.configFile, audit, site, by: 'effector', log } as const;
answer(nc, `ctl.${site}.reload.effector`, log, async () => recordConfig({ change: await inForce.reload(), ...saying }));
void recordConfig({ change: store.atStart, ...saying }).catch((error: unknown) =>
  log.warn({ error: String(error) }, 'which configuration is in force is not in the audit'),
);
log.info({ site, config: inForce.current().version, failpoints: settings.failpoints }, 'serving');

const signal = await stopping;
log.info({ signal }, 'stopping: effects in progress are finished first');
for (const worker of workers) if (worker.getState() === 'RUNNING') worker.shutdown();
await running;
await farSide.close();
await connection.close();
await health.close();
await nc.drain();
log.info('stopped');
process.exit(0);
