import { join } from 'node:path';
import { endProcesses } from './end-processes.js';
import { tryLock } from './lock-file.js';
import { readPids } from './pids.js';
import { carrying, familyOf, isAlive, processTable, type ProcessId } from './process-table.js';

/** Every process of a stack carries this variable; its value names one start of one stack: a random id and its directory. */
export const STACK_MARK = 'NIGHTSHIFT_STACK';

export class StackRuns extends Error {
  override readonly name = 'StackRuns';
}

/** Makes this process the supervisor of `dir`. Throws StackRuns when another one lives. Returns what gives it up. */
export function becomeSupervisor(dir: string): () => void {
  const lock = tryLock(join(dir, 'run', 'supervisor.json'));
  if ('release' in lock) return lock.release;
  throw new StackRuns(
    `a stack runs in ${dir} already (process ${lock.heldBy}). Use it (npx nightshift --dir ${dir} ...), stop it (kill ${lock.heldBy}), or start another: --dir DIR --base-port N`,
  );
}

/** Everything that a stack has running: what was recorded, with its families, and whatever else carries the stack's mark. Never by name. */
export function processesOf(stack: string, recorded: readonly ProcessId[]): ProcessId[] {
  const table = processTable().filter((entry) => entry.pid !== process.pid);
  const found = new Map([...familyOf(recorded, table), ...carrying(STACK_MARK, stack, table)].map((entry) => [entry.pid, entry]));
  return [...found.values()];
}

/** Ends what a supervisor that was killed has left behind in `dir`. */
export async function endLeftovers(dir: string, say: (line: string) => void): Promise<void> {
  const record = readPids(dir);
  if (record === null) return;
  // Parents first, and again until nothing new turns up: a helper that is being ended may just have started something.
  for (let round = 0; round < 5; round += 1) {
    const left = processesOf(record.stack, record.processes);
    if (left.length === 0) return;
    if (round === 0) {
      const roles = record.processes.filter(isAlive).map((p) => `${p.role} ${p.pid}`);
      say(`a supervisor was killed here and left ${left.length} processes (${roles.join(', ') || 'no main ones'}): ending them`);
    }
    await endProcesses(left, 5_000);
  }
}
