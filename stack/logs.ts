import { copyFile, rename, rm, stat, truncate } from 'node:fs/promises';
import { closeSync, openSync } from 'node:fs';

const KEEP = 3;

/**
 * A log that a child writes itself, through a descriptor in append mode: it goes on when the supervisor dies. The caller hands the descriptor to
 * `spawn` and closes its own copy.
 */
export const openLog = (path: string): number => openSync(path, 'a', 0o640);
export const closeLog = (descriptor: number): void => closeSync(descriptor);

/**
 * Keeps a log below `maxBytes`: copies it to `.1` (older ones move to `.2`, `.3`, then go) and empties it in place, since the writer has it open.
 * What is written between copy and truncation is lost: a few lines at most, of a log that is not the record (the audit is).
 */
export async function rotateLog(path: string, maxBytes: number): Promise<boolean> {
  const size = await stat(path).then(
    (s) => s.size,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return 0;
      throw error;
    },
  );
  if (size <= maxBytes) return false;
  await rm(`${path}.${KEEP}`, { force: true });
  for (let n = KEEP - 1; n >= 1; n -= 1) await rename(`${path}.${n}`, `${path}.${n + 1}`).catch(ignoreMissing);
  await copyFile(path, `${path}.1`);
  await truncate(path, 0);
  return true;
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error;
}
