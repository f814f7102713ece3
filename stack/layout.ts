import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

/** Where everything of one stack lies: below one directory, and nowhere else. */
export interface Layout {
  dir: string;
  /** What is written again at every start: settings, pid files. */
  run: string;
  logs: string;
  /** Seeds and .creds files; mode 700. */
  keys: string;
  /** What a process keeps. */
  data(role: string): string;
  log(role: string): string;
  settings(role: string): string;
  lab: string;
  config: string;
  stackFile: string;
}

export function layoutOf(dir: string): Layout {
  return {
    dir,
    run: join(dir, 'run'),
    logs: join(dir, 'logs'),
    keys: join(dir, 'keys'),
    data: (role) => join(dir, 'data', role),
    log: (role) => join(dir, 'logs', `${role}.log`),
    settings: (role) => join(dir, 'run', `${role}.json`),
    lab: join(dir, 'lab'),
    config: join(dir, 'nightshift.yaml'),
    stackFile: join(dir, 'stack.json'),
  };
}

export async function makeDirectories(layout: Layout, roles: readonly string[]): Promise<void> {
  // Closed to others: below it are credentials, and logs that quote what hosts said.
  await mkdir(layout.dir, { recursive: true, mode: 0o700 });
  for (const dir of [layout.run, layout.logs, layout.lab, ...roles.map(layout.data)]) await mkdir(dir, { recursive: true });
}
