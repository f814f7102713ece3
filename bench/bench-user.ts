import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { NO_LIMITS, credsFile, permissionClaims, signJwt } from '../stack/nats-jwt.js';
import { createNkey, nkeyOf } from '../stack/nkey.js';

/**
 * A NATS user for the floor: it needs a stream and a consumer of its own on the same server, which no user of the product may make.
 * Signed with the account's key, which lies in the stack's own directory; it lives as long as the bench's temporary stack.
 */
export async function benchUser(natsDir: string): Promise<string> {
  const keys = JSON.parse(await readFile(join(natsDir, 'keys.json'), 'utf8')) as Record<string, string>;
  const seed = keys['account-core'];
  if (seed === undefined) throw new Error(`${natsDir}/keys.json holds no key of the account CORE`);
  const user = createNkey('user');
  const jwt = signJwt(nkeyOf(seed), user.publicKey, 'bench', { type: 'user', ...permissionClaims({ publish: ['>'], subscribe: ['>'] }), ...NO_LIMITS });
  const path = join(natsDir, 'bench.creds');
  await writeFile(path, credsFile(jwt, user.seed), { mode: 0o600 });
  return path;
}
