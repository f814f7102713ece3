/** What the exit code of `nightshift` says; the same table is in the help and in docs/exit-codes.md. */
export const EXIT = { done: 0, failed: 1, usage: 2, timedOut: 3, forbidden: 4, notFound: 5, conflict: 6, refused: 7, pending: 8, interrupted: 130 } as const;
export type Exit = (typeof EXIT)[keyof typeof EXIT];

export const EXIT_TABLE: readonly (readonly [Exit, string])[] = [
  [EXIT.done, 'done, or the awaited condition came true'],
  [EXIT.failed, 'the operation failed'],
  [EXIT.usage, 'wrong usage, or an invalid configuration or event'],
  [EXIT.timedOut, 'cancelled, or no answer within --timeout'],
  [EXIT.forbidden, 'not signed in, or not allowed'],
  [EXIT.notFound, 'no such thing'],
  [EXIT.conflict, 'conflict: already decided, ended or replaced'],
  [EXIT.refused, 'refused by policy or by a hold'],
  [EXIT.pending, 'still pending'],
  [EXIT.interrupted, 'interrupted with Ctrl-C'],
];

/** Ends a command: `code` is for programs and stable, `message` says who, what and what we saw, `hint` what to do next. */
export class CliError extends Error {
  constructor(
    readonly exit: Exit,
    readonly code: string,
    message: string,
    readonly hint?: string,
    options?: { cause?: unknown },
  ) {
    super(message, options);
    this.name = 'CliError';
  }
}
