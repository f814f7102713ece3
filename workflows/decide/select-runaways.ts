import type { ProcessFact } from '../../activities/looks.js';

/**
 * Never ended, whatever the inventory says: what keeps a container a machine, what lets people in, what holds data, and ourselves.
 * The effector has a list of its own and checks again; a name on either is safe.
 */
export const PROTECTED: readonly string[] = [
  'init',
  'systemd',
  'systemd-journal',
  'systemd-udevd',
  'udevd',
  'dbus-daemon',
  'agetty',
  'login',
  'bash',
  'sh',
  'sshd',
  'vzctl',
  'cron',
  'crond',
  'atd',
  'syslogd',
  'rsyslogd',
  'syslog-ng',
  'klogd',
  'named',
  'slapd',
  'mysqld',
  'mysqld_safe',
  'mariadbd',
  'postgres',
  'postmaster',
  'mongod',
  'redis-server',
  'nightshift',
];

export interface Selection {
  /** In the order in which they are to be ended. */
  candidates: ProcessFact[];
  /** `too-many`: more than may be ended; the hottest are here. `none`: no process bears a runaway's name. `no-names`: the inventory names no runaways. */
  reason: 'all' | 'too-many' | 'none' | 'no-names';
}

/**
 * Which processes of a container may be ended, and in which order: those that bear one of its runaways' names and are not protected, children before
 * their parents (a parent would only start new ones while its children are ended, but it must outlive them to reap them), then the hottest, then the youngest.
 * A zombie is nobody any more: ending it would count as an act and change nothing.
 */
export function selectRunaways({
  processes,
  runaways,
  protect,
  maxKills,
}: {
  processes: readonly ProcessFact[];
  runaways: readonly string[];
  protect: readonly string[];
  maxKills: number;
}): Selection {
  if (runaways.length === 0) return { candidates: [], reason: 'no-names' };
  const safe = new Set([...PROTECTED, ...protect]);
  const named = new Set(runaways.filter((name) => !safe.has(name)));
  const eligible = processes.filter((p) => named.has(p.comm) && p.state !== 'Z' && p.state !== 'X' && p.pid > 1);
  if (eligible.length === 0) return { candidates: [], reason: 'none' };

  const depth = depths(processes);
  const ordered = eligible.toSorted(
    (a, b) => (depth.get(b.pid) ?? 0) - (depth.get(a.pid) ?? 0) || heat(b) - heat(a) || a.ageSeconds - b.ageSeconds || a.pid - b.pid,
  );
  return { candidates: ordered.slice(0, maxKills), reason: ordered.length > maxKills ? 'too-many' : 'all' };
}

/** Share of a core since it began. */
const heat = (p: ProcessFact): number => p.cpuSeconds / Math.max(p.ageSeconds, 0.1);

/** How many ancestors each process has among those listed. A loop (pids reused while they were read) ends where it meets itself. */
function depths(processes: readonly ProcessFact[]): Map<number, number> {
  const parentOf = new Map(processes.map((p) => [p.pid, p.ppid]));
  const known = new Map<number, number>();
  for (const { pid } of processes) {
    const path: number[] = [];
    const walked = new Set<number>();
    let at: number | undefined = pid;
    while (at !== undefined && parentOf.has(at) && !known.has(at) && !walked.has(at)) {
      path.push(at);
      walked.add(at);
      at = parentOf.get(at);
    }
    let depth = at === undefined ? -1 : (known.get(at) ?? -1);
    for (const step of path.toReversed()) known.set(step, (depth += 1));
  }
  return known;
}
