import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { LabFacts } from '../lab/facts.js';
import { becomeSupervisor, endLeftovers, processesOf } from './adopt.js';
import { ensureServers } from './build-servers.js';
import { keepRunning, type Child } from './children.js';
import { describeStack } from './describe-stack.js';
import { freeBytes, mebibytes, watchDisk } from './disk.js';
import { endProcesses } from './end-processes.js';
import type { Env } from './find-servers.js';
import { openStackLine, provisionStreams, type NatsAccess, type StackLine } from './intake.js';
import { layoutOf, makeDirectories, type Layout } from './layout.js';
import { rotateLog } from './logs.js';
import type { StartOptions } from './options.js';
import { makePlan, type LabRoom } from './make-plan.js';
import { replaceFile } from './own-file.js';
import { openPids, type Pids } from './pids.js';
import { ensurePortsFree, portsFrom, type StackPorts } from './ports.js';
import { childSpecs, STOP_ORDER, type ChildRole, type StackPlan } from './processes.js';
import { writeErrorOf } from './revive-nats.js';
import type { StackFile } from './stack-file.js';
import { setRetention } from './temporal.js';

export interface RunOptions extends Pick<StartOptions, 'dir' | 'basePort' | 'configFile'> {
  env: Env;
  say: (line: string) => void;
  lab: LabRoom;
  minFreeBytes: number;
  logMaxBytes: number;
  /** Ends the start, wherever it stands. */
  signal: AbortSignal;
}

export interface RunningStack {
  /** As it stands in DIR/stack.json. */
  readonly file: StackFile;
  readonly lab: LabFacts;
  /** Stops everything in order; nothing is left behind. */
  stop(): Promise<void>;
}

/**
 * Starts everything and resolves when everything serves. In this order: the directory is made ours, what a killed supervisor left there is ended, ports are
 * looked at, the servers built if need be; then NATS and Temporal at once, the streams, and our four processes at once. Whatever fails on the way, what was
 * started is stopped again.
 */
export async function runStack(o: RunOptions): Promise<RunningStack> {
  const layout = layoutOf(o.dir);
  const ports = portsFrom(o.basePort);
  await makeDirectories(layout, STOP_ORDER);
  const release = becomeSupervisor(layout.dir);
  const ended = new AbortController();
  const running: Running = { children: new Map(), line: null, ended, tasks: [], mark: `${randomUUID()}:${layout.dir}`, layout };
  const stop = once(() => stopAll(running, release));
  try {
    await rm(layout.stackFile, { force: true }); // Of a supervisor that was killed: what it describes is about to end.
    await endLeftovers(layout.dir, o.say);
    await ensurePortsFree(ports);
    const plan = await prepare(o, layout, ports, running.mark);
    o.signal.throwIfAborted();
    return await bringUp(o, plan, running, stop);
  } catch (error) {
    await stop();
    throw error;
  }
}

interface Running {
  children: Map<ChildRole, Child>;
  line: StackLine | null;
  /** Aborted when the stack ends: its own watchers end with it. */
  ended: AbortController;
  tasks: Promise<void>[];
  mark: string;
  layout: Layout;
}

/** Servers, lab and files: what takes no ports and starts nothing. */
async function prepare(o: RunOptions, layout: Layout, ports: StackPorts, mark: string): Promise<StackPlan> {
  const [servers, lab] = await Promise.all([
    ensureServers({ env: o.env, say: o.say, signal: o.signal }),
    o.lab.prepare({ dir: layout.lab, sshPort: ports.labSsh }),
  ]);
  return makePlan({ layout, ports, servers, lab, labConfig: o.lab.config(lab), configFile: o.configFile, mark, env: o.env, say: o.say, listen: '127.0.0.1' });
}

