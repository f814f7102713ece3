import { fileURLToPath } from 'node:url';
import { labConfig } from '../lab/config.js';
import { prepareLab } from '../lab/prepare.js';
import { runDrill } from '../operator/drill.js';
import type { LabFacts } from '../lab/facts.js';
import { StackRuns } from './adopt.js';
import { ServersMissing } from './build-servers.js';
import { BadConfiguration } from './make-plan.js';
import { BadUsage, USAGE, startOptions, type StartOptions } from './options.js';
import { PortTaken, portsFrom } from './ports.js';
import { inCheckout } from './root.js';
import { runStack, type RunningStack } from './run-stack.js';

const MiB = 1024 * 1024;
const out = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

/** `npm start`. Resolves with the exit code: 0 ended in order, 1 the drill failed or something is missing, 2 misused, 130 interrupted in a drill. */
export async function main(argv: readonly string[], env: NodeJS.ProcessEnv, cwd: string): Promise<number> {
  let options: StartOptions | null;
  try {
    options = startOptions(argv, cwd);
  } catch (error) {
    if (!(error instanceof BadUsage)) throw error;
    process.stderr.write(`${error.message}\n\n${USAGE}\n`);
    return 2;
  }
  if (options === null) {
    out(USAGE);
    return 0;
  }
  // Whoever read our output has gone (`npm start | head`): no reason to leave six processes to themselves.
  process.stdout.on('error', () => {});
  const interrupted = interruption();
  try {
    return await serve(options, env, interrupted);
  } catch (error) {
    if (interrupted.signal.aborted) return 130;
    process.stderr.write(`${explain(error)}\n`);
    return 1;
  } finally {
    interrupted.forget();
  }
}

async function serve(options: StartOptions, env: NodeJS.ProcessEnv, interrupted: Interruption): Promise<number> {
  const began = Date.now();
  out(`Nightshift starts in ${options.dir}, on 127.0.0.1, ports from ${options.basePort}`);
  const stack = await runStack({
    dir: options.dir,
    basePort: options.basePort,
    configFile: options.configFile,
    env,
    say: (line) => out(`stack: ${line}`),
    signal: interrupted.signal,
    lab: { prepare: prepareLab, config: configOf },
    minFreeBytes: minFreeBytes(env),
    logMaxBytes: 10 * MiB,
  });
  try {
    out(welcome(options, stack, Date.now() - began));
    if (options.drill === null) {
      await interrupted.happened;
      return 0;
    }
    const { passed } = await runDrill({
      stack: stack.file,
      name: options.drill,
      out: { line: out, message: out, json: () => {} },
      json: false,
      signal: interrupted.signal,
      timeline: { utc: false, ...terminal() },
    });
    if (options.once) return passed ? 0 : 1;
    out('It keeps serving. Ctrl-C stops it.');
    await interrupted.happened;
    return 0;
  } finally {
    out('stack: stopping: agent, lab, engine, effector, Temporal, NATS');
    await stack.stop();
    out('stack: stopped; everything is kept');
  }
}

/** A pipe gets one line a fact; a terminal gets colours and lines of its width. */
const terminal = (): { columns?: number; color?: boolean } => {
  if (!process.stdout.isTTY) return {};
  // Some terminals say 0, or next to nothing, before they know.
  return process.stdout.columns >= 60 ? { columns: process.stdout.columns, color: true } : { color: true };
};

/** Below this, intake is stopped. It has to hold what running incidents still write, the spools of agents and Temporal's log. */
function minFreeBytes(env: NodeJS.ProcessEnv): number {
  const megabytes = Number(env['NIGHTSHIFT_MIN_FREE_MB'] ?? 200);
  if (!Number.isFinite(megabytes) || megabytes < 0)
    throw new BadUsage(`NIGHTSHIFT_MIN_FREE_MB=${env['NIGHTSHIFT_MIN_FREE_MB']}: a number of megabytes is wanted`);
  return megabytes * MiB;
}

const configOf = (lab: LabFacts): string => labConfig(lab, { site: 'lab' });

function welcome(options: StartOptions, stack: RunningStack, tookMs: number): string {
  const dir = options.dir === inCheckout('.nightshift') ? '' : ` --dir ${options.dir}`;
  return [
    `Everything serves after ${(tookMs / 1000).toFixed(1)} s.`,
    ...stack.lab.notes.map((note) => `  lab         ${note}`),
    `  incidents   npx nightshift incident ls${dir}`,
    `  workflows   http://127.0.0.1:${portsFrom(options.basePort).temporalUi}/namespaces/nightshift/workflows`,
    `  where       ${options.dir}: stack.json says who runs where, logs/ what they say`,
    '',
  ].join('\n');
}

interface Interruption {
  signal: AbortSignal;
  happened: Promise<undefined>;
  forget(): void;
}

/** Ctrl-C and SIGTERM end the stack in order. npm hands Ctrl-C on a second time at once, so only one that comes later is meant as impatience. */
function interruption(): Interruption {
  const controller = new AbortController();
  let first = 0;
  const hear = (): void => {
    if (first === 0) {
      first = Date.now();
      controller.abort(new Error('interrupted'));
    } else if (Date.now() - first > 1_500) {
      out('stack: already stopping, in order, so that nothing is lost; to leave at once: kill -9, and the next start ends what is left');
    }
  };
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
  for (const signal of signals) process.on(signal, hear);
  return {
    signal: controller.signal,
    happened: new Promise((resolve) => controller.signal.addEventListener('abort', () => resolve(undefined), { once: true })),
    forget: () => {
      for (const signal of signals) process.off(signal, hear);
    },
  };
}

/** What we expect to go wrong on a strange machine is said in one paragraph; anything else shows where it came from. */
function explain(error: unknown): string {
  if (
    error instanceof PortTaken ||
    error instanceof StackRuns ||
    error instanceof ServersMissing ||
    error instanceof BadUsage ||
    error instanceof BadConfiguration
  )
    return error.message;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

// Run as a program, too: tests and the bench start a stack as a process of its own.
if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = await main(process.argv.slice(2), process.env, process.cwd());
