import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';

export const ROLES = ['nats', 'temporal', 'engine', 'effector', 'agent', 'lab', 'operator'] as const;
export type Role = (typeof ROLES)[number];

/** `DIR/stack.json`: how tools, tests and people find a running stack, and the only way they do. */
export const stackFile = z.object({
  version: z.literal(1),
  site: z.string(),
  /** Directory that holds all state of the stack. */
  dir: z.string(),
  /** The nightshift.yaml in force. */
  config: z.string(),
  startedAt: z.string(),
  processes: z.array(
    z.object({
      role: z.enum(ROLES),
      /** Absent for `operator`, which is no process. */
      pid: z.int().optional(),
      /** Field 22 of /proc/PID/stat: with the pid it names one process for ever. */
      startTicks: z.int().optional(),
      /** The argv it was started with. */
      command: z.array(z.string()).optional(),
      /** `client`: where clients speak to it; `health`: HTTP, /healthz and /metrics. All on loopback. */
      ports: z.record(z.string(), z.int()).default({}),
      /** Path of the role's NATS credentials (.creds), where it has some. */
      credentials: z.string().optional(),
      /** The agent's: `evt.<site>.<host>`, below which it may publish. */
      subject: z.string().optional(),
      /** The agent's: prefix of the inboxes it may subscribe to. */
      inbox: z.string().optional(),
    }),
  ),
});
export type StackFile = z.infer<typeof stackFile>;
export type StackProcess = StackFile['processes'][number];

/** Reads `DIR/stack.json`. Throws an Error with the cure in it when nothing runs there. */
export async function readStackFile(dir: string): Promise<StackFile> {
  const path = join(dir, 'stack.json');
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (cause) {
    throw new Error(`no stack is running below ${dir} (no ${path}): start one with \`npm start\`, or name its directory with --dir`, { cause });
  }
  return stackFile.parse(JSON.parse(text));
}

/** The process of a role; throws when the stack has none. */
export function processOf(stack: StackFile, role: Role): StackProcess {
  const found = stack.processes.find((p) => p.role === role);
  if (found === undefined) throw new Error(`the stack in ${stack.dir} has no ${role}`);
  return found;
}
