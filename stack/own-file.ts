import { createHash } from 'node:crypto';
import { readFile, rename, writeFile } from 'node:fs/promises';

/** Replaced as a whole: whoever reads it sees the old one or the new one. */
export async function replaceFile(path: string, text: string, mode = 0o644): Promise<void> {
  await writeFile(`${path}.new`, text, { mode });
  await rename(`${path}.new`, path);
}

/**
 * Writes a file that people may take over by editing it: once it differs from what we wrote last (`hashFile` remembers), it is theirs and is left alone.
 * Returns whether it is theirs.
 */
export async function writeUnlessEdited(path: string, text: string, hashFile: string): Promise<'ours' | 'theirs'> {
  const there = await readOrNull(path);
  if (there !== null && hashOf(there) !== (await readOrNull(hashFile))?.trim()) return 'theirs';
  if (there !== text) await replaceFile(path, text);
  await replaceFile(hashFile, `${hashOf(text)}\n`);
  return 'ours';
}

const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex');

async function readOrNull(path: string): Promise<string | null> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
