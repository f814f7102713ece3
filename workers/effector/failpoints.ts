import { readFile, unlink } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../log.js';

/**
 * Rehearsed accidents. The file holds one line, `<point> crash` or `<point> stall`, as `before:act crash`. A crash is as hard as a power cut and happens
 * once: the file is gone before. A stall lasts until the file is gone.
 */
export function createFailpoints(file: string, log: Log): (name: string) => Promise<void> {
  const armed = async (): Promise<string> => {
    try {
      return (await readFile(file, 'utf8')).trim();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
      throw error;
    }
  };
  return async (name) => {
    const order = await armed();
    if (order === `${name} crash`) {
      log.warn({ name }, 'failpoint: crash');
      await unlink(file);
      process.kill(process.pid, 'SIGKILL');
    }
    if (order === `${name} stall`) {
      log.warn({ name }, 'failpoint: stall');
      while ((await armed()) === order) await sleep(25);
    }
  };
}
