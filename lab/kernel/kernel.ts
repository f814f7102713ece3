import { mkdirSync, rmSync, statSync, watch, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LabFacts } from '../facts.js';
import { appendHostLog } from '../host-log.js';
import type { LabState, Scene } from '../messages.js';
import { beancounterTable, hold, newBeans, type Beans } from './beancounters.js';
import { cgroupPids } from './cgroups.js';
import { defaultConf, replaceFile, savedLimits } from './container-conf.js';
import { createContainer, type Container } from './container.js';
import type { Host } from './host.js';
import type { Recorder } from './left-behind.js';
import { isRunning, processStat } from './process-stat.js';
import { serveTools } from './tool-requests.js';

/**
 * What stands for the OpenVZ kernel of the lab host. Five times a second it looks at the container's real processes, lets the web server's demand
 * meet the limits, and writes the beancounters; in between it does what the fake tools ask for.
 */
export interface Kernel {
  state(): LabState;
  reset(): Promise<void>;
  play(scene: Scene, workerArgs: readonly string[]): void;
  misbehave(how: Readonly<Record<string, string>>): void;
  logFile: string;
  close(): Promise<void>;
}

const TICK_MS = 200;
const PAGE = 4096;

export async function startKernel(facts: LabFacts, host: Host, groups: readonly string[], record: Recorder): Promise<Kernel> {
  const { hostDir, container: id } = facts;
  const run = join(hostDir, 'run');
  const conf = join(hostDir, 'etc', 'vz', 'conf', `${id}.conf`);
  const logFile = join(hostDir, 'log', 'host.log');
  const table = join(hostDir, 'proc', 'user_beancounters');
  const misbehaviour = join(hostDir, 'misbehave');
  for (const dir of ['vz', 'requests', 'replies']) {
    rmSync(join(run, dir), { recursive: true, force: true });
    mkdirSync(join(run, dir), { recursive: true });
  }
  let misbehaves: Readonly<Record<string, string>> = {};
  let beans: Beans = newBeans(new Map());
  let lastTable = '';
  let lastState = '';
  let lastSweep = 0;
  const log = (entry: Parameters<typeof appendHostLog>[1]): void => appendHostLog(logFile, entry);

  const container: Container = createContainer({
    facts,
    host,
    groups,
    log,
    sendBuffers: () => beans.get('tcpsndbuf') ?? { held: 0, maxheld: 0, barrier: 0n, limit: 0n, failcnt: 0 },
  });

  /** The container's processes: all in its cgroup, by this machine's pids; or, in a session, those that its init has started, by the host's. */
  function members(): number[] {
    const first = groups[0];
    return first === undefined ? container.pids() : cgroupPids(first);
  }

  function count(): void {
    const stats = members()
      .map((pid) => processStat(groups.length > 0 ? '/proc' : host.proc, pid))
      .filter(isRunning);
    const resident = stats.reduce((sum, stat) => sum + stat.residentPages, 0);
    const web = container.view();
    const values = {
      numproc: stats.length,
      physpages: resident,
      oomguarpages: resident,
      privvmpages: stats.reduce((sum, stat) => sum + Math.ceil(stat.virtualBytes / PAGE), 0),
      // Estimates: a shell's share of kernel memory, its open files, its directory entries.
      kmemsize: stats.length * 38_912,
      numfile: stats.length * 9,
      dcachesize: stats.length * 5_120,
      numtcpsock: web.sockets,
      tcprcvbuf: web.sockets * 16_384,
      numothersock: container.isRunning() ? 4 : 0,
      othersockbuf: container.isRunning() ? 9_280 : 0,
      numiptent: container.isRunning() ? 10 : 0,
    } as const;
    for (const [resource, held] of Object.entries(values)) hold(beans, resource as keyof typeof values, held);
    // In a namespace of its own everything ends with the host's first process, which is recorded.
    if (!facts.namespaces) record(stats.map((stat) => stat.pid));
  }

  function write(): void {
    if (misbehaves['beancounters'] !== 'stale') {
      const text = beancounterTable(container.isRunning() ? [{ id, beans }] : []);
      if (misbehaves['beancounters'] === 'missing') rmSync(table, { force: true });
      // As a reader meets it who comes while somebody writes: the last row it can see is cut in its middle.
      else if (misbehaves['beancounters'] === 'half') replaceFile(table, text.slice(0, text.indexOf('tcpsndbuf') + 40), 0o400);
      else if (text !== lastTable) replaceFile(table, text, 0o400);
      lastTable = misbehaves['beancounters'] === undefined ? text : '';
    }
    const state = [
      `status=${container.isRunning() ? 'running' : 'stopped'}`,
      `init=${container.init()}`,
      `enterable=${container.view().shut ? 0 : 1}`,
      `groups=${groups.join(' ')}`,
      '',
    ].join('\n');
    if (state !== lastState) replaceFile(join(run, 'vz', id), state);
    lastState = state;
  }

  function tick(): void {
    const now = Date.now();
    container.look(now);
    count();
    write();
    if (now - lastSweep > 5_000) {
      lastSweep = now;
      host.orders.tell('sweep');
    }
  }

  async function start(surgeSince: number | null): Promise<void> {
    beans = newBeans(savedLimits(conf));
    await container.start(surgeSince, tick);
  }

  const tools = serveTools({
    requestDir: join(run, 'requests'),
    replyDir: join(run, 'replies'),
    id,
    conf,
    log,
    beans: () => beans,
    container,
    start,
    tick,
  });
  const watcher = watch(join(run, 'requests'), () => tools.serve());
  const timer = setInterval(() => {
    tick();
    tools.serve();
  }, TICK_MS);

  const misbehave = (how: Readonly<Record<string, string>>): void => {
    misbehaves = how;
    if (Object.keys(how).length === 0) rmSync(misbehaviour, { force: true });
    else
      replaceFile(
        misbehaviour,
        `${Object.entries(how)
          .map(([key, value]) => `${key}=${value}`)
          .join('\n')}\n`,
      );
    write();
  };

  const reset = (): Promise<void> =>
    container.exclusively(async () => {
      misbehave({});
      await container.stop(tick);
      container.dressWorkers([]);
      writeFileSync(conf, defaultConf(id));
      await start(null);
      log({ what: 'scene', container: id, scene: 'quiet' });
      tick();
    });

  log({ what: 'booted' });
  await reset();

  return {
    logFile,
    reset,
    misbehave,
    state: () => {
      const web = container.view();
      const bean = beans.get('tcpsndbuf') ?? { held: 0, maxheld: 0, barrier: 0n, limit: 0n, failcnt: 0 };
      return {
        host: facts.host,
        container: id,
        running: container.isRunning(),
        scene: web.scene,
        enterable: !web.shut,
        workers: web.workers,
        stuck: web.stuck,
        processes: beans.get('numproc')?.held ?? 0,
        tcpsndbuf: { held: bean.held, maxheld: bean.maxheld, barrier: Number(bean.barrier), limit: Number(bean.limit), failcnt: bean.failcnt },
        logEnd: statSync(logFile).size,
        misbehaves: { ...misbehaves },
      };
    },
    play: (scene, workerArgs) => {
      container.dressWorkers(workerArgs);
      container.play(scene, Date.now());
      log({ what: 'scene', container: id, scene });
      tick();
    },
    close: async () => {
      clearInterval(timer);
      watcher.close();
      await container.stop(tick);
      log({ what: 'down' });
    },
  };
}
