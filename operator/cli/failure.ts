import { z } from 'zod';
import { NoStackError } from '../find-stack.js';
import { NatsUnavailable, TemporalUnavailable } from '../connect.js';
import { DeadlineError } from '../deadline.js';
import { UnknownDrill } from '../unknown-drill.js';
import { CliError, EXIT, type Exit } from './exit-codes.js';

export interface Failure {
  exit: Exit;
  code: string;
  message: string;
  hint?: string | undefined;
}

/** What an error means to the person or program that ran the command. The chain of causes is told: `doctor` is not always at hand at night. */
export function failureOf(error: unknown): Failure {
  if (error instanceof CliError) return { exit: error.exit, code: error.code, message: told(error), hint: error.hint };
  if (error instanceof NoStackError) return { exit: EXIT.notFound, code: 'no_stack', message: error.message, hint: error.hint };
  if (error instanceof NatsUnavailable) {
    return error.forbidden
      ? { exit: EXIT.forbidden, code: 'forbidden', message: error.message, hint: 'the credentials file is named in stack.json, role operator' }
      : { exit: EXIT.failed, code: 'nats_unavailable', message: error.message, hint: 'see what is down: nightshift doctor' };
  }
  if (error instanceof TemporalUnavailable)
    return { exit: EXIT.failed, code: 'temporal_unavailable', message: told(error), hint: 'see what is down: nightshift doctor' };
  if (error instanceof DeadlineError)
    return {
      exit: EXIT.timedOut,
      code: 'timed_out',
      message: error.message,
      hint: 'give it longer with --timeout 60s, or see what is down: nightshift doctor',
    };
  if (error instanceof UnknownDrill) return { exit: EXIT.notFound, code: 'not_found', message: error.message, hint: 'nightshift drill ls' };
  if (error instanceof z.ZodError) return { exit: EXIT.failed, code: 'unreadable', message: z.prettifyError(error) };
  const message = error instanceof Error ? told(error) : String(error);
  if (/permissions violation/i.test(message)) return { exit: EXIT.forbidden, code: 'forbidden', message: `NATS does not let the operator do this: ${message}` };
  if (error instanceof Error && /^(TimeoutError|RequestError)$/.test(error.name)) {
    return { exit: EXIT.timedOut, code: 'timed_out', message: `NATS did not answer in time: ${message}`, hint: 'see what is down: nightshift doctor' };
  }
  return { exit: EXIT.failed, code: 'failed', message };
}

/** The message and those of its causes, where they say something new. */
function told(error: Error): string {
  const parts = [error.message];
  for (let cause = error.cause, depth = 0; cause instanceof Error && depth < 4; cause = cause.cause, depth += 1) {
    const text = cause.message;
    if (text !== '' && !parts.some((part) => part.includes(text))) parts.push(text);
  }
  return parts.join(': ');
}
