import { parseBeancounters } from './parse-beancounters.js';
import type { ContainerReading } from './raw-sample.js';
import type { SmallFiles } from './read-small-file.js';

/** Ten thousand containers: beyond it the file is not what it says it is. */
const MOST_BYTES = 32 * 1024 * 1024;

/** Reads and parses the beancounters; a file that says the same as the last time is not parsed again. Throws when it cannot be read or is not whole. */
export function readBeancounters(files: SmallFiles): (path: string, problems: string[]) => readonly ContainerReading[] {
  let last: { bytes: Buffer; containers: readonly ContainerReading[] } | null = null;
  return (path, problems) => {
    const bytes = files.bytes(path, MOST_BYTES);
    if (last !== null && last.bytes.equals(bytes)) {
      last = { bytes, containers: last.containers };
      return last.containers;
    }
    // Forgotten first: its buffer is overwritten by the next read, whether this one parses or not.
    last = null;
    const parsed = parseBeancounters(bytes);
    if (!parsed.ok) throw new Error(`${path}: ${parsed.problem}`);
    if (parsed.strange.length > 0) problems.push(`beancounters: no container names: ${parsed.strange.slice(0, 5).map((s) => JSON.stringify(s.slice(0, 80))).join(', ')}`);
    last = { bytes, containers: parsed.containers };
    return parsed.containers;
  };
}
