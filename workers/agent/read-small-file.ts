import { closeSync, openSync, readSync } from 'node:fs';

/**
 * Reads files of /proc and cgroups: made anew at each read, a few kilobytes, never blocking, size unknown beforehand. Synchronous on purpose: through the
 * thread pool each of several hundred reads a second would cost ten times as much.
 */
export interface SmallFiles {
  /** The whole content, or null when there is no such file (any more). Other errors are thrown. */
  text(path: string): string | null;
  /** The whole content; it is the same one at each call. Throws when it cannot be read or is larger than `mostBytes`. */
  bytes(path: string, mostBytes: number): Buffer;
}

/** `keepOpen`: files stay open between reads. Only for file systems where a path never becomes another file while it is open: cgroupfs. */
export function openSmallFiles({ keepOpen }: { keepOpen: boolean }): SmallFiles & { close(): void } {
  const small = Buffer.allocUnsafe(4096);
  const handles = new Map<string, number>();
  let large = Buffer.allocUnsafe(64 * 1024);

  function text(path: string): string | null {
    const kept = handles.get(path);
    if (kept !== undefined) {
      try {
        return small.toString('latin1', 0, readSync(kept, small, 0, small.length, 0));
      } catch (error) {
        // The directory was removed: what stands there now, if anything, is another one.
        handles.delete(path);
        closeSync(kept);
        if ((error as NodeJS.ErrnoException).code !== 'ENODEV') throw error;
      }
    }
    let handle: number;
    try {
      handle = openSync(path, 'r');
    } catch (error) {
      if (isGone(error)) return null;
      throw error;
    }
    let keep = false;
    try {
      const content = small.toString('latin1', 0, readSync(handle, small, 0, small.length, 0));
      keep = keepOpen && handles.size < MOST_OPEN;
      if (keep) handles.set(path, handle);
      return content;
    } catch (error) {
      if (isGone(error)) return null;
      throw error;
    } finally {
      if (!keep) closeSync(handle);
    }
  }

  function bytes(path: string, mostBytes: number): Buffer {
    const handle = openSync(path, 'r');
    try {
      let length = 0;
      for (;;) {
        if (length === large.length) {
          if (length >= mostBytes) throw new Error(`${path} is larger than ${mostBytes} bytes`);
          const larger = Buffer.allocUnsafe(Math.min(mostBytes, large.length * 2));
          large.copy(larger);
          large = larger;
        }
        // A seq_file hands out a page or so at a time.
        const read = readSync(handle, large, length, large.length - length, null);
        if (read === 0) break;
        length += read;
      }
      return large.subarray(0, length);
    } finally {
      closeSync(handle);
    }
  }

  return {
    text,
    bytes,
    close: () => {
      for (const handle of handles.values()) closeSync(handle);
      handles.clear();
    },
  };
}

/** Well below what a process may have open. */
const MOST_OPEN = 900;

/** The last two: pressure files of a kernel that was started without PSI are there and cannot be read. */
const isGone = (error: unknown): boolean => ['ENOENT', 'ENODEV', 'ENOTDIR', 'ENOTSUP', 'EOPNOTSUPP'].includes((error as NodeJS.ErrnoException).code ?? '');
