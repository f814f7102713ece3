import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openLab, type Lab } from '../../lab/lab.js';
import type { LabFacts } from '../../lab/facts.js';
import { prepareLab } from '../../lab/prepare.js';
import { freePort } from '../servers.js';

export interface LabUnderTest {
  lab: Lab;
  facts: LabFacts;
  close(): Promise<void>;
}

/** A lab of its own in a temporary directory, as this machine allows it, or with less than that. */
export async function labUnderTest(less: Partial<LabFacts> = {}): Promise<LabUnderTest> {
  const dir = await mkdtemp(join(tmpdir(), 'nightshift-lab-'));
  const facts = { ...(await prepareLab({ dir, sshPort: await freePort() })), ...less };
  const lab = await openLab(facts);
  return {
    lab,
    facts,
    close: async () => {
      await lab.close();
      await rm(dir, { recursive: true, force: true });
    },
  };
}

export interface Ran {
  code: number;
  stdout: string;
  stderr: string;
}

/** Runs one of the host's fake tools, under a shell of choice, on this side of the namespaces. */
export const runTool = (facts: LabFacts, shell: readonly string[], tool: string, ...args: string[]): Promise<Ran> =>
  run(shell[0] ?? 'sh', [...shell.slice(1), join(facts.hostDir, 'usr', 'sbin', tool), ...args]);

export const run = (command: string, args: readonly string[], options: { input?: string; timeoutMs?: number } = {}): Promise<Ran> =>
  new Promise((resolve) => {
    const child = execFile(command, args, { timeout: options.timeoutMs ?? 20_000, killSignal: 'SIGKILL' }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : -1, stdout, stderr });
    });
    // Who refuses early does not read to the end.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(options.input ?? '');
  });

/** Skips aloud where the lab lacks something; with LAB_REQUIRED=1 that is a failure. */
export function needs(context: { skip(note?: string): void }, there: boolean, why: string): void {
  if (there) return;
  if (process.env['LAB_REQUIRED'] === '1') throw new Error(why);
  context.skip(why);
}
