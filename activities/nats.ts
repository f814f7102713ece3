import { readFile } from 'node:fs/promises';
import { connect, credsAuthenticator, type ConnectionOptions, type NatsConnection } from 'nats';

export { jetstream, jetstreamManager, JetStreamApiError } from '@nats-io/jetstream';
export type { NatsConnection } from 'nats';

export interface NatsOptions {
  /** `host:port`, several separated by commas. */
  servers: string;
  /** A .creds file; without it the connection is anonymous (test servers). */
  credentialsFile?: string | undefined;
  /** The account lets each user subscribe below its own prefix only. */
  inboxPrefix?: string | undefined;
  /** Shown in the server's connection list. */
  name: string;
  /** Ends the waiting for a server that does not answer. */
  signal?: AbortSignal | undefined;
  /** Told of every change: `disconnect`, `reconnect`, `error`... */
  onStatus?: ((status: { type: string; detail: string }) => void) | undefined;
}

/**
 * Connects, for ever if need be, and stays connected: the client's own default gives up after 20 seconds.
 * What is published with core `publish` while the server is away is lost silently at the reconnect: publish through JetStream, which answers.
 * Rejects only when `signal` aborts or the credentials file cannot be read.
 */
export async function connectNats(o: NatsOptions): Promise<NatsConnection> {
  const options: ConnectionOptions = {
    servers: o.servers.split(','),
    name: o.name,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 200,
    reconnectJitter: 200,
    // A server that comes back with its accounts not loaded yet refuses twice; that is no reason to give up for good.
    ignoreAuthErrorAbort: true,
    pingInterval: 10_000,
    maxPingOut: 3,
    timeout: 5_000,
    ...(o.inboxPrefix === undefined ? {} : { inboxPrefix: o.inboxPrefix }),
    ...(o.credentialsFile === undefined ? {} : { authenticator: credsAuthenticator(await readFile(o.credentialsFile)) }),
  };
  const givenUp = (): boolean => o.signal?.aborted === true;
  for (;;) {
    try {
      const nc = await connect(options);
      if (o.onStatus !== undefined) void tellStatus(nc, o.onStatus);
      return nc;
    } catch (error) {
      o.onStatus?.({ type: 'not-connected', detail: error instanceof Error ? error.message : String(error) });
      if (!givenUp()) await pause(150 + Math.random() * 250, o.signal);
      if (givenUp()) throw new Error(`no NATS server answers at ${o.servers}`, { cause: error });
    }
  }
}

async function tellStatus(nc: NatsConnection, tell: (status: { type: string; detail: string }) => void): Promise<void> {
  for await (const status of nc.status()) {
    const { type, ...rest } = status as { type: string } & Record<string, unknown>;
    if (type !== 'ping') tell({ type, detail: JSON.stringify(rest, (_key, value: unknown) => (value instanceof Error ? value.message : value)) });
  }
}

const pause = (ms: number, signal?: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done(): void {
      clearTimeout(timer);
      signal?.removeEventListener('abort', done);
      resolve();
    }
    signal?.addEventListener('abort', done);
  });
