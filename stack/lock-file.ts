import { randomUUID } from 'node:crypto';
import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { bootId, isAlive, processEntry, type ProcessId } from './process-table.js';

export type Lock = { release(): void } | { heldBy: number };

/**
 * A lock that names its holder by pid, start time and boot, so that one whose holder has died is not in anybody's way. Of any number that try at once one
 * gets it.
 */
export function tryLock(path: string): Lock {
  const mine = `${path}.${randomUUID()}`;
  writeFileSync(mine, JSON.stringify({ boot: bootId(), pid: process.pid, startTicks: processEntry(process.pid)?.startTicks ?? 0 }));
  try {
    for (;;) {
      try {
        linkSync(mine, path); // Fails when it exists, and is never there half-written.
        return { release: () => rmSync(path, { force: true }) };
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      const holder = holderOf(path);
      if (holder !== null && isAlive(holder)) return { heldBy: holder.pid };
      moveAside(path, `${mine}.dead`);
    }
  } finally {
    rmSync(mine, { force: true });
  }
}

/** Takes away a dead lock. If somebody has just made it a live one, it is put back. */
function moveAside(path: string, aside: string): void {
  try {
    renameSync(path, aside);
    const holder = holderOf(aside);
    if (holder !== null && isAlive(holder)) linkSync(aside, path);
  } catch (error) {
    if (!['ENOENT', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  } finally {
    rmSync(aside, { force: true });
  }
}

function holderOf(path: string): ProcessId | null {
  try {
    const { boot, pid, startTicks } = JSON.parse(readFileSync(path, 'utf8')) as Partial<ProcessId> & { boot?: string };
    return boot === bootId() && typeof pid === 'number' && typeof startTicks === 'number' ? { pid, startTicks } : null;
  } catch {
    return null;
  }
}
