import { spawn } from 'node:child_process';
import { setTimeout as pause } from 'node:timers/promises';
import type { Role } from './stack-file.js';
import { endProcesses } from './end-processes.js';
import { closeLog, openLog } from './logs.js';
import type { Pids } from './pids.js';
import { familyOf, processTable, signalTo, type ProcessId } from './process-table.js';

export interface ChildSpec {
  role: Exclude<Role, 'operator'>;
  argv: [string, ...string[]];
  env: NodeJS.ProcessEnv;
  logFile: string;
  /** True when it does its work. Asked about ten times a second while it starts. */
  serves: () => Promise<boolean>;
  /** How long it may take to end by itself. */
  graceMs: number;
  /** What it started dies with it, if it dies unasked: a lab host's processes do; what an effector has begun on a host does not. */
  familyDiesToo: boolean;
}

export interface Child {
  readonly spec: ChildSpec;
  /** The process as it is now; null while it is down. */
  readonly current: ProcessId | null;
  /** Resolves when it serves for the first time; rejects when it does not come up. */
  readonly up: Promise<void>;
  /** Ends it with all that it started, and keeps it down. */
  stop(): Promise<void>;
  /** Ends it; it is started again like one that died. */
  restart(): void;
}

/** 250 ms, doubling up to ten seconds; from the start again when it has served for that long. */
const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 10_000;
/** A child that cannot start at all is not waited for. */
const TRIES_TO_COME_UP = 3;
const COME_UP_MS = 60_000;

interface Life {
  how: string;
  servedMs: number;
}

/**
 * Keeps one process running. States: starting -> serving -> (it ends) -> waiting -> starting...; `stop` ends it from any of them.
 * `changed` is told when it serves, first and after each restart.
 */
export function keepRunning(
  spec: ChildSpec,
  o: { pids: Pids; say: (line: string) => void; changed: (change: 'started' | 'restarted', detail: string) => void },
): Child {
  const stopping = new AbortController();
  let current: ProcessId | null = null;
  let cameUp: () => void = () => {};
  let failed: (error: Error) => void = () => {};
  const up = new Promise<void>((resolve, reject) => ((cameUp = resolve), (failed = reject)));
  up.catch(() => {}); // Whoever awaits it hears of it; nobody has to.

  let everServed = false;
  let endedAs = '';
  const firstStart = Date.now();

  /** One life of it: started, served (or not), ended. */
  const live = async (): Promise<Life> => {
    const started = Date.now();
    const child = start(spec);
    current = o.pids.add(spec.role, child.pid);
    const ended = new AbortController();
    const exit = child.exit.finally(() => ended.abort());
    const served = await untilServing(spec, AbortSignal.any([ended.signal, stopping.signal]), everServed ? Infinity : firstStart + COME_UP_MS);
    const servedAt = Date.now();
    if (served) {
      if (everServed) o.say(`${spec.role} serves again (process ${child.pid}, ${servedAt - started} ms)`);
      o.changed(everServed ? 'restarted' : 'started', everServed ? endedAs : `process ${child.pid}`);
      everServed = true;
      cameUp();
    } else if (!ended.signal.aborted && !stopping.signal.aborted) {
      failed(new Error(`${spec.role} runs and does not serve after ${COME_UP_MS / 1000} s; its log is ${spec.logFile}`));
    }
    const how = await exit;
    // The number of a group is not given away while the group has members: what is in it was started by this child.
    if (spec.familyDiesToo)
      await endProcesses(
        processTable().filter((entry) => entry.group === child.pid),
        2_000,
      );
    o.pids.remove(current);
    current = null;
    return { how: `(process ${child.pid}) ${how} after ${((Date.now() - started) / 1000).toFixed(1)} s`, servedMs: served ? Date.now() - servedAt : 0 };
  };

  const run = async (): Promise<void> => {
    let delay = FIRST_DELAY_MS;
    for (let tries = 1; !stopping.signal.aborted; tries += 1) {
      // Once it has served, not even failing to start it (no memory, no more processes) ends the trying.
      const { how, servedMs } = await live().catch((error: unknown): Life => ({ how: `could not be kept: ${String(error)}`, servedMs: 0 }));
      current = null;
      if (stopping.signal.aborted) return;
      if (!everServed && (tries >= TRIES_TO_COME_UP || Date.now() > firstStart + COME_UP_MS)) {
        failed(new Error(`${spec.role} does not come up: it ${how}; its log is ${spec.logFile}`));
        return;
      }
      if (servedMs > LONGEST_DELAY_MS) delay = FIRST_DELAY_MS;
      endedAs = `it ${how}`;
      o.say(`${spec.role} ${how}: starting it again in ${delay} ms; its log: ${spec.logFile}`);
      await pause(delay, undefined, { signal: stopping.signal }).catch(() => {});
      delay = Math.min(delay * 2, LONGEST_DELAY_MS);
    }
  };
  const running = run();

  return {
    spec,
    get current() {
      return current;
    },
    up,
    async stop() {
      stopping.abort();
      if (current !== null) {
        // Looked up while their parent lives: afterwards they belong to nobody.
        const family = familyOf([current]);
        await endProcesses([current], spec.graceMs);
        await running;
        // What it left in spite of an orderly end.
        await endProcesses(family, 2_000);
      }
      await running;
    },
    restart() {
      if (current !== null) signalTo(current, 'SIGTERM');
    },
  };
}

/** Its own session and group: Ctrl-C in the terminal reaches the supervisor alone, which ends its children in order. */
function start(spec: ChildSpec): { pid: number; exit: Promise<string> } {
  const log = openLog(spec.logFile);
  try {
    const [command, ...args] = spec.argv;
    const child = spawn(command, args, { detached: true, stdio: ['ignore', log, log], env: spec.env });
    const exit = new Promise<string>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (code, signal) => resolve(signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`));
    });
    if (child.pid === undefined) {
      exit.catch(() => {});
      throw new Error(`${spec.role}: ${command} could not be started`);
    }
    return { pid: child.pid, exit };
  } finally {
    closeLog(log);
  }
}

async function untilServing(spec: ChildSpec, signal: AbortSignal, deadline: number): Promise<boolean> {
  while (!signal.aborted && Date.now() < deadline) {
    if (await spec.serves().catch(() => false)) return !signal.aborted;
    await pause(60, undefined, { signal }).catch(() => {});
  }
  return false;
}
