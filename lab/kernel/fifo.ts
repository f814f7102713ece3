import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, readSync, writeSync } from 'node:fs';
import { Socket } from 'node:net';

/** Makes named pipes; what stood there before is the caller's to remove. */
export function makeFifos(paths: readonly string[]): void {
  if (paths.length > 0) execFileSync('mkfifo', ['-m', '600', '--', ...paths]);
}

/** The writing end. Held open for reading too: opening never waits, and the far end sees the end of file when, and only when, this process is gone. */
export interface Inbox {
  /** Never waits. A full pipe drops the word: whoever reads it is stopped or starved, and is asked about the same thing again. */
  tell(line: string): boolean;
  /** Throws away what nobody has read. */
  drain(): void;
  close(): void;
}

export function openInbox(path: string): Inbox {
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  return {
    tell: (line) => {
      try {
        writeSync(fd, `${line}\n`);
        return true;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return false;
        throw error;
      }
    },
    drain: () => {
      const waste = Buffer.alloc(65_536);
      try {
        while (readSync(fd, waste) > 0);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') throw error;
      }
    },
    close: () => closeSync(fd),
  };
}

/** The reading end: every line that anybody writes. Lines are short and written at once, so they do not mix. */
export function openReports(path: string, onLine: (line: string) => void): { close(): void } {
  const socket = new Socket({ fd: openSync(path, constants.O_RDWR | constants.O_NONBLOCK), readable: true, writable: false });
  let rest = '';
  socket.setEncoding('latin1');
  socket.on('data', (chunk: string) => {
    const lines = (rest + chunk).split('\n');
    rest = (lines.pop() ?? '').slice(-200);
    for (const line of lines) onLine(line);
  });
  socket.on('error', () => socket.destroy());
  return { close: () => socket.destroy() };
}
