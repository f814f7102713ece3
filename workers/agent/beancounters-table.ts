import { parseBeancounters } from './parse-beancounters.js';
import type { ContainerReading } from './raw-sample.js';

/**
 * Makes sense of one host's beancounters, sample after sample: a table with fewer rows a container than this kernel has printed before is half-written.
 * Throws when a table is not whole.
 */
export function createBeancountersTable(): (bytes: Buffer, problems: string[]) => readonly ContainerReading[] {
  let rowsOfEach = 0;
  return (bytes, problems) => {
    const parsed = parseBeancounters(bytes, rowsOfEach);
    if (!parsed.ok) throw new Error(parsed.problem);
    if (parsed.strange.length > 0)
      problems.push(
        `beancounters, names: these are no container names: ${parsed.strange
          .slice(0, 5)
          .map((s) => JSON.stringify(s.slice(0, 80)))
          .join(', ')}`,
      );
    rowsOfEach = parsed.rowsOfEach;
    return parsed.containers;
  };
}
