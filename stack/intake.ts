import { setTimeout as pause } from 'node:timers/promises';
import { openAuditLog, type AuditLog } from '../activities/audit-log.js';
import { connectNats, type NatsConnection } from '../activities/nats.js';
import type { AuditOf } from '../events/audit.js';
import { provision, setIntake } from './provision.js';

export interface NatsAccess {
  servers: string;
  site: string;
  /** The supervisor's own user, and the one that may change streams: connected only while it does. */
  credentials: { stack: string; provision: string };
}

export async function withProvision<T>(access: NatsAccess, signal: AbortSignal, work: (nc: NatsConnection) => Promise<T>): Promise<T> {
  const nc = await connectNats({
    servers: access.servers,
    credentialsFile: access.credentials.provision,
    inboxPrefix: '_INBOX.provision',
    name: 'nightshift provision',
    signal,
  });
  try {
    return await work(nc);
  } finally {
    await nc.close();
  }
}

export const provisionStreams = (access: NatsAccess, signal: AbortSignal): Promise<void> => withProvision(access, signal, provision);

/** The supervisor's own line to NATS: what it did goes into the audit, and intake is shut and opened through it. */
export interface StackLine {
  /** Kept until NATS takes it; of more than a hundred that wait, the oldest are given up, aloud. */
  tell(change: AuditOf<'stack'>['change'], role: string, summary: string): void;
  /** False while EVT refuses every event and the engine takes none. Rejects when NATS does not do as asked. */
  setIntake(open: boolean): Promise<void>;
  close(): Promise<void>;
}

export async function openStackLine(access: NatsAccess, say: (line: string) => void, signal: AbortSignal): Promise<StackLine> {
  const nc = await connectNats({
    servers: access.servers,
    credentialsFile: access.credentials.stack,
    inboxPrefix: '_INBOX.stack',
    name: 'nightshift supervisor',
    signal,
  });
  const audit = await openAuditLog(nc);
  const waiting: AuditOf<'stack'>[] = [];
  let closed = false;
  const wake = { up: (): void => {} };
  const sender = sendAll(audit, waiting, wake, () => closed);
  return {
    tell(change, role, summary) {
      waiting.push({ v: 1, fact: 'stack', at: new Date().toISOString(), site: access.site, by: 'stack', role, change, summary: summary.slice(0, 2000) });
      if (waiting.length > 100) say(`the audit has not taken what happened to ${waiting.shift()?.role}: NATS does not answer`);
      wake.up();
    },
    async setIntake(open) {
      await withProvision(access, AbortSignal.any([signal, AbortSignal.timeout(5_000)]), (admin) => setIntake(admin, open));
      // The engine also stops taking what lies in EVT already: each event that it takes is more to write.
      await nc.request(`ctl.${access.site}.intake.${open ? 'resume' : 'pause'}`, '{}', { timeout: 3_000 }).catch((cause: unknown) => {
        say(`the engine did not hear that intake is ${open ? 'open' : 'shut'}: ${cause instanceof Error ? cause.message : String(cause)}`);
      });
    },
    async close() {
      closed = true;
      wake.up();
      await Promise.race([sender, pause(1_000)]);
      await nc.close();
    },
  };
}

async function sendAll(audit: AuditLog, waiting: AuditOf<'stack'>[], wake: { up: () => void }, closed: () => boolean): Promise<void> {
  for (;;) {
    const next = waiting[0];
    if (next === undefined) {
      if (closed()) return;
      await new Promise<void>((resolve) => (wake.up = resolve));
      continue;
    }
    try {
      await audit.append(next, { key: `stack/${next.role}/${next.change}/${next.at}` });
      if (waiting[0] === next) waiting.shift();
    } catch {
      // NATS may be the very thing that is down: the record waits for it.
      if (closed()) return;
      await pause(500);
    }
  }
}
