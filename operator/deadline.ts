/** What did not come in time. */
export class DeadlineError extends Error {
  constructor(
    readonly what: string,
    readonly afterMs: number,
  ) {
    super(`${what}: no answer within ${afterMs < 1000 ? `${afterMs} ms` : `${Math.round(afterMs / 100) / 10} s`}`);
    this.name = 'DeadlineError';
  }
}

/** The promise, or DeadlineError after `ms`, or the signal's reason when it aborts. The promise itself goes on; give it the means to stop where that matters. */
export function within<T>(promise: Promise<T>, ms: number, what: string, signal?: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const timer = setTimeout(() => finish(() => reject(new DeadlineError(what, ms))), ms);
    const aborted = (): void => finish(() => reject(signal?.reason instanceof Error ? signal.reason : new Error('aborted', { cause: signal?.reason })));
    const finish = (then: () => void): void => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', aborted);
      then();
    };
    if (signal?.aborted === true) return aborted();
    signal?.addEventListener('abort', aborted);
    promise.then(
      (value) => finish(() => resolve(value)),
      (error: unknown) => finish(() => reject(error instanceof Error ? error : new Error(String(error), { cause: error }))),
    );
  });
}
