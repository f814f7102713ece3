import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inCheckout } from './root.js';
import { readStackFile, type StackFile } from './stack-file.js';

const now = (): number => performance.now();

export interface RunningStack {
  stack: StackFile;
  servedAfterMs: number;
  supervisorPid: number;
  stop(): Promise<void>;
}

/** Starts a whole stack as `npm start -- --no-drill` does and waits until it serves. Rejects with the end of its output when it does not within `timeoutMs`. */
export async function startStack(
  dir: string,
  basePort: number,
  { timeoutMs = 60_000, args = [] }: { timeoutMs?: number; args?: string[] } = {},
): Promise<RunningStack> {
  const began = now();
  const child = spawn(process.execPath, [inCheckout('build/stack/start.js'), '--dir', dir, '--base-port', String(basePort), '--no-drill', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  const hear = (chunk: Buffer): void => void (said = (said + chunk.toString()).slice(-4000));
  child.stdout.on('data', hear);
  child.stderr.on('data', hear);
  for (;;) {
    const stack = await readStackFile(dir).catch(() => null);
    if (stack !== null) return { stack, servedAfterMs: now() - began, supervisorPid: child.pid ?? 0, stop: () => stop(child) };
    if (child.exitCode !== null || now() - began > timeoutMs) {
      await stop(child);
      throw new Error(`the stack in ${dir} does not serve:\n${said}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
}

/** Resident memory of a process in MB, from /proc; 0 when it has gone. */
export async function rssMb(pid: number): Promise<number> {
  const status = await readFile(join('/proc', String(pid), 'status'), 'utf8').catch(() => '');
  const kb = /^VmRSS:\s+(\d+) kB/m.exec(status)?.[1];
  return kb === undefined ? 0 : Number(kb) / 1024;
}
