import { existsSync, mkdirSync, readFileSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export const CGROUP_ROOT = '/sys/fs/cgroup';
/** Version 1: the hierarchies a container gets a group in. The first one says who belongs to it. */
const V1 = ['pids', 'memory', 'cpu', 'freezer'];

export type CgroupVersion = 'cgroup1' | 'cgroup2';

/** Which cgroups this machine lets us make; null when none. Tries it: a container may see the files and not be allowed to use them. */
export function usableCgroups(name: string): CgroupVersion | null {
  const version = existsSync(join(CGROUP_ROOT, 'cgroup.controllers'))
    ? 'cgroup2'
    : V1.every((one) => existsSync(join(CGROUP_ROOT, one, 'cgroup.procs')))
      ? 'cgroup1'
      : null;
  if (version === null) return null;
  const probe = `${name}-probe`;
  try {
    for (const dir of rootsOf(version)) mkdirSync(join(dir, probe));
    return version;
  } catch {
    return null;
  } finally {
    removeCgroup(version, probe);
  }
}

const rootsOf = (version: CgroupVersion): string[] => (version === 'cgroup2' ? [CGROUP_ROOT] : V1.map((one) => join(CGROUP_ROOT, one)));

/** Makes the group; returns the `cgroup.procs` files to enter it by. Low shares: whatever runs away in there stays kind to this machine. */
export function makeCgroup(version: CgroupVersion, name: string, { shares, maxProcesses }: { shares: number; maxProcesses: number }): string[] {
  const dirs = rootsOf(version).map((root) => join(root, name));
  if (version === 'cgroup2') delegate(name);
  for (const dir of dirs) mkdirSync(dir, { recursive: true });
  for (const dir of dirs) {
    // Not every kernel has every knob, nor delegates it: the group itself is what counts.
    for (const [knob, value] of [
      ['cpu.shares', shares],
      ['cpu.weight', Math.max(1, Math.round((shares * 100) / 1024))],
      ['pids.max', maxProcesses],
    ] as const) {
      if (existsSync(join(dir, knob))) writeFileSync(join(dir, knob), String(value));
    }
  }
  return dirs.map((dir) => join(dir, 'cgroup.procs'));
}

/** Version 2 hands controllers down level by level. */
function delegate(name: string): void {
  let dir = CGROUP_ROOT;
  for (const part of name.split('/').slice(0, -1)) {
    switchOn(dir);
    dir = join(dir, part);
    mkdirSync(dir, { recursive: true });
  }
  switchOn(dir);
}

function switchOn(dir: string): void {
  for (const controller of ['pids', 'memory', 'cpu']) {
    try {
      writeFileSync(join(dir, 'cgroup.subtree_control'), `+${controller}`);
    } catch {
      // Not delegated to us: then there is no such knob in the container's group, which is said by nobody and needed by nothing.
    }
  }
}

/** Pids in the group as this process sees them; empty when there is no such group. */
export function cgroupPids(procsFile: string): number[] {
  try {
    return readFileSync(procsFile, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map(Number);
  } catch {
    return [];
  }
}

/** Ends everything in the group and the groups below it. They are ours alone: nothing enters them but what the lab put there. */
export function killCgroup(version: CgroupVersion, name: string): void {
  for (const root of rootsOf(version)) {
    for (const dir of below(join(root, name))) {
      for (const pid of cgroupPids(join(dir, 'cgroup.procs'))) {
        try {
          if (pid > 1) process.kill(pid, 'SIGKILL');
        } catch {
          // It has ended meanwhile.
        }
      }
    }
  }
}

/** Removes the empty group; false while something is still in it. */
export function removeCgroup(version: CgroupVersion, name: string): boolean {
  let removed = true;
  for (const root of rootsOf(version)) {
    for (const dir of below(join(root, name)).reverse()) {
      try {
        rmdirSync(dir);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') removed = false;
      }
    }
  }
  return removed;
}

/** The directory and all below it, parents first. */
function below(dir: string): string[] {
  if (!existsSync(dir)) return [];
  return [
    dir,
    ...readdirSync(dir, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .flatMap((entry) => below(join(dir, entry.name))),
  ];
}
