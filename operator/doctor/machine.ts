import { statfs } from 'node:fs/promises';
import { because, error, ok, warning, type Finding } from './finding.js';

const MIN_NODE = [20, 20, 2] as const;
const MiB = 1024 * 1024;
// The streams refuse rather than grow when the disk is full; a Temporal without space stops. Below the first nothing should be started.
const DISK_ERROR = 512 * MiB;
const DISK_WARNING = 4096 * MiB;

export function nodeFinding(version: string): Finding {
  const parts = version.replace(/^v/, '').split('.').map(Number);
  for (const [at, least] of MIN_NODE.entries()) {
    const part = parts[at] ?? 0;
    if (part > least) break;
    if (part < least) return error('node', `Node ${version}; at least ${MIN_NODE.join('.')} is needed`, 'install a newer Node');
  }
  return ok('node', `Node ${version}`);
}

export async function diskFinding(dir: string): Promise<Finding> {
  try {
    const fs = await statfs(dir);
    return spaceFinding(dir, fs.bavail * fs.bsize);
  } catch (cause) {
    return error('disk', `the space below ${dir} cannot be read: ${because(cause)}`);
  }
}

export function spaceFinding(dir: string, freeBytes: number): Finding {
  const text = `${(freeBytes / 1024 / MiB).toFixed(1)} GiB free below ${dir}`;
  if (freeBytes < DISK_ERROR) return error('disk', text, 'intake stops when the disk is full: make room');
  if (freeBytes < DISK_WARNING) return warning('disk', text, 'the streams may take 3.6 GiB, Temporal some more');
  return ok('disk', text);
}
