import { appendFileSync, closeSync, openSync, readSync } from 'node:fs';
import { z } from 'zod';

/**
 * The host's own log, `HOSTDIR/log/host.log`, one JSON object a line. Nothing of Nightshift writes it: the fakes do, about what really happened to them,
 * so that a drill can compare it with what the audit claims.
 */
const at = z.string();
export const hostLogLine = z.discriminatedUnion('what', [
  z.object({ what: z.literal('booted'), at }),
  z.object({ what: z.literal('down'), at }),
  /** A call of a fake OpenVZ tool, as it ended. A call that was killed leaves no line. */
  z.object({ what: z.literal('call'), at, tool: z.string(), argv: z.array(z.string()), exit: z.int() }),
  z.object({ what: z.literal('container-started'), at, container: z.string(), pid: z.int(), startTicks: z.int() }),
  z.object({ what: z.literal('container-stopped'), at, container: z.string() }),
  /** A process of a container ended, as its parent, the container's init, saw it. `by`: whether the container ended it itself (`inside`: a service stop, its own exit) or somebody else did. */
  z.object({
    what: z.literal('died'),
    at,
    container: z.string(),
    pid: z.int(),
    startTicks: z.int(),
    comm: z.string(),
    signal: z.int().nullable(),
    exit: z.int().nullable(),
    by: z.enum(['inside', 'outside']),
  }),
  z.object({ what: z.literal('service'), at, container: z.string(), service: z.string(), action: z.enum(['start', 'stop', 'restart']) }),
  /** The limit in force has really changed. */
  z.object({ what: z.literal('limit'), at, container: z.string(), resource: z.string(), barrier: z.number(), limit: z.number() }),
  /** The container's configuration file has been written. */
  z.object({ what: z.literal('saved'), at, container: z.string(), resource: z.string(), barrier: z.number(), limit: z.number() }),
  z.object({ what: z.literal('scene'), at, container: z.string(), scene: z.string() }),
]);
export type HostLogLine = z.infer<typeof hostLogLine>;
export type HostLogEntry = HostLogLine extends infer L ? (L extends { at: string } ? Omit<L, 'at'> : never) : never;

export const appendHostLog = (file: string, entry: HostLogEntry): void =>
  appendFileSync(file, `${JSON.stringify({ at: new Date().toISOString(), ...entry })}\n`);

export interface HostLogPart {
  lines: HostLogLine[];
  next: number;
}

/** Whole lines from byte `from` on, at most `maxBytes` of them; `next` is where to go on. Throws on a line that is none of ours. */
export function readHostLog(file: string, from: number, maxBytes = 128 * 1024): HostLogPart {
  const fd = openSync(file, 'r');
  try {
    const buffer = Buffer.alloc(maxBytes);
    const text = buffer.subarray(0, readSync(fd, buffer, 0, maxBytes, from));
    const end = text.lastIndexOf(0x0a) + 1;
    const lines = text
      .subarray(0, end)
      .toString('utf8')
      .split('\n')
      .filter((line) => line !== '');
    return { lines: lines.map((line) => hostLogLine.parse(JSON.parse(line))), next: from + end };
  } finally {
    closeSync(fd);
  }
}
