import { spawn, type ChildProcess } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openSync, closeSync } from 'node:fs';
import { connectNats } from '../activities/nats.js';
import { isHealthy } from '../stack/answers.js';
import { ensureServers } from '../stack/build-servers.js';
import type { Servers } from '../stack/find-servers.js';
import { provision } from '../stack/provision.js';
import { NAMESPACE, temporalArgv, temporalServes } from '../stack/temporal.js';
import { until } from './until.js';

/** The binaries that `npm start` uses: from PATH or the cache, built when there are none. */
export const servers = (): Promise<Servers> => ensureServers({ env: process.env, say: (line) => process.stderr.write(`${line}\n`) });

export interface TestServer {
  pid: number;
  /** Kills it as a power cut would, and starts it again on what it left. */
  killAndStartAgain(): Promise<void>;
  kill(): Promise<void>;
  startAgain(): Promise<void>;
  close(): Promise<void>;
}
export interface TestNats extends TestServer {
  /** `host:port`. */
  url: string;
  monitorPort: number;
  dir: string;
}
export interface TestTemporal extends TestServer {
  address: string;
  namespace: string;
  databaseFile: string;
}

/** A JetStream server without accounts, on the disk and synced like the real one, with the four streams. */
export async function natsServer(o: { config?: string; provisioned?: boolean } = {}): Promise<TestNats> {
  const dir = await mkdtemp(join(tmpdir(), 'nightshift-nats-'));
  const [port, monitorPort] = [await freePort(), await freePort()];
  const config =
    o.config ?? `listen: "127.0.0.1:${port}"\nhttp: "127.0.0.1:${monitorPort}"\njetstream { store_dir: ${JSON.stringify(dir)}, sync_interval: always }\n`;
  await writeFile(join(dir, 'nats.conf'), config.replaceAll('@PORT@', String(port)).replaceAll('@MONITOR@', String(monitorPort)).replaceAll('@DIR@', dir));
  const { natsServer: binary } = await servers();
  const server = await testServer([binary, '--config', join(dir, 'nats.conf')], dir, () => isHealthy(monitorPort));
  const url = `127.0.0.1:${port}`;
  if (o.provisioned !== false) {
    const nc = await connectNats({ servers: url, name: 'test' });
    await provision(nc);
    await nc.close();
  }
  return Object.assign(server, { url, monitorPort, dir });
}

/** The dev server as `npm start` runs it, on a file, with the queues polled fast. */
export async function temporalServer(): Promise<TestTemporal> {
  const dir = await mkdtemp(join(tmpdir(), 'nightshift-temporal-'));
  const databaseFile = join(dir, 'temporal.db');
  const ports = { temporal: await freePort(), temporalUi: await freePort(), temporalHttp: await freePort(), temporalMetrics: await freePort() };
  const { temporal } = await servers();
  const server = await testServer(temporalArgv(temporal, databaseFile, ports), dir, () => temporalServes(ports.temporalHttp));
  return Object.assign(server, { address: `127.0.0.1:${ports.temporal}`, namespace: NAMESPACE, databaseFile });
}

/** A port of 127.0.0.1 that nobody listens on right now. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      probe.close(() => (typeof address === 'object' && address !== null ? resolve(address.port) : reject(new Error('no port'))));
    });
  });
}

/**
 * The first of `count` free ports in a row, for a whole stack. Below the range from which the kernel takes the ports of outgoing connections (32768 on Linux):
 * there one of the stack's own connections may sit on the port that its next process is about to listen on.
 */
export async function freeBasePort(count = 12): Promise<number> {
  for (;;) {
    const base = 20_000 + randomInt(12_000);
    const all = await Promise.all(Array.from({ length: count }, (_, i) => isFree(base + i)));
    if (all.every(Boolean)) return base;
  }
}

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });

async function testServer(argv: string[], dir: string, serves: () => Promise<boolean>): Promise<TestServer> {
  const [command, ...args] = argv as [string, ...string[]];
  const logFile = join(dir, 'server.log');
  let child: ChildProcess;
  let exited: Promise<void>;
  const start = async (): Promise<void> => {
    const log = openSync(logFile, 'a');
    child = spawn(command, args, { stdio: ['ignore', log, log] });
    closeSync(log);
    let ended = false;
    exited = new Promise((resolve) => child.once('exit', () => resolve(((ended = true), undefined))));
    await until(
      async () => {
        if (ended) throw new Error(`${command} ended: ${await readFile(logFile, 'utf8')}`);
        return serves();
      },
      { timeoutMs: 30_000, what: `${command} serving` },
    );
  };
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    child.kill(signal);
    await exited;
  };
  await start();
  return {
    get pid() {
      return child.pid ?? 0;
    },
    kill: () => end('SIGKILL'),
    startAgain: start,
    async killAndStartAgain() {
      await end('SIGKILL');
      await start();
    },
    async close() {
      await end('SIGKILL');
      await rm(dir, { recursive: true, force: true });
    },
  };
}
