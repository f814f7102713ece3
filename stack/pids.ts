import { readFileSync, realpathSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { bootId, processEntry, type ProcessId } from './process-table.js';

const kept = z.object({
  /** The directory this was written for, and the boot it was written in: a copied directory and a machine that was rebooted have nothing to end. */
  dir: z.string(),
  boot: z.string(),
  /** What every process of this stack carries in its environment as NIGHTSHIFT_STACK. */
  stack: z.string().min(8),
  processes: z.array(z.object({ role: z.string(), pid: z.int(), startTicks: z.int() })),
});
export type PidRecord = z.infer<typeof kept>;

/** What was started, for the next supervisor: written before anything is done with a process that was spawned. */
export interface Pids {
  add(role: string, pid: number): ProcessId;
  remove(id: ProcessId): void;
}

const pidFile = (dir: string): string => join(dir, 'run', 'pids.json');

/** Null when there is none for this directory and boot, or what is there is not readable as one (cut off by a full disk, say). */
export function readPids(dir: string): PidRecord | null {
  try {
    const record = kept.parse(JSON.parse(readFileSync(pidFile(dir), 'utf8')));
    return record.dir === realpathSync(dir) && record.boot === bootId() ? record : null;
  } catch {
    return null;
  }
}

/** Begins an empty record. Synchronous on purpose: between a spawn and its record there is no moment in which anything else runs. */
export function openPids(dir: string, stack: string, say: (line: string) => void): Pids {
  const path = pidFile(dir);
  const about = { dir: realpathSync(dir), boot: bootId(), stack };
  let processes: PidRecord['processes'] = [];
  const save = (): void => {
    writeFileSync(`${path}.new`, `${JSON.stringify({ ...about, processes }, null, 1)}\n`);
    renameSync(`${path}.new`, path);
  };
  // On a full disk a child is started again all the same: what this file lacks then is found by its mark.
  const saveIfPossible = (): void => {
    try {
      save();
    } catch (error) {
      say(`${path} could not be written: ${(error as Error).message}`);
    }
  };
  save();
  return {
    add(role, pid) {
      // A child that has ended already is a zombie until we reap it: its entry is still there.
      const id = { pid, startTicks: processEntry(pid)?.startTicks ?? 0 };
      processes.push({ role, ...id });
      saveIfPossible();
      return id;
    },
    remove(id) {
      processes = processes.filter((p) => p.pid !== id.pid || p.startTicks !== id.startTicks);
      saveIfPossible();
    },
  };
}
