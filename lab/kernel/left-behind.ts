import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { isAlive, processEntry, signalTo, type ProcessId } from '../../stack/process-table.js';
import type { LabFacts } from '../facts.js';
import { killCgroup, removeCgroup } from './cgroups.js';
import { replaceFile } from './container-conf.js';

const recorded = z.object({ processes: z.array(z.object({ pid: z.int(), startTicks: z.int() })), cgroup: z.string().nullable() });

/** Notes processes of this machine, so that a lab process that was killed leaves nothing that its successor cannot name. */
export type Recorder = (pids: readonly number[]) => void;

const recordFile = (facts: LabFacts): string => join(facts.labDir, 'processes.json');

export function createRecorder(facts: LabFacts, cgroup: string | null): Recorder {
  let processes: ProcessId[] = [];
  return (pids) => {
    const known = new Set(processes.map((one) => one.pid));
    const fresh = pids
      .filter((pid) => pid > 1 && !known.has(pid))
      .map(processEntry)
      .filter((entry) => entry !== null)
      .map(({ pid, startTicks }) => ({ pid, startTicks }));
    if (fresh.length === 0) return;
    processes = [...processes.filter(isAlive), ...fresh];
    replaceFile(recordFile(facts), JSON.stringify({ processes, cgroup }));
  };
}

/** Ends what an earlier lab process in this directory left: by pid and start time, and what sits in its cgroup, which nobody else enters. Resolves with how many there were. */
export async function endLeftBehind(facts: LabFacts): Promise<number> {
  if (!existsSync(recordFile(facts))) return 0;
  const left = recorded.parse(JSON.parse(readFileSync(recordFile(facts), 'utf8')));
  const alive = left.processes.filter(isAlive);
  for (const id of alive) signalTo(id, 'SIGKILL');
  for (let tries = 0; tries < 250; tries += 1) {
    if (left.cgroup !== null && facts.group !== 'session') killCgroup(facts.group, left.cgroup);
    const gone = left.cgroup === null || facts.group === 'session' || removeCgroup(facts.group, left.cgroup);
    if (gone && !alive.some(isAlive)) return alive.length;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(
    `processes of an earlier lab in ${facts.labDir} do not end: ${
      alive
        .filter(isAlive)
        .map((one) => one.pid)
        .join(', ') || `see cgroup ${left.cgroup}`
    }`,
  );
}
