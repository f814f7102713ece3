import { spawn } from 'node:child_process';
import { constants } from 'node:os';

export interface RunOptions {
  input: string;
  timeoutMs: number;
  maxBytes: number;
  env: NodeJS.ProcessEnv;
  signal?: AbortSignal | undefined;
  /** When time is up or the caller leaves: end the program and all it started, or let it finish unheard. */
  whenLate: 'end' | 'leave';
}

export interface Ran {
  stdout: string;
  /** At most 16 KiB of it. */
  stderr: string;
  /** Null: ended by a signal, or still running (`late` and left alone). */
  exitCode: number | null;
  late: boolean;
  tooLong: boolean;
}

/**
 * Runs a program from an argv, never through a shell, in a process group of its own: a Ctrl-C at our terminal is not meant for it.
 * Resolves with what it said when it has exited, was too slow or too loud; rejects when it cannot be started, and when `signal` aborts.
 */
export function runBounded(program: string, args: readonly string[], options: RunOptions): Promise<Ran> {
  return new Promise((resolve, reject) => {
    options.signal?.throwIfAborted();
    const child = spawn(program, args, { env: options.env, stdio: ['pipe', 'pipe', 'pipe'], detached: true });
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    let outBytes = 0;
    let errBytes = 0;
    let settled = false;

    const settle = (then: () => void): void => {
      if (settled) return;
      settled = true;
      clearTimeout(timer);
      options.signal?.removeEventListener('abort', abandon);
      child.stdin.destroy();
      child.stdout.destroy();
      child.stderr.destroy();
      child.unref();
      then();
    };
    const end = (): void => {
      if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
      try {
        process.kill(-child.pid, constants.signals.SIGKILL);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
      }
    };
    const ran = (more: Partial<Ran>): Ran => ({
      stdout: Buffer.concat(out).toString('latin1'),
      stderr: Buffer.concat(err).toString('latin1'),
      exitCode: child.exitCode,
      late: false,
      tooLong: false,
      ...more,
    });
    const abandon = (): void =>
      settle(() => {
        if (options.whenLate === 'end') end();
        reject(options.signal?.reason as Error);
      });
    const timer = setTimeout(
      () =>
        settle(() => {
          if (options.whenLate === 'end') end();
          resolve(ran({ late: true }));
        }),
      options.timeoutMs,
    );
    options.signal?.addEventListener('abort', abandon, { once: true });

    child.on('error', (error) => settle(() => reject(error)));
    child.stdout.on('data', (chunk: Buffer) => {
      outBytes += chunk.length;
      if (outBytes > options.maxBytes)
        return settle(() => {
          if (options.whenLate === 'end') end();
          resolve(ran({ tooLong: true }));
        });
      out.push(chunk);
    });
    child.stderr.on('data', (chunk: Buffer) => {
      if (errBytes < 16_384) err.push(chunk.subarray(0, 16_384 - errBytes));
      errBytes += chunk.length;
    });
    // A program that dies before it has read all of its input is judged by its exit, not by our broken pipe.
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.input, 'latin1');

    // `close` waits for the last holder of the pipes. OpenSSH before 8.5 leaves stderr to its background master, so a moment after `exit` is enough.
    child.on('close', () => settle(() => resolve(ran({}))));
    child.on('exit', () => setTimeout(() => settle(() => resolve(ran({}))), 300));
  });
}
