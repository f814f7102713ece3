import { readFile, rename, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import { containerId } from '../../events/envelope.js';
import { resource } from '../../events/kinds/container.js';
import { SOURCES } from './raw-sample.js';

const content = z.array(z.strictObject({ source: z.enum(SOURCES), container: containerId, resource }));
type OpenSpike = z.infer<typeof content>[number];

/** Which spikes have been said and not ended, on disk: so that an agent that was killed in between says their end all the same. */
export interface SpikesFile {
  load(): Promise<OpenSpike[]>;
  /** Writes only when something changed. */
  save(spikes: readonly OpenSpike[]): Promise<void>;
}

/** A file that cannot be read or written costs the end of a spike after a restart, not an event: it is said and gone on. */
export function createSpikesFile(path: string, onProblem: (problem: string) => void): SpikesFile {
  let saved = '';
  return {
    load: async () => {
      try {
        return content.parse(JSON.parse(await readFile(path, 'utf8')));
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') onProblem(`${path} is not readable, spikes that it named will not be ended: ${String(error)}`);
        return [];
      }
    },
    save: async (spikes) => {
      if (spikes.length === 0 && saved === '') return;
      const lines = [...new Set(spikes.map((s) => JSON.stringify(s)))].sort();
      const text = `[${lines.join(',\n')}]\n`;
      if (text === saved) return;
      try {
        await writeFile(`${path}.next`, text, { mode: 0o600 });
        await rename(`${path}.next`, path);
        saved = text;
      } catch (error) {
        onProblem(`${path} cannot be written: ${String(error)}`);
      }
    },
  };
}
