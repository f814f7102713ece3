import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectNats } from '../../activities/nats.js';
import { natsConfig } from '../../stack/nats-config.js';
import { natsIdentities, type NatsIdentities } from '../../stack/nats-identities.js';
import { inboxPrefixOf, type CoreUser } from '../../stack/nats-permissions.js';
import { provision } from '../../stack/provision.js';
import { processEntry } from '../../stack/process-table.js';
import type { StackFile } from '../../stack/stack-file.js';
import type { NatsConnection } from 'nats';
import { freePort, natsServer, type TestNats } from '../servers.js';

/** What the command line needs of a stack: stack.json, and NATS with the real accounts and permissions. Nothing else runs. */
export interface CliStack {
  dir: string;
  nats: TestNats;
  identities: NatsIdentities;
  as(user: CoreUser): Promise<NatsConnection>;
  asAgent(host: string): Promise<NatsConnection>;
  write(change?: (stack: StackFile) => StackFile): Promise<void>;
  close(): Promise<void>;
}

export async function cliStack({ temporalPort }: { temporalPort?: number } = {}): Promise<CliStack> {
  const dir = await mkdtemp(join(tmpdir(), 'nightshift-cli-'));
  const identities = await natsIdentities({ dir: join(dir, 'credentials'), site: 'lab', hosts: ['dauntless'] });
  const nats = await natsServer({
    provisioned: false,
    config: natsConfig({ listen: '127.0.0.1:@PORT@', monitor: '127.0.0.1:@MONITOR@', storeDir: '@DIR@', identities }),
  });
  const connect = (file: string, user: string): Promise<NatsConnection> =>
    connectNats({ servers: nats.url, credentialsFile: file, inboxPrefix: inboxPrefixOf(user), name: `test as ${user}` });
  const as = (user: CoreUser): Promise<NatsConnection> => connect(identities.credentials[user], user);
  const provisioner = await as('provision');
  await provision(provisioner);
  await provisioner.close();

  const config = join(dir, 'nightshift.yaml');
  await writeFile(config, 'version: 1\nsite: lab\nfleet:\n  hosts:\n    dauntless:\n      transport: local\nrules: []\n');
  const temporal = temporalPort ?? (await freePort());
  // Made anew each time: a test may have killed NATS and started it again.
  const described = (): StackFile => ({
    version: 1,
    site: 'lab',
    dir,
    config,
    startedAt: new Date().toISOString(),
    processes: [
      {
        role: 'nats',
        pid: nats.pid,
        startTicks: processEntry(nats.pid)?.startTicks ?? 0,
        ports: { client: Number(nats.url.split(':')[1]), health: nats.monitorPort },
      },
      { role: 'temporal', ports: { client: temporal } },
      { role: 'operator', ports: {}, credentials: identities.credentials.operator },
    ],
  });
  const write: CliStack['write'] = (change = (s) => s) => writeFile(join(dir, 'stack.json'), JSON.stringify(change(described())));
  await write();
  return {
    dir,
    nats,
    identities,
    as,
    write,
    asAgent: (host) => connect(identities.agentCredentials[host] ?? '', host),
    async close() {
      await nats.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}
