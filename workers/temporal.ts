import { setTimeout as sleep } from 'node:timers/promises';
import { isGrpcServiceError, WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import { NativeConnection, Runtime, type Logger as TemporalLogger } from '@temporalio/worker';
import type { Log } from './log.js';

/** One runtime a process. Its own signal handlers are off: the entry points stop in their own order. */
export function installTemporalRuntime(log: Log): void {
  const say = (level: string, message: string, meta?: object): void => {
    const at = level === 'ERROR' ? 'error' : level === 'WARN' ? 'warn' : level === 'INFO' ? 'info' : 'debug';
    log[at]({ ...meta, from: 'temporal' }, message);
  };
  const logger: TemporalLogger = {
    log: say,
    trace: (message, meta) => say('TRACE', message, meta),
    debug: (message, meta) => say('DEBUG', message, meta),
    info: (message, meta) => say('INFO', message, meta),
    warn: (message, meta) => say('WARN', message, meta),
    error: (message, meta) => say('ERROR', message, meta),
  };
  Runtime.install({ logger, shutdownSignals: [], telemetryOptions: { logging: { filter: { core: 'WARN', other: 'ERROR' }, forward: {} } } });
}

/** Connects to Temporal, for ever if need be: at boot the server may well come up after us. Rejects only when `signal` aborts. */
export async function connectTemporal({ address, log, signal }: { address: string; log: Log; signal: AbortSignal }): Promise<NativeConnection> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await NativeConnection.connect({ address });
    } catch (error) {
      const waitMs = Math.min(5_000, 100 * 2 ** Math.min(attempt, 6));
      log.warn({ address, attempt, waitMs, error: error instanceof Error ? error.message : String(error) }, 'no Temporal server answers yet; trying again');
      await sleep(waitMs, undefined, { signal });
    }
  }
}

/**
 * What a failed call to Temporal means for the caller.
 * `away`: nobody answered, or the answer says try again: keep what you hold. `busy`: it answered, and wants to be asked later.
 * `running`, `absent`: an answer about the workflow. `refused`: asking again the same way will not help.
 */
export type TemporalTrouble = 'away' | 'busy' | 'running' | 'absent' | 'refused';

// gRPC status codes. NOT_FOUND of a namespace is a server that has just been made and not yet been given its namespace.
const REFUSED = new Set([3 /* INVALID_ARGUMENT */, 6 /* ALREADY_EXISTS */, 9 /* FAILED_PRECONDITION */, 11 /* OUT_OF_RANGE */, 12 /* UNIMPLEMENTED */]);
const BUSY = 8; // RESOURCE_EXHAUSTED: among others "Too many starts" of one id within a second.

export function temporalTrouble(error: unknown): TemporalTrouble {
  if (error instanceof WorkflowExecutionAlreadyStartedError) return 'running';
  if (error instanceof WorkflowNotFoundError) return 'absent';
  for (let e: unknown = error, depth = 0; e instanceof Error && depth < 5; e = e.cause, depth += 1) {
    if (isGrpcServiceError(e)) return e.code === BUSY ? 'busy' : REFUSED.has(e.code) ? 'refused' : 'away';
  }
  // A value that cannot be encoded, or too large a payload, is stopped before it is sent.
  if (error instanceof TypeError || error instanceof RangeError || (error instanceof Error && error.name === 'ValueError')) return 'refused';
  return 'away';
}
