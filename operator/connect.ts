import type { Connection, Client } from '@temporalio/client';
import { connectNats, type NatsConnection } from '../activities/nats.js';
import { processOf, type StackFile } from '../stack/stack-file.js';
import { NAMESPACE } from '../workflows/messages.js';
import { within } from './deadline.js';

/** NATS does not answer, or does not let us in. */
export class NatsUnavailable extends Error {
  constructor(
    message: string,
    readonly forbidden: boolean,
    options?: { cause?: unknown },
  ) {
    super(message, options);
    this.name = 'NatsUnavailable';
  }
}

/** Temporal does not answer. */
export class TemporalUnavailable extends Error {
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'TemporalUnavailable';
  }
}

/** Connects to the stack's NATS as the operator. A person waits for the answer: it fails after `timeoutMs`, where the processes of the stack would go on trying. */
export async function connectOperatorNats(
  stack: StackFile,
  { timeoutMs, name, signal }: { timeoutMs: number; name: string; signal?: AbortSignal },
): Promise<NatsConnection> {
  const port = processOf(stack, 'nats').ports['client'];
  if (port === undefined) throw new Error(`stack.json in ${stack.dir} does not say which port NATS clients use`);
  const operator = processOf(stack, 'operator');
  const servers = `127.0.0.1:${port}`;
  const deadline = AbortSignal.timeout(timeoutMs);
  let refused: string | null = null;
  try {
    return await connectNats({
      servers,
      credentialsFile: operator.credentials,
      // Each user of the core account may only read below an inbox prefix of its own.
      inboxPrefix: operator.credentials === undefined ? undefined : (operator.inbox ?? '_INBOX.operator'),
      name,
      signal: signal === undefined ? deadline : AbortSignal.any([deadline, signal]),
      onStatus: ({ type, detail }) => {
        if (type === 'not-connected' && /authorization violation|user authentication/i.test(detail)) refused = detail;
      },
    });
  } catch (cause) {
    if (signal?.aborted === true) throw signal.reason;
    if (refused !== null)
      throw new NatsUnavailable(`NATS at ${servers} does not accept the operator's credentials (${operator.credentials ?? 'none'}): ${refused}`, true, {
        cause,
      });
    throw new NatsUnavailable(`NATS at ${servers} does not answer (tried for ${Math.round(timeoutMs / 1000)} s)`, false, { cause });
  }
}

export interface TemporalSession {
  client: Client;
  connection: Connection;
  close(): Promise<void>;
}

/** Connects to the stack's Temporal. The client is loaded only here: it takes longer than most commands need in all. */
export async function connectTemporal(stack: StackFile, { timeoutMs, signal }: { timeoutMs: number; signal?: AbortSignal }): Promise<TemporalSession> {
  const port = processOf(stack, 'temporal').ports['client'];
  if (port === undefined) throw new Error(`stack.json in ${stack.dir} does not say which port Temporal clients use`);
  const address = `127.0.0.1:${port}`;
  const { Connection, Client } = await import('@temporalio/client');
  try {
    const connection = await within(Connection.connect({ address, connectTimeout: timeoutMs }), timeoutMs + 500, `Temporal at ${address}`, signal);
    return { client: new Client({ connection, namespace: NAMESPACE }), connection, close: () => connection.close() };
  } catch (cause) {
    if (signal?.aborted === true) throw signal.reason;
    throw new TemporalUnavailable(`Temporal at ${address} does not answer`, { cause });
  }
}
