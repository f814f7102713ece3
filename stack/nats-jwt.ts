import { createHash } from 'node:crypto';
import { signWith, type Nkey } from './nkey.js';

/** What a NATS user may publish and subscribe; `responses`: answer the requests that it was sent, on whatever inbox they name. */
export interface Permissions {
  publish: string[];
  denyPublish?: string[];
  subscribe: string[];
  denySubscribe?: string[];
  responses?: boolean;
}

/** Signs a NATS JWT, version 2 (ADR-14; fields as in github.com/nats-io/jwt/v2). It does not expire: the stack makes it anew at every start. */
export function signJwt(issuer: Nkey, subject: string, name: string, nats: Record<string, unknown>): string {
  const claims = { iat: Math.floor(Date.now() / 1000), iss: issuer.publicKey, name, sub: subject, nats: { ...nats, version: 2 } };
  const jti = createHash('sha256').update(JSON.stringify(claims)).digest('hex');
  const encode = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const body = `${encode({ typ: 'JWT', alg: 'ed25519-nkey' })}.${encode({ jti, ...claims })}`;
  return `${body}.${signWith(issuer, body).toString('base64url')}`;
}

/** The permission part of a user claim, or of the template of a scoped signing key. */
export function permissionClaims(p: Permissions): Record<string, unknown> {
  return {
    pub: { allow: p.publish, ...(p.denyPublish === undefined ? {} : { deny: p.denyPublish }) },
    sub: { allow: p.subscribe, ...(p.denySubscribe === undefined ? {} : { deny: p.denySubscribe }) },
    // One answer for each request, within ten seconds.
    ...(p.responses === true ? { resp: { max: 1, ttl: 10_000_000_000 } } : {}),
  };
}

/** No limit on any of these: the number of users is ours to choose. */
export const NO_LIMITS = { subs: -1, data: -1, payload: -1 };
export const ACCOUNT_LIMITS = { ...NO_LIMITS, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: 0 };
export const JETSTREAM_LIMITS = {
  mem_storage: 0,
  disk_storage: -1,
  streams: -1,
  consumer: -1,
  max_ack_pending: -1,
  mem_max_stream_bytes: -1,
  disk_max_stream_bytes: -1,
};

/** The .creds format that every NATS client reads. */
export function credsFile(jwt: string, seed: string): string {
  return [
    '-----BEGIN NATS USER JWT-----',
    jwt,
    '------END NATS USER JWT------',
    '',
    '************************* IMPORTANT *************************',
    'This file is a password: whoever reads it is this user.',
    '',
    '-----BEGIN USER NKEY SEED-----',
    seed,
    '------END USER NKEY SEED------',
    '',
  ].join('\n');
}
