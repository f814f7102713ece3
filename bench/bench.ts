import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { randomUUID } from 'node:crypto';
import { parse, stringify } from 'yaml';
import { connectNats } from '../activities/nats.js';
import { openAuditLog } from '../activities/audit-log.js';
import { rssMb, startStack } from '../stack/spawn-stack.js';
import { processOf } from '../stack/stack-file.js';
import { benchUser } from './bench-user.js';
import { measureEngine } from './measure-engine.js';
import { measureFloor } from './measure-floor.js';
import { round, summary, percentile } from './stats.js';

/**
 * `npm run bench`: the naive way (floor) and the engine, in one go, on the same servers. One JSON object on stdout with `--json`, progress on stderr.
 * `--quick` takes fewer samples. Measures; judges nothing: aims are named in docs/bench.md, missed ones with the reason.
 */
const quick = process.argv.includes('--quick');
const json = process.argv.includes('--json');
const basePort = Number(process.argv[process.argv.indexOf('--base-port') + 1]) || 7600;
const say = (text: string): void => void process.stderr.write(`bench: ${text}\n`);
const size = quick ? { latency: 30, incidents: 50, ingest: 10_000, drills: 1 } : { latency: 150, incidents: 200, ingest: 40_000, drills: 3 };

const dir = await mkdtemp(join(tmpdir(), 'nightshift-bench-'));
let running = await startStack(dir, basePort);
try {
  say(`first start of a new directory served after ${round(running.servedAfterMs, 0)} ms`);
  const firstStartMs = running.servedAfterMs;
  await running.stop();
  await addPaperHosts(join(dir, 'nightshift.yaml'), size.latency + size.incidents + 10, 10);
  running = await startStack(dir, basePort);
  const secondStartMs = running.servedAfterMs;
  say(`second start served after ${round(secondStartMs, 0)} ms; idle for 10 s, then memory`);
  await new Promise((resolve) => setTimeout(resolve, 10_000));
  const rss: Record<string, number> = { supervisor: round(await rssMb(running.supervisorPid), 1) };
  for (const p of running.stack.processes) if (p.pid !== undefined) rss[p.role] = round(await rssMb(p.pid), 1);

  const { stack } = running;
  const natsDir = dirname(processOf(stack, 'operator').credentials ?? '');
  const credentialsFile = await benchUser(natsDir);
  const servers = `127.0.0.1:${processOf(stack, 'nats').ports['client']}`;
  const temporal = { address: `127.0.0.1:${processOf(stack, 'temporal').ports['client']}`, namespace: 'nightshift' };
  const nc = await connectNats({ servers, credentialsFile, name: 'bench' });
  const run = randomUUID().slice(0, 8);

  say(`floor: ${size.latency} events one by one, then ${size.incidents} at once`);
  const floor = await measureFloor(nc, { nats: { servers, credentialsFile }, temporal }, run, size);
  say(`engine: the same, then ${size.ingest} events for an open or no incident, then ${size.drills} drills`);
  const engine = await measureEngine(nc, await openAuditLog(nc), stack, size, say);
  await nc.drain();

  const latency = { floor: summary(floor.latencies), engine: summary(engine.firstStep) };
  const result = {
    machine: { cores: (await import('node:os')).cpus().length, node: process.version },
    latency: {
      floor: latency.floor,
      engine: latency.engine,
      ratioP50: round(latency.engine.p50Ms / latency.floor.p50Ms, 3),
      ratioP99: round(latency.engine.p99Ms / latency.floor.p99Ms, 3),
      firstRead: summary(engine.firstRead),
      firstEffect: { p50Ms: round(percentile(engine.firstEffect, 0.5)), n: engine.firstEffect.length },
    },
    incidents: {
      floorPerSecond: round(floor.perSecond),
      enginePerSecond: round(engine.incidentsPerSecond),
      ratio: round(engine.incidentsPerSecond / floor.perSecond, 3),
    },
    ingest: { perSecond: round(engine.ingest.perSecond, 0), whilePublishedPerSecond: round(engine.ingest.whilePublishedPerSecond, 0), events: size.ingest },
    rss: {
      perRoleMb: rss,
      totalMb: round(
        Object.values(rss).reduce((a, b) => a + b, 0),
        1,
      ),
    },
    start: { firstMs: round(firstStartMs, 0), secondMs: round(secondStartMs, 0) },
  };
  process.stdout.write(json ? `${JSON.stringify(result)}\n` : `${stringify(result)}`);
} finally {
  await running.stop();
  await rm(dir, { recursive: true, force: true });
}

/** Hosts that exist on paper only: their incidents touch nothing (`watch-domain`), and no storm brake joins them, so that each is one incident. */
async function addPaperHosts(file: string, hosts: number, containers: number): Promise<void> {
  const config = parse(await readFile(file, 'utf8')) as {
    fleet: { hosts: Record<string, { containers?: Record<string, unknown> }> };
    rules: unknown[];
    policy: Record<string, unknown>;
  };
  const [lab] = Object.values(config.fleet.hosts);
  if (lab === undefined) throw new Error(`${file} names no host`);
  for (let i = 0; i < containers; i += 1) (lab.containers ??= {})[String(10_000 + i)] = { engine: 'openvz' };
  for (let i = 0; i < hosts; i += 1) config.fleet.hosts[`paper-${i}`] = { ...lab, containers: {} };
  config.rules.push({ name: 'bench-lockdown', on: 'firewall.lockdown', playbook: 'watch-domain', mode: 'auto' });
  config.policy['stormBrake'] = { minHosts: 100_000, share: 1 };
  await writeFile(file, stringify(config, { aliasDuplicateObjects: false }));
}
