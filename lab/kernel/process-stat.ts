import { readFileSync } from 'node:fs';

/** What the kernel needs to know of a process; pages are of 4 KiB. */
export interface ProcessStat {
  pid: number;
  comm: string;
  state: string;
  ppid: number;
  startTicks: number;
  virtualBytes: number;
  residentPages: number;
}

/** Null when there is no such process below that /proc. */
export function processStat(proc: string, pid: number): ProcessStat | null {
  let text: string;
  try {
    text = readFileSync(`${proc}/${pid}/stat`, 'utf8');
  } catch {
    return null;
  }
  const end = text.lastIndexOf(')');
  const field = text.slice(end + 2).split(' ');
  const number = (n: number): number => Number(field[n - 3]);
  return {
    pid,
    comm: text.slice(text.indexOf('(') + 1, end),
    state: field[0] ?? '?',
    ppid: number(4),
    startTicks: number(22),
    virtualBytes: number(23),
    residentPages: number(24),
  };
}

/** A zombie runs no more; it waits for its parent. */
export const isRunning = (stat: ProcessStat | null): stat is ProcessStat => stat !== null && stat.state !== 'Z' && stat.state !== 'X';
