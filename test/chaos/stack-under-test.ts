import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openAuditLog, type AuditLog, type Stored } from '../../activities/audit-log.js';
import { connectNats, type NatsConnection } from '../../activities/nats.js';
import { labClient, type LabClient } from '../../lab/client.js';
import { runDrill, type DrillResult } from '../../operator/drill.js';
import { startStack, type RunningStack } from '../../stack/spawn-stack.js';
import { processOf, readStackFile, type Role, type StackFile } from '../../stack/stack-file.js';
import { freeBasePort } from '../servers.js';
import { until } from '../until.js';

/** A whole stack, as `npm start -- --no-drill` runs it, with what tests need to hurt it and to look into it. */
export interface StackUnderTest {
  dir: string;
  basePort: number;
  /** As it is now: pids change when a process is started again. */
  file(): Promise<StackFile>;
  nc: NatsConnection;
  audit: AuditLog;
  lab: LabClient;
  /** SIGKILL; resolves when the supervisor has started another in its place and the stack serves again. */
  killAndAwait(role: Role): Promise<void>;
  drill(name: string, onRecord?: (stored: Stored) => void): Promise<DrillResult & { lines: string[] }>;
  stop(): Promise<void>;
  /** Stops and starts again on the same directory, with something done in between. */
  restart(between?: () => Promise<void>): Promise<void>;
  remove(): Promise<void>;
}

export async function stackUnderTest(prepare?: (dir: string) => Promise<string[]>): Promise<StackUnderTest> {
  const dir = await mkdtemp(join(tmpdir(), 'nightshift-stack-'));
  const args = (await prepare?.(dir)) ?? [];
  const basePort = await freeBasePort();
  let running: RunningStack | null = null;
  const self = { dir, basePort } as StackUnderTest;
  const start = async (): Promise<void> => {
    running = await startStack(dir, basePort, { args });
    const { stack } = running;
    const operator = processOf(stack, 'operator');
    self.nc = await connectNats({
      servers: `127.0.0.1:${processOf(stack, 'nats').ports['client']}`,
      credentialsFile: operator.credentials,
      inboxPrefix: operator.inbox ?? '_INBOX.operator',
      name: 'test',
    });
    self.audit = await openAuditLog(self.nc);
    self.lab = labClient(self.nc, stack.site);
  };
  const stop = async (): Promise<void> => {
    await self.nc.close();
    await running?.stop();
    running = null;
  };
  await start();
  return Object.assign(self, {
    file: () => readStackFile(dir),
    async killAndAwait(role: Role) {
      const { pid } = processOf(await readStackFile(dir), role);
      if (pid === undefined) throw new Error(`${role} is no process`);
      process.kill(pid, 'SIGKILL');
      await until(async () => processOf(await readStackFile(dir), role).pid !== pid, { timeoutMs: 60_000, what: `another ${role}` });
    },
    async drill(name: string, onRecord?: (stored: Stored) => void) {
      const stack = await readStackFile(dir);
      const lines: string[] = [];
      const out = { line: (text: string) => void lines.push(text), message: (text: string) => void lines.push(text), json: () => undefined };
      const ended = new AbortController();
      const following = onRecord === undefined ? null : follow(self.audit, await self.audit.lastSeq(), onRecord, ended.signal);
      try {
        return { ...(await runDrill({ stack, name, out, json: false, signal: AbortSignal.timeout(240_000) })), lines };
      } finally {
        ended.abort();
        await following;
      }
    },
    stop,
    async restart(between?: () => Promise<void>) {
      await stop();
      await between?.();
      await start();
    },
    async remove() {
      if (running !== null) await stop();
      await rm(dir, { recursive: true, force: true });
    },
  });
}

async function follow(audit: AuditLog, afterSeq: number, tell: (stored: Stored) => void, signal: AbortSignal): Promise<void> {
  for await (const stored of audit.follow({ afterSeq, signal })) tell(stored);
}
