import { readFileSync, readdirSync } from 'node:fs';

/** One process for ever: a pid comes again, a pid with its start time does not. */
export interface ProcessId {
  pid: number;
  /** Field 22 of /proc/PID/stat: clock ticks since the machine came up. */
  startTicks: number;
}
export interface ProcessEntry extends ProcessId {
  parent: number;
  group: number;
  session: number;
  /** A zombie has ended; it only waits to be noticed. */
  ended: boolean;
}

/** Names this boot of the machine: pids and start times mean nothing across it. */
export const bootId = (): string => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();

/** Null when there is no such process. */
export function processEntry(pid: number): ProcessEntry | null {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return null;
  }
  // The name stands in parentheses and may hold anything, parentheses too: what follows the last one is numbers.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const number = (field: number): number => Number(fields[field - 3]);
  return { pid, startTicks: number(22), parent: number(4), group: number(5), session: number(6), ended: fields[0] === 'Z' || fields[0] === 'X' };
}

export const isAlive = ({ pid, startTicks }: ProcessId): boolean => {
  const entry = processEntry(pid);
  return entry !== null && entry.startTicks === startTicks && !entry.ended;
};

/** Every process of this machine that has not ended. */
export function processTable(): ProcessEntry[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  return pids.map((pid) => processEntry(Number(pid))).filter((entry): entry is ProcessEntry => entry !== null && !entry.ended);
}

/** The process itself, what it started, and what shares its group or session, as far as they can be seen now. Roots first. */
export function familyOf(roots: readonly ProcessId[], table: readonly ProcessEntry[] = processTable()): ProcessEntry[] {
  const alive = table.filter((entry) => roots.some((root) => root.pid === entry.pid && root.startTicks === entry.startTicks));
  const family = new Map(alive.map((entry) => [entry.pid, entry]));
  // Never by a group that the root shares with others: our children lead theirs.
  const groups = new Set(alive.filter((entry) => entry.group === entry.pid).map((entry) => entry.pid));
  for (let grew = true; grew;) {
    grew = false;
    for (const entry of table) {
      if (family.has(entry.pid)) continue;
      if (!family.has(entry.parent) && !groups.has(entry.group) && !groups.has(entry.session)) continue;
      family.set(entry.pid, entry);
      grew = true;
    }
  }
  return [...family.values()];
}

/** Processes whose environment carries `name=value`: what left its parent and its group is still found by what it inherited. */
export function carrying(name: string, value: string, table: readonly ProcessEntry[] = processTable()): ProcessEntry[] {
  const wanted = `${name}=${value}`;
  return table.filter(({ pid }) => {
    try {
      return readFileSync(`/proc/${pid}/environ`, 'latin1').split('\0').includes(wanted);
    } catch {
      return false; // Ended meanwhile, or another user's.
    }
  });
}

/** The command line, for people; null when it cannot be read. */
export function commandLine(pid: number): string | null {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ').trim().slice(0, 200);
  } catch {
    return null;
  }
}

/** Sends a signal to that very process; false when it is gone or is another one by now. */
export function signalTo(id: ProcessId, signal: NodeJS.Signals): boolean {
  if (!isAlive(id)) return false;
  try {
    process.kill(id.pid, signal);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw error;
  }
}
