import { mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { MAX_EVENT_BYTES } from '../events/envelope.js';
import { tokenOrThrow } from '../events/subjects.js';
import { ACCOUNT_LIMITS, JETSTREAM_LIMITS, NO_LIMITS, credsFile, permissionClaims, signJwt } from './nats-jwt.js';
import { AGENT_TEMPLATE, CORE_USERS, corePermissions, type CoreUser } from './nats-permissions.js';
import { createNkey, nkeyOf, type Nkey } from './nkey.js';

/** What the server must be told, and where each user's credentials lie. */
export interface NatsIdentities {
  operatorJwt: string;
  systemAccount: string;
  /** Public key of each account -> its JWT. */
  accounts: Record<string, string>;
  /** Paths of .creds files. */
  credentials: Record<CoreUser, string>;
  agentCredentials: Record<string, string>;
}

const seeds = z.record(z.string(), z.string());

/**
 * The operator, the accounts CORE, AGENTS and SYS, and a user for each of our processes and hosts. Keys are made once and kept in `dir`/keys.json
 * (mode 600), so that credentials stay good over restarts; JWTs and .creds files are written again each time, so that changed permissions take effect.
 *
 * Agents are apart because with one account an agent that may publish only as itself empties other streams: it names `$JS.API.STREAM.PURGE.X` as
 * reply subject and the server's own acknowledgement becomes the request. Across accounts the reply is not followed.
 */
export async function natsIdentities({ dir, site, hosts }: { dir: string; site: string; hosts: readonly string[] }): Promise<NatsIdentities> {
  tokenOrThrow(site, 'site');
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const keys = await openKeys(join(dir, 'keys.json'));
  const [operator, core, agents, agentSigner, sys] = [
    keys.of('operator'),
    keys.of('account-core'),
    keys.of('account-agents'),
    keys.of('signer-agents'),
    keys.of('account-sys'),
  ];

  const account = (key: Nkey, name: string, nats: Record<string, unknown>): string => signJwt(operator, key.publicKey, name, { type: 'account', ...nats });
  const accounts = {
    [core.publicKey]: account(core, 'CORE', {
      limits: { ...ACCOUNT_LIMITS, ...JETSTREAM_LIMITS },
      exports: [{ name: 'events', subject: 'evt.*.*.*', type: 'service', response_type: 'Singleton' }],
    }),
    [agents.publicKey]: account(agents, 'AGENTS', {
      limits: ACCOUNT_LIMITS,
      imports: [{ name: 'events', subject: 'evt.*.*.*', account: core.publicKey, type: 'service' }],
      signing_keys: [
        {
          kind: 'user_scope',
          key: agentSigner.publicKey,
          role: 'agent',
          template: { ...permissionClaims(AGENT_TEMPLATE), ...NO_LIMITS, subs: 10, payload: MAX_EVENT_BYTES },
        },
      ],
    }),
    [sys.publicKey]: account(sys, 'SYS', { limits: ACCOUNT_LIMITS }),
  };

  const write = async (name: string, jwt: string, seed: string): Promise<string> => {
    const path = join(dir, `${name}.creds`);
    await writePrivate(path, credsFile(jwt, seed));
    return path;
  };
  const permissions = corePermissions(site);
  const credentials: Partial<Record<CoreUser, string>> = {};
  for (const name of CORE_USERS) {
    const user = keys.of(`user-${name}`);
    credentials[name] = await write(
      name,
      signJwt(core, user.publicKey, name, { type: 'user', ...permissionClaims(permissions[name]), ...NO_LIMITS }),
      user.seed,
    );
  }
  const agentCredentials: Record<string, string> = {};
  for (const host of hosts) {
    // A name of `*` would become a wildcard in the template: only a token may be enrolled.
    const user = keys.of(`agent-${tokenOrThrow(host, 'host')}`);
    const jwt = signJwt(agentSigner, user.publicKey, host, { type: 'user', issuer_account: agents.publicKey, tags: [`site:${site}`] });
    agentCredentials[host] = await write(`agent-${host}`, jwt, user.seed);
  }
  await keys.save();
  const operatorJwt = signJwt(operator, operator.publicKey, 'nightshift', { type: 'operator', system_account: sys.publicKey });
  return { operatorJwt, systemAccount: sys.publicKey, accounts, credentials: credentials as Record<CoreUser, string>, agentCredentials };
}

async function openKeys(path: string): Promise<{ of(name: string): Nkey; save(): Promise<void> }> {
  const kept = seeds.parse(
    await readFile(path, 'utf8').then(JSON.parse, (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return {};
      throw error;
    }),
  );
  let changed = false;
  return {
    of(name) {
      const seed = kept[name];
      if (seed !== undefined) return nkeyOf(seed);
      const created = createNkey(name === 'operator' ? 'operator' : /^(account|signer)-/.test(name) ? 'account' : 'user');
      kept[name] = created.seed;
      changed = true;
      return created;
    },
    async save() {
      if (changed) await writePrivate(path, `${JSON.stringify(kept, null, 2)}\n`);
    },
  };
}

async function writePrivate(path: string, text: string): Promise<void> {
  await writeFile(`${path}.new`, text, { mode: 0o600 });
  await rename(`${path}.new`, path);
}
