import { pino, stdTimeFunctions } from 'pino';
import { Registry } from 'prom-client';
import { connectNats } from '../activities/nats.js';
import { readSettings } from '../stack/settings.js';
import { readLabFacts } from './facts.js';
import { serveLabHealth } from './health.js';
import { openLab } from './lab.js';
import { labSubject, requests, type LabVerb } from './messages.js';

/** The lab process: keeps the rehearsal host alive and takes orders from drills. It heals nothing and knows nobody who does. */
const settings = readSettings('lab', process.argv);
const log = pino({ level: settings.logLevel, base: { role: 'lab' }, timestamp: stdTimeFunctions.isoTime });
const facts = readLabFacts(settings.labDir);
for (const note of facts.notes) log.info(note);

const lab = await openLab(facts);
if (lab.leftBehind > 0) log.warn({ processes: lab.leftBehind }, 'ended what an earlier lab process had left');
const ending = new AbortController();
const health = await serveLabHealth({ port: settings.healthPort, registry: new Registry(), lab });
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => ending.abort());
log.info({ transport: facts.transport, group: facts.group, container: facts.container }, `${facts.host} is up`);

try {
  const nc = await connectNats({ ...settings.nats, name: 'lab', signal: ending.signal, onStatus: (status) => log.info(status, 'nats') });
  for (const verb of Object.keys(requests) as LabVerb[]) {
    nc.subscribe(labSubject(settings.site, verb), {
      callback: (error, message) => {
        if (error !== null) return log.error({ err: error }, 'subscription');
        Promise.resolve()
          .then(() => lab.answer(verb, JSON.parse(message.string())))
          .then(
            (reply) => message.respond(JSON.stringify({ ok: true, reply })),
            (refused: unknown) => message.respond(JSON.stringify({ ok: false, error: refused instanceof Error ? refused.message : String(refused) })),
          );
      },
    });
  }
  await new Promise<void>((resolve) => {
    ending.signal.addEventListener('abort', () => resolve(), { once: true });
    // The host's first process is gone: a power cut. Whoever watches this process starts it again.
    const watching = setInterval(() => {
      if (lab.isUp() && !ending.signal.aborted) return;
      clearInterval(watching);
      resolve();
    }, 500);
  });
  await nc.drain().catch(() => nc.close());
} catch (error) {
  if (!ending.signal.aborted) throw error;
} finally {
  if (!lab.isUp()) {
    log.error(`${facts.host} went down by itself`);
    process.exitCode = 1;
  }
  await lab.close();
  await health.close();
  log.info(`${facts.host} is down`);
}
