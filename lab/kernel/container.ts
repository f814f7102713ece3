import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LabFacts } from '../facts.js';
import type { HostLogEntry } from '../host-log.js';
import type { Scene } from '../messages.js';
import type { Bean } from './beancounters.js';
import { makeFifos, openInbox, type Inbox } from './fifo.js';
import type { Host } from './host.js';
import { isRunning, processStat } from './process-stat.js';
import { createWebServer, MAX_CLIENTS, type WebServer } from './web-server.js';

/**
 * The container: a real first process, and below it the real processes of its web server. All pids in here are those of the host's own /proc.
 * Deaths are found by looking, told to init, and come back with the status that init was given: that is what the host's log says.
 */
export interface Container {
  isRunning(): boolean;
  /** The pid of its first process, 0 when it is stopped. */
  init(): number;
  /** Its processes, without what was entered from outside. */
  pids(): number[];
  /** Finds the dead, and lets the web server go on. */
  look(now: number): void;
  start(surgeSince: number | null, tick: () => void): Promise<void>;
  stop(tick: () => void): Promise<void>;
  serviceIsUp(): boolean;
  startService(tick: () => void): Promise<boolean>;
  stopService(tick: () => void): Promise<boolean>;
  play(scene: Scene, now: number): void;
  surgeSince(): number | null;
  /** What stands behind the workers' command line from now on. */
  dressWorkers(args: readonly string[]): void;
  view(): ReturnType<WebServer['view']>;
  /** The lock of vzctl: one start or stop at a time. */
  isBusy(): boolean;
  exclusively(work: () => Promise<void>): Promise<void>;
}

interface Member {
  pid: number;
  slot: number;
  startTicks: number;
  comm: string;
  /** We ended it ourselves. */ ended: boolean;
  reaping: boolean;
}

const PATIENCE_MS = 10_000;

