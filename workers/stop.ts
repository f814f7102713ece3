import type { Log } from './log.js';

/** Resolves when somebody asks the process to end. A second request ends it at once. */
export function stopRequested(log: Log): Promise<string> {
  return new Promise((resolve) => {
    let asked = false;
    const onSignal = (signal: NodeJS.Signals): void => {
      if (asked) {
        log.warn({ signal }, 'asked twice: ending at once');
        process.exit(130);
      }
      asked = true;
      resolve(signal);
    };
    process.on('SIGTERM', onSignal);
    process.on('SIGINT', onSignal);
  });
}

/** Ends the process with 1 and the reason, when something that must run for ever has stopped: a process that looks alive and does nothing is worse. */
export function endBecause(log: Log, what: string): (error: unknown) => never {
  return (error) => {
    log.fatal({ error: error instanceof Error ? error.stack : String(error) }, what);
    process.exit(1);
  };
}
