import type { WorkflowHandle } from '@temporalio/client';
import { VIEW, type IncidentView } from '../workflows/messages.js';
import type { TemporalSession } from './connect.js';
import { DeadlineError } from './deadline.js';

/** What became of a word to a running incident. */
export type Told =
  | { state: 'accepted' }
  /** The incident's workflow said no, and why. */
  | { state: 'rejected'; why: string }
  /** Temporal has no running workflow of this problem, or it is another occurrence's. */
  | { state: 'gone'; why: string };

/**
 * Sends an update to the workflow of an incident and waits until it has been handled. A workflow id names a problem, not an occurrence of it, so the workflow is
 * first asked which incident it is: a close that was meant for last night's must not hit this morning's.
 */
export async function tellIncident(
  { client, connection }: TemporalSession,
  {
    incident,
    problem,
    update,
    argument,
    timeoutMs,
  }: {
    incident: string;
    problem: string;
    update: string;
    argument: unknown;
    timeoutMs: number;
  },
): Promise<Told> {
  const { WorkflowNotFoundError, WorkflowUpdateFailedError, WorkflowUpdateRPCTimeoutOrCancelledError, QueryNotRegisteredError, isGrpcServiceError } =
    await import('@temporalio/client');
  const handle: WorkflowHandle = client.workflow.getHandle(problem);
  try {
    return await connection.withDeadline(Date.now() + timeoutMs, async (): Promise<Told> => {
      const { status, memo } = await handle.describe();
      if (status.name !== 'RUNNING') return { state: 'gone', why: `its workflow does not run: ${status.name.toLowerCase()}` };
      // The engine writes it there at the start; who started a workflow by hand may not have.
      const inMemo = memo?.['incident'];
      const named = typeof inMemo === 'string' ? inMemo : (await handle.query<IncidentView>(VIEW)).incident;
      if (named !== incident) return { state: 'gone', why: `the problem is now incident ${named}` };
      await handle.executeUpdate(update, { args: [argument] });
      return { state: 'accepted' };
    });
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return { state: 'gone', why: 'Temporal has no running workflow for it' };
    if (error instanceof WorkflowUpdateFailedError) return { state: 'rejected', why: error.cause?.message ?? error.message };
    if (error instanceof QueryNotRegisteredError) return { state: 'rejected', why: 'the running workflow is of a version that cannot be asked' };
    const status = isGrpcServiceError(error) ? error.code : causeCode(error);
    // 4: deadline exceeded, 1: cancelled. The server answered the connection, so what is silent is the worker behind it.
    if (error instanceof WorkflowUpdateRPCTimeoutOrCancelledError || status === 4 || status === 1)
      throw new DeadlineError('the engine, through Temporal', timeoutMs);
    throw error;
  }
}

function causeCode(error: unknown): number | undefined {
  const cause = error instanceof Error ? (error.cause as { code?: unknown } | undefined) : undefined;
  return typeof cause?.code === 'number' ? cause.code : undefined;
}
