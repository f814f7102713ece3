import { spawn } from 'node:child_process';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { LabFacts } from '../facts.js';
import { makeFifos, openInbox, openReports, type Inbox } from './fifo.js';
import { processStat } from './process-stat.js';
import type { Recorder } from './left-behind.js';

/** The lab host's first process, as the lab process drives it. */
export interface Host {
  /** Orders as `openvz/host-init` understands them. */
  orders: Inbox;
  /** The /proc in which the host's pids mean something, seen from this process. */
  proc: string;
  /** Its first process, by this machine's pid. */
  pid: number;
  onReport(handler: (word: string, rest: readonly string[]) => void): void;
  /** True until its first process has ended. */
  isUp(): boolean;
  /** Lets go of it: its first process ends at end of file, and with it everything in its namespaces. */
  close(): Promise<void>;
}

const NAMESPACES = ['--mount', '--uts', '--ipc', '--pid', '--fork', '--kill-child'];

/** Boots the host. Rejects when its first process does not come up. */
export async function bootHost(facts: LabFacts, groups: readonly string[], record: Recorder): Promise<Host> {
  const run = join(facts.hostDir, 'run');
  const orders = join(run, 'host.orders');
  const reports = join(run, 'reports');
  for (const path of [orders, reports]) rmSync(path, { force: true });
  makeFifos([orders, reports]);

  const handlers: ((word: string, rest: readonly string[]) => void)[] = [];
  const reading = openReports(reports, (line) => {
    const [word, ...rest] = line.split(' ');
    for (const handler of handlers) handler(word ?? '', rest);
  });
  const inbox = openInbox(orders);

  const init = [join(facts.hostDir, 'sbin', 'init'), facts.hostDir, orders, reports, facts.namespaces ? 'own' : 'shared', facts.host, ...groups];
  const [command = '', ...args] = facts.namespaces ? ['unshare', ...NAMESPACES, ...init] : init;
  // Detached, in a session of its own: the terminal's Ctrl-C is for the lab process, which ends the host in order.
  const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit'], detached: true });
  let ended = false;
  const end = new Promise<void>((resolve) =>
    child.once('exit', () => {
      ended = true;
      resolve();
    }),
  );
  const failed = new Promise<never>((_, reject) => {
    child.once('error', (cause) => reject(new Error(`the lab host cannot be started by ${command}`, { cause })));
    child.once('exit', (code, signal) =>
      reject(new Error(`the lab host's first process ended at once (${signal ?? `exit ${code}`}): its output is in the lab's log`)),
    );
  });
  failed.catch(() => {});
  const pid = await Promise.race([failed, firstProcess(child.pid ?? 0, facts.namespaces)]);
  record([child.pid ?? 0, pid]);

  return {
    orders: inbox,
    pid,
    proc: facts.namespaces ? `/proc/${pid}/root/proc` : '/proc',
    onReport: (handler) => {
      handlers.push(handler);
    },
    isUp: () => !ended,
    close: async () => {
      inbox.close();
      reading.close();
      await Promise.race([end, new Promise((resolve) => setTimeout(resolve, 3_000))]);
      if (!ended) child.kill('SIGKILL');
    },
  };
}

/** `unshare` stays behind as the parent of pid 1; without namespaces the child is the first process itself. */
async function firstProcess(child: number, namespaces: boolean): Promise<number> {
  for (;;) {
    if (!namespaces) return child;
    const found = readdirSync('/proc')
      .filter((name) => /^\d+$/.test(name))
      .map((name) => processStat('/proc', Number(name)))
      .find((stat) => stat?.ppid === child && stat.comm === 'init');
    if (found) return found.pid;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