async function bringUp(o: RunOptions, plan: StackPlan, running: Running, stop: () => Promise<void>): Promise<RunningStack> {
  const { layout, ports } = plan;
  const { children } = running;
  const pids: Pids = openPids(layout.dir, running.mark, o.say);
  const specs = childSpecs(plan);
  const startedAt = new Date().toISOString();
  let serving = false;

  const file = (): StackFile =>
    describeStack(
      plan,
      STOP_ORDER.toReversed().map((role) => ({ role, argv: specs[role].argv, current: children.get(role)?.current ?? null })),
      startedAt,
    );
  let writing: Promise<void> = Promise.resolve();
  const writeStackFile = (): Promise<void> =>
    (writing = writing
      .then(async () => {
        if (!running.ended.signal.aborted) await replaceFile(layout.stackFile, `${JSON.stringify(file(), null, 2)}\n`);
      })
      .catch((error: unknown) => o.say(`${layout.stackFile} could not be written: ${String(error)}`)));

  const start = (role: ChildRole): Promise<void> => {
    const child = keepRunning(specs[role], {
      pids,
      say: o.say,
      changed(change, detail) {
        if (!serving) return;
        running.line?.tell(change, role, detail);
        void writeStackFile();
      },
    });
    children.set(role, child);
    return untilAborted(child.up, o.signal);
  };

  const access: NatsAccess = { servers: `127.0.0.1:${ports.nats}`, site: plan.site, credentials: plan.identities.credentials };
  await Promise.all([
    start('temporal').then(() => setRetention(ports.temporalHttp)),
    start('nats').then(async () => {
      await provisionStreams(access, o.signal);
      running.line = await openStackLine(access, o.say, o.signal);
    }),
  ]);
  await Promise.all([start('engine'), start('effector'), start('lab'), start('agent')]);

  await writeStackFile();
  serving = true;
  running.line?.tell('started', 'stack', `everything serves; ${layout.dir}, ports from ${ports.nats}`);
  running.tasks.push(watchLogs(o, layout, running.ended.signal), guardDisk(o, ports, running));
  return {
    get file() {
      return file();
    },
    lab: plan.lab,
    stop,
  };
}

async function watchLogs(o: RunOptions, layout: Layout, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    for (const role of STOP_ORDER) {
      await rotateLog(layout.log(role), o.logMaxBytes).catch((error: unknown) => o.say(`${layout.log(role)} could not be rotated: ${String(error)}`));
    }
    await pause(5_000, undefined, { signal }).catch(() => {});
  }
}

/** Shuts intake while the disk is nearly full, and starts NATS again when it has met a full one and there is room. */
function guardDisk(o: RunOptions, ports: StackPorts, running: Running): Promise<void> {
  const { line, layout, ended } = running;
  if (line === null) return Promise.resolve();
  let lastRestart = 0;
  let told = false;
  const reviveNats = async (): Promise<void> => {
    const said = await writeErrorOf(ports.natsMonitor).catch(() => null); // It is down: that is noticed elsewhere.
    if (said === null || Date.now() - lastRestart < 15_000) return;
    lastRestart = Date.now();
    o.say(`NATS has stopped writing (${said}) and there is room now: starting it again`);
    running.children.get('nats')?.restart();
  };
  return watchDisk({
    minFreeBytes: o.minFreeBytes,
    say: o.say,
    signal: ended.signal,
    pause: () => pause(1_000, undefined, { signal: ended.signal }).catch(() => {}),
    async free() {
      const free = await freeBytes(layout.dir);
      if (free >= o.minFreeBytes) await reviveNats();
      return free;
    },
    async shut(free) {
      if (!told)
        o.say(
          `the disk is nearly full: ${mebibytes(free)} free below ${layout.dir}, less than ${mebibytes(o.minFreeBytes)}. Intake is stopped: new events stay with their senders. Make room; it goes on by itself`,
        );
      told = true;
      await line.setIntake(false);
      line.tell('intake-stopped', 'stack', `${mebibytes(free)} free below ${layout.dir}`);
    },
    async reopen(free) {
      await line.setIntake(true);
      told = false;
      o.say(`${mebibytes(free)} free again: intake is open`);
      line.tell('intake-resumed', 'stack', `${mebibytes(free)} free below ${layout.dir}`);
    },
  });
}

/** Agents stop speaking first, servers last; then whatever else carries our mark, which should be nothing. */
async function stopAll(running: Running, release: () => void): Promise<void> {
  const { children, layout, mark } = running;
  const failures: unknown[] = []; // One that does not end must not keep the others from ending.
  running.ended.abort();
  await rm(layout.stackFile, { force: true });
  await Promise.all(running.tasks);
  for (const role of STOP_ORDER) {
    if (role === 'temporal') {
      running.line?.tell('ended', 'stack', 'stopped in order');
      await running.line?.close();
    }
    await children
      .get(role)
      ?.stop()
      .catch((error: unknown) => failures.push(error));
  }
  await endProcesses(processesOf(mark, []), 3_000).catch((error: unknown) => failures.push(error));
  if (failures.length > 0) throw new AggregateError(failures, `not everything could be ended; the next start in ${layout.dir} tries again`);
  await rm(join(layout.run, 'pids.json'), { force: true });
  release();
}

const once = <T>(work: () => Promise<T>): (() => Promise<T>) => {
  let done: Promise<T> | null = null;
  return () => (done ??= work());
};

function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = (): void => reject(signal.reason instanceof Error ? signal.reason : new Error('stopped'));
    if (signal.aborted) abort();
    signal.addEventListener('abort', abort, { once: true });
    work
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', abort))
      .catch(() => {});
  });
}
