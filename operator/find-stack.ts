import { readStackFile, type StackFile } from '../stack/stack-file.js';

/** Nothing runs in that directory, or its stack.json cannot be read. */
export class NoStackError extends Error {
  constructor(
    message: string,
    readonly hint: string,
    options?: { cause?: unknown },
  ) {
    super(message, options);
    this.name = 'NoStackError';
  }
}

/** The running stack of a directory; NoStackError with the cure when there is none. */
export async function findStack(dir: string): Promise<StackFile> {
  try {
    return await readStackFile(dir);
  } catch (cause) {
    const missing = cause instanceof Error && (cause.cause as { code?: string } | undefined)?.code === 'ENOENT';
    const why = cause instanceof Error ? cause.message : String(cause);
    throw missing
      ? new NoStackError(`no stack is running below ${dir}`, 'start one with `npm start`, or name its directory with --dir DIR', { cause })
      : new NoStackError(`${dir}/stack.json cannot be read: ${why}`, 'it is written by `npm start`: end that stack and start it again', { cause });
  }
}
