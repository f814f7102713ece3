import { openAuditLog, type AuditLog } from '../../activities/audit-log.js';
import type { NatsConnection } from '../../activities/nats.js';
import type { StackFile } from '../../stack/stack-file.js';
import { findStack } from '../find-stack.js';
import { connectOperatorNats, connectTemporal, type TemporalSession } from '../connect.js';
import type { Context } from './context.js';

/** What a command may need of a running stack; each part is opened by its first use and closed with the session. */
export interface Session {
  context: Context;
  stack(): Promise<StackFile>;
  nats(): Promise<NatsConnection>;
  audit(): Promise<AuditLog>;
  temporal(): Promise<TemporalSession>;
  /** How long one answer is waited for. */
  patienceMs: number;
  close(): Promise<void>;
}

/** A person at a terminal waits this long for one answer, unless --timeout says otherwise. */
const PATIENCE_MS = 5_000;

export function createSession(context: Context): Session {
  const { dir, signal, timeoutMs } = context;
  const patienceMs = Math.min(timeoutMs ?? PATIENCE_MS, 60_000);
  const closing: (() => Promise<void>)[] = [];
  const stack = once(() => findStack(dir));
  const nats = once(async () => {
    const nc = await connectOperatorNats(await stack(), { timeoutMs: patienceMs, name: 'nightshift cli', signal });
    closing.push(() => nc.close());
    return nc;
  });
  const audit = once(async () => openAuditLog(await nats()));
  const temporal = once(async () => {
    const opened = await connectTemporal(await stack(), { timeoutMs: patienceMs, signal });
    closing.push(() => opened.close());
    return opened;
  });
  return {
    context,
    stack,
    nats,
    audit,
    temporal,
    patienceMs,
    // Nothing is left to lose at this point: what had to be answered has been.
    close: async () => void (await Promise.allSettled(closing.map((close) => close()))),
  };
}

function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => (made ??= make());
}
