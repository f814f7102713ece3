import { parseBeancounters } from './parse-beancounters.js';
import type { ContainerReading } from './raw-sample.js';

/**
 * Makes sense of one host's beancounters, sample after sample: what is byte for byte what it was is not parsed again, and a table with fewer rows a
 * container than this kernel has printed before is half-written. Throws when a table is not whole.
 */
export function createBeancountersTable(): (bytes: Buffer, problems: string[]) => readonly ContainerReading[] {
  let last: { bytes: Buffer; containers: readonly ContainerReading[] } | null = null;
  let rowsOfEach = 0;
  return (bytes, problems) => {
    if (last !== null && last.bytes.equals(bytes)) {
      last = { bytes, containers: last.containers };
      return last.containers;
    }
    // Forgotten first: the caller may write the next table where the last one stood, whether this one parses or not.
    last = null;
    const parsed = parseBeancounters(bytes, rowsOfEach);
    if (!parsed.ok) throw new Error(parsed.problem);
    if (parsed.strange.length > 0) problems.push(`beancounters, names: these are no container names: ${parsed.strange.slice(0, 5).map((s) => JSON.stringify(s.slice(0, 80))).join(', ')}`);
    rowsOfEach = parsed.rowsOfEach;
    last = { bytes, containers: parsed.containers };
    return parsed.containers;
  };
}
