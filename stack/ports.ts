import { createServer } from 'node:net';
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { commandLine } from './process-table.js';

/** What each port from the base on is for. The order is the offset. */
export const PORTS = [
  'nats',
  'temporal',
  'temporalUi',
  'engine',
  'effector',
  'agent',
  'labSsh',
  'natsMonitor',
  'temporalHttp',
  'temporalMetrics',
  'lab',
] as const;
export type PortName = (typeof PORTS)[number];
export type StackPorts = Record<PortName, number>;

export const DEFAULT_BASE_PORT = 7400;

export function portsFrom(base: number): StackPorts {
  if (!Number.isInteger(base) || base < 1024 || base + PORTS.length > 65536) {
    throw new Error(`--base-port ${base}: a number from 1024 to ${65536 - PORTS.length}, of which that many after it are used: ${PORTS.length}`);
  }
  return Object.fromEntries(PORTS.map((name, offset) => [name, base + offset])) as StackPorts;
}

export class PortTaken extends Error {
  override readonly name = 'PortTaken';
}

/** Throws PortTaken that names the port, what wanted it and, where /proc tells, who has it. */
export async function ensurePortsFree(ports: StackPorts): Promise<void> {
  for (const [name, port] of Object.entries(ports)) {
    if (await isFree(port)) continue;
    const holder = holderOf(port);
    throw new PortTaken(
      `port ${port} on 127.0.0.1 (for ${name}) is taken${holder === null ? '' : ` by process ${holder.pid}${holder.command === null ? '' : ` (${holder.command})`}`}. ` +
        'Stop that, or start with other ports: npm start -- --base-port N (and --dir DIR, for a second stack beside the first)',
    );
  }
}

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE' || error.code === 'EACCES') resolve(false);
      else reject(error);
    });
    probe.listen({ port, host: '127.0.0.1', exclusive: true }, () => probe.close(() => resolve(true)));
  });

/** Who listens on that TCP port of this machine; null when it is another user's, or cannot be seen. */
export function holderOf(port: number): { pid: number; command: string | null } | null {
  const inodes = new Set(['/proc/net/tcp', '/proc/net/tcp6'].flatMap((table) => listeningInodes(table, port)));
  if (inodes.size === 0) return null;
  for (const pid of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    if (openInodes(pid).some((inode) => inodes.has(inode))) return { pid: Number(pid), command: commandLine(Number(pid)) };
  }
  return null;
}

const LISTEN = '0A';
function listeningInodes(table: string, port: number): string[] {
  const hex = port.toString(16).toUpperCase().padStart(4, '0');
  return readOrEmpty(table)
    .split('\n')
    .map((line) => line.trim().split(/\s+/))
    .filter((columns) => columns[1]?.endsWith(`:${hex}`) === true && columns[3] === LISTEN)
    .flatMap((columns) => columns[9] ?? []);
}

function openInodes(pid: string): string[] {
  let names: string[];
  try {
    names = readdirSync(`/proc/${pid}/fd`);
  } catch {
    return [];
  }
  return names.flatMap((name) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${name}`))?.[1] ?? [];
    } catch {
      return [];
    }
  });
}

function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
