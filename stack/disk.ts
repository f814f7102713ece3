import { statfs } from 'node:fs/promises';

export const freeBytes = async (dir: string): Promise<number> => {
  const fs = await statfs(dir);
  return fs.bavail * fs.bsize;
};

export const mebibytes = (bytes: number): string => `${Math.floor(bytes / (1024 * 1024))} MB`;

/** It resumes when a quarter more than the minimum is free: a disk at the edge does not make the door swing. */
export function intakeWanted(free: number, minFree: number, open: boolean): boolean {
  return open ? free >= minFree : free >= minFree * 1.25;
}

/**
 * Watches the file system of `dir`. Below `minFreeBytes` it shuts intake, above it opens it again; what `shut` and `reopen` could not do they are asked
 * again a second later. Ends when `signal` aborts.
 */
export async function watchDisk(o: {
  minFreeBytes: number;
  free: () => Promise<number>;
  shut: (free: number) => Promise<void>;
  reopen: (free: number) => Promise<void>;
  pause: () => Promise<void>;
  say: (line: string) => void;
  signal: AbortSignal;
}): Promise<void> {
  let open = true;
  let complained = '';
  for (; !o.signal.aborted; await o.pause()) {
    try {
      const free = await o.free();
      const wanted = intakeWanted(free, o.minFreeBytes, open);
      if (wanted === open) continue;
      await (wanted ? o.reopen(free) : o.shut(free));
      open = wanted;
      complained = '';
    } catch (error) {
      const complaint = error instanceof Error ? error.message : String(error);
      if (complaint !== complained && !o.signal.aborted) o.say(`watching the disk: ${complaint}; trying again every second`);
      complained = complaint;
    }
  }
}
