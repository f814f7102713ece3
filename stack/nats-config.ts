import { MAX_EVENT_BYTES } from '../events/envelope.js';
import type { NatsIdentities } from './nats-identities.js';

/** Largest message of our own processes: an audit record or a dead letter with its headers. Agents are held to MAX_EVENT_BYTES by their account. */
export const MAX_PAYLOAD_BYTES = 8 * MAX_EVENT_BYTES;

export interface NatsServerOptions {
  listen: string;
  monitor: string;
  storeDir: string;
  identities: NatsIdentities;
}

/** The configuration of nats-server. Every value that comes from outside is a JSON string, which is a string of this format too. */
export function natsConfig({ listen, monitor, storeDir, identities }: NatsServerOptions): string {
  const preload = Object.entries(identities.accounts).map(([account, jwt]) => `  ${account}: ${JSON.stringify(jwt)}`);
  return [
    '# Written by Nightshift at every start; a change here is overwritten.',
    'server_name: nightshift',
    `listen: ${JSON.stringify(listen)}`,
    `http: ${JSON.stringify(monitor)}`,
    `max_payload: ${MAX_PAYLOAD_BYTES}`,
    '# A client that does not read is cut off before it costs memory.',
    'max_pending: 33554432',
    'write_deadline: "10s"',
    'jetstream {',
    `  store_dir: ${JSON.stringify(storeDir)}`,
    '  # An acknowledgement means: on the disk.',
    '  sync_interval: always',
    '  # Above the sum of all streams: what limits a stream is its own size, and what guards the disk is the supervisor.',
    '  max_file_store: 16GB',
    '  max_memory_store: 64MB',
    '}',
    `operator: ${JSON.stringify(identities.operatorJwt)}`,
    `system_account: ${JSON.stringify(identities.systemAccount)}`,
    'resolver: MEMORY',
    'resolver_preload {',
    ...preload,
    '}',
    '',
  ].join('\n');
}