export function createContainer({
  facts,
  host,
  groups,
  log,
  sendBuffers,
}: {
  facts: LabFacts;
  host: Host;
  groups: readonly string[];
  log(entry: HostLogEntry): void;
  sendBuffers(): Bean;
}): Container {
  const { container: id } = facts;
  const root = join(facts.hostDir, 'vz', 'private', id);
  const ordersPath = join(facts.hostDir, 'run', `${id}.orders`);
  const inboxPath = (slot: number): string => join(root, 'run', String(slot));
  const slots = Array.from({ length: MAX_CLIENTS + 1 }, (_, slot) => slot);

  let orders: Inbox | null = null;
  let inboxes: Inbox[] = [];
  let first: Member | null = null;
  let members = new Map<number, Member>();
  let busy = false;
  let web = newWebServer(null);

  function newWebServer(surgeSince: number | null): WebServer {
    return createWebServer(
      {
        spawn: (slot, worker) => {
          inboxes[slot]?.drain();
          orders?.tell(`${worker ? 'worker' : 'master'} ${slot}`);
        },
        tell: (slot, word) => inboxes[slot]?.tell(word),
        end: (chosen) =>
          end(
            [...members.values()].filter((member) => chosen.includes(member.slot)),
            'TERM',
          ),
        sendBuffers,
      },
      surgeSince,
    );
  }

  function end(some: readonly Member[], signal: 'TERM' | 'KILL'): void {
    for (const member of some) if (isRunning(processStat(host.proc, member.pid))) member.ended = true;
    // A line stays below the size that a pipe takes at once.
    for (let i = 0; i < some.length; i += 100)
      orders?.tell(
        `signal ${signal} ${some
          .slice(i, i + 100)
          .map((member) => member.pid)
          .join(' ')}`,
      );
  }

  const member = (pid: number, slot: number): Member => {
    const stat = processStat(host.proc, pid);
    return { pid, slot, startTicks: stat?.startTicks ?? 0, comm: slot >= 0 ? 'httpd' : 'init', ended: false, reaping: false };
  };

  host.onReport((word, rest) => {
    const [a = '', b = ''] = rest;
    if (word === 'container' && a === id) first = member(Number(b), -1);
    else if (word === 'spawned') {
      members.set(Number(b), member(Number(b), Number(a)));
      web.came(Number(a));
    } else if (word === 'again') web.again(Number(a), Date.now());
    else if (word === 'reaped') buried(Number(a), Number(b));
  });

  function buried(pid: number, status: number): void {
    const dead = members.get(pid) ?? (first?.pid === pid ? first : null);
    if (dead === null) return;
    logDeath(dead, status);
    if (dead === first) return lost();
    members.delete(pid);
    web.gone(dead.slot);
  }

  function logDeath(dead: Member, status: number | null): void {
    const bySignal = status !== null && status > 128;
    log({
      what: 'died',
      container: id,
      pid: dead.pid,
      startTicks: dead.startTicks,
      comm: dead.comm,
      signal: bySignal ? status - 128 : null,
      exit: status === null || bySignal ? null : status,
      by: dead.ended ? 'inside' : 'outside',
    });
  }

  /** Its first process has ended, and so has the container. What it had started follows at end of file. */
  function lost(): void {
    first = null;
    for (const orphan of members.values()) logDeath({ ...orphan, ended: true }, null);
    members = new Map();
    for (const inbox of [orders, ...inboxes]) inbox?.close();
    orders = null;
    inboxes = [];
    const since = web.surgeSince();
    web = newWebServer(since);
    log({ what: 'container-stopped', container: id });
  }

  function look(now: number): void {
    if (first === null) return;
    for (const one of [...members.values(), first]) {
      if (one.reaping) continue;
      const stat = processStat(host.proc, one.pid);
      if (isRunning(stat)) {
        one.comm = stat.comm;
        one.startTicks = stat.startTicks;
      } else {
        one.reaping = true;
        (one === first ? host.orders : orders)?.tell(`reap ${one.pid}`);
      }
    }
    web.step(now);
  }

  async function until(condition: () => boolean, tick: () => void, withinMs = PATIENCE_MS): Promise<boolean> {
    const give = Date.now() + withinMs;
    while (!condition()) {
      if (Date.now() > give) return false;
      await new Promise((resolve) => setTimeout(resolve, 20));
      tick();
    }
    return true;
  }

  async function stopService(tick: () => void): Promise<boolean> {
    web.stop();
    if (await until(() => web.isDown(), tick, 2_000)) return true;
    end([...members.values()], 'KILL');
    return until(() => web.isDown(), tick);
  }

  async function startService(tick: () => void): Promise<boolean> {
    web.start(Date.now());
    return until(() => web.isUp(), tick);
  }

  function dressWorkers(args: readonly string[]): void {
    const quoted = args.map((arg) => `'${arg.replaceAll("'", "'\\''")}'`);
    writeFileSync(join(root, 'etc', 'httpd-arguments'), `set -- ${quoted.join(' ')}\n`);
  }

  return {
    isRunning: () => first !== null,
    init: () => first?.pid ?? 0,
    pids: () => (first === null ? [] : [first.pid, ...members.keys()]),
    look,
    start: async (surgeSince, tick) => {
      rmSync(join(root, 'run'), { recursive: true, force: true });
      mkdirSync(join(root, 'run'), { recursive: true });
      rmSync(ordersPath, { force: true });
      makeFifos([ordersPath, ...slots.map(inboxPath)]);
      orders = openInbox(ordersPath);
      inboxes = slots.map((slot) => openInbox(inboxPath(slot)));
      web = newWebServer(surgeSince);
      host.orders.tell(`container ${id} ${groups.join(' ')}`.trim());
      if (!(await until(() => first !== null, tick)))
        throw new Error(`the first process of container ${id} does not come up: see ${facts.hostDir}/log/console.log`);
      log({ what: 'container-started', container: id, pid: first?.pid ?? 0, startTicks: first?.startTicks ?? 0 });
      if (!(await startService(tick))) throw new Error(`httpd of container ${id} does not come up: see ${facts.hostDir}/log/console.log`);
    },
    stop: async (tick) => {
      if (first === null) return;
      await stopService(tick);
      if (first === null) return;
      first.ended = true;
      host.orders.tell(`signal KILL ${first.pid}`);
      if (!(await until(() => first === null, tick))) throw new Error(`container ${id} does not stop`);
    },
    serviceIsUp: () => first !== null && !web.isDown() && web.isUp(),
    startService,
    stopService,
    dressWorkers,
    play: (scene, now) => web.play(scene, now),
    surgeSince: () => web.surgeSince(),
    view: () => web.view(),
    isBusy: () => busy,
    exclusively: async (work) => {
      if (busy) throw new Error(`container ${id} is being started or stopped`);
      busy = true;
      try {
        await work();
      } finally {
        busy = false;
      }
    },
  };
}
