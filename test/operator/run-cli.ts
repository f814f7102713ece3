import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { inCheckout } from '../../stack/root.js';

const SHIM = inCheckout('operator', 'cli', 'nightshift.mjs');

export interface Ended {
  code: number | null;
  out: string;
  err: string;
}

/** Runs the built command line as a person would, and waits for its end. */
export async function cli(args: readonly string[], { input, env = {} }: { input?: string | Uint8Array; env?: Record<string, string> } = {}): Promise<Ended> {
  const { child, ended } = startCli(args, env);
  child.stdin?.end(input);
  return ended;
}

/** Starts it, for commands that go on until something happens. */
export function startCli(args: readonly string[], env: Record<string, string> = {}): { child: ChildProcess; soFar(): Ended; ended: Promise<Ended> } {
  if (!existsSync(inCheckout('build', 'operator', 'cli', 'main.js'))) throw new Error('the command line is not built: npm run build');
  const { NIGHTSHIFT_DIR: _dir, NO_COLOR: _color, ...inherited } = process.env;
  const child = spawn(process.execPath, [SHIM, ...args], { stdio: ['pipe', 'pipe', 'pipe'], env: { ...inherited, ...env } });
  const seen: Ended = { code: null, out: '', err: '' };
  child.stdout.on('data', (data: Buffer) => void (seen.out += data.toString('utf8')));
  child.stderr.on('data', (data: Buffer) => void (seen.err += data.toString('utf8')));
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ ...seen, code }));
  });
  return { child, soFar: () => ({ ...seen }), ended };
}
