import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { DEFAULT_BASE_PORT } from './ports.js';
import { inCheckout } from './root.js';

export interface StartOptions {
  dir: string;
  basePort: number;
  /** End after the drill, with its result as exit code. */
  once: boolean;
  /** Null: only serve. */
  drill: string | null;
  /** A nightshift.yaml of the user's; null: the lab's. */
  configFile: string | null;
}

export const USAGE = `npm start -- [options]     starts Nightshift and its servers on this machine, plays a drill, and keeps serving

  --dir DIR          where all state, logs and pid files are kept (default: .nightshift in the checkout)
  --base-port N      first of the ports, all on 127.0.0.1 (default: ${DEFAULT_BASE_PORT})
  --drill NAME       the drill to play (default: relieve-container)
  --no-drill         only serve
  --once             stop everything after the drill; exit code 0 if it passed, 1 if not
  --config FILE      a nightshift.yaml of your own (default: DIR/nightshift.yaml, written for the lab)
  --help

Example: npm start -- --dir /tmp/second --base-port 7500 --no-drill`;

export class BadUsage extends Error {
  override readonly name = 'BadUsage';
}

/** Null: help was asked for. Throws BadUsage. `cwd` is where the user stands; a relative path is meant from there. */
export function startOptions(argv: readonly string[], cwd: string): StartOptions | null {
  const parsed = parse(argv);
  if (parsed.help === true) return null;
  if (parsed['no-drill'] === true && (parsed.drill !== undefined || parsed.once === true))
    throw new BadUsage('--no-drill leaves nothing for --drill or --once to do');
  const basePort = parsed['base-port'] ?? String(DEFAULT_BASE_PORT);
  if (!/^\d+$/.test(basePort)) throw new BadUsage(`--base-port ${basePort}: a number is wanted`);
  return {
    dir: parsed.dir === undefined ? inCheckout('.nightshift') : resolve(cwd, parsed.dir),
    basePort: Number(basePort),
    once: parsed.once === true,
    drill: parsed['no-drill'] === true ? null : (parsed.drill ?? 'relieve-container'),
    configFile: parsed.config === undefined ? null : resolve(cwd, parsed.config),
  };
}

function parse(argv: readonly string[]) {
  try {
    return parseArgs({
      args: [...argv],
      strict: true,
      allowPositionals: false,
      options: {
        dir: { type: 'string' },
        'base-port': { type: 'string' },
        drill: { type: 'string' },
        config: { type: 'string' },
        once: { type: 'boolean' },
        'no-drill': { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    }).values;
  } catch (cause) {
    throw new BadUsage(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}
