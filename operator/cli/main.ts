import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join, resolve } from 'node:path';
import { CommanderError } from 'commander';
import { ROOT } from '../../stack/root.js';
import { mayPaint } from '../paint.js';
import type { Context } from './context.js';
import { EXIT, type Exit } from './exit-codes.js';
import { failureOf } from './failure.js';
import { createOutput, failureText } from '../output.js';
import { createProgram, type GlobalOptions } from './program.js';
import type { Run } from './run.js';
import { createSession } from './session.js';

/** Ctrl-C: what is being waited for ends at once, and so do we. */
class Interrupted extends Error {
  constructor() {
    super('interrupted');
    this.name = 'Interrupted';
  }
}

process.exitCode = await main(process.argv.slice(2));
// The clients hold sockets and timers; what had to be written has been.
process.exit();

async function main(args: readonly string[]): Promise<number> {
  const { stdout, stderr, env } = process;
  // `nightshift ... | head` is no failure of ours.
  stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? EXIT.done : EXIT.failed));
  stderr.on('error', () => process.exit(EXIT.failed));
  const interrupt = new AbortController();
  const up = args.includes('up');
  process.on('SIGINT', () => {
    // `up` has a child that is ending a stack: it has been told too, and is waited for.
    if (up) return;
    if (interrupt.signal.aborted) process.exit(EXIT.interrupted);
    interrupt.abort(new Interrupted());
  });
  const out = createOutput(stdout, stderr);
  const json = args.includes('--json');
  let exit: Exit = EXIT.done;

  const run: Run = async (work) => {
    const options = program.opts<GlobalOptions>();
    const context: Context = {
      dir: resolve(options.dir ?? env['NIGHTSHIFT_DIR'] ?? join(ROOT, '.nightshift')),
      root: ROOT,
      json: options.json === true,
      utc: options.utc === true,
      color: mayPaint({ isTty: stdout.isTTY === true, noColorFlag: !options.color, env }),
      columns: stdout.isTTY === true ? Math.max(40, stdout.columns) : undefined,
      timeoutMs: options.timeout,
      out,
      signal: interrupt.signal,
      login: loginName(),
      now: () => new Date(),
    };
    const session = createSession(context);
    try {
      exit = await work(session);
    } finally {
      await session.close();
    }
  };
  const said: string[] = [];
  const program = createProgram({
    run,
    version: (JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }).version,
    out: (text) => void stdout.write(text),
    err: (text) => void said.push(text),
    columns: stdout.isTTY === true ? stdout.columns : 100,
  });
  try {
    await program.parseAsync([...args], { from: 'user' });
    return exit;
  } catch (error) {
    if (error instanceof CommanderError) return usage(error, said.join(''));
    if (interrupt.signal.aborted) return EXIT.interrupted;
    const failure = failureOf(error);
    sayFailure(failure);
    return failure.exit;
  }

  function usage(error: CommanderError, text: string): number {
    if (error.exitCode === 0) return EXIT.done;
    // Without a subcommand commander shows the help of the group; that is a wrong usage, too.
    if (json)
      sayFailure({
        code: 'usage',
        message: error.code === 'commander.help' ? 'a subcommand is missing' : error.message.replace(/^error: /, ''),
        hint: 'nightshift --help',
      });
    else out.message(text.trimEnd());
    return EXIT.usage;
  }
  function sayFailure(failure: { code: string; message: string; hint?: string | undefined }): void {
    const text = failureText(failure, json);
    if (json) stderr.write(`${text}\n`);
    else out.message(text);
  }
}

/** A container may run under a number that no passwd file knows. */
function loginName(): string {
  try {
    return userInfo().username;
  } catch {
    return `uid ${process.getuid?.() ?? 'unknown'}`;
  }
}
