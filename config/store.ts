import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { loadConfig, parseConfig, versionOf, type ReadyConfig } from './load.js';
import { formatProblem, type ConfigProblem } from './problem.js';

/** What happened to a configuration file that was offered. `version` is the one in force afterwards. */
export interface ConfigChange {
  accepted: boolean;
  version: string;
  problems: ConfigProblem[];
}

export interface ConfigStore {
  /** The configuration in force. Take it once per decision: it may be another one afterwards. */
  current(): ReadyConfig;
  /** How the start went: not accepted means that the file is bad and the last good version is in force. */
  readonly atStart: ConfigChange;
  /** Reads the file again. A bad one is refused and the last good one stays in force. Calls wait for each other. */
  reload(): Promise<ConfigChange>;
  /** A version that was once in force: an open incident keeps the one it began with. Null when it was never accepted here, or can no longer be read. */
  get(version: string): Promise<ReadyConfig | null>;
}

/** No configuration can be taken into force: the file is bad, and there is no last good version to stay with. */
export class NoConfigError extends Error {
  override readonly name = 'NoConfigError';
  constructor(
    readonly file: string,
    readonly problems: ConfigProblem[],
  ) {
    super(`${file} cannot be used, and no version of it was ever accepted here:\n${problems.map(formatProblem).join('\n')}`);
  }
}

/** Versions kept compiled in memory; older ones are read again from `directory` when asked for. */
const KEPT_IN_MEMORY = 20;
const VERSION = /^[0-9a-f]{12}$/;

/**
 * Keeps each accepted version below `directory`: `versions/<version>.yaml` is the file as it was, `current` names the last one accepted.
 * The version is the hash of the content, so a copy that was damaged or edited is not taken for what it says. One process per directory.
 * Throws NoConfigError when neither the file nor a last good version can be used.
 */
export async function openConfigStore({ file, directory }: { file: string; directory: string }): Promise<ConfigStore> {
  const versions = join(directory, 'versions');
  const currentFile = join(directory, 'current');
  const known = new Map<string, ReadyConfig>();
  await mkdir(versions, { recursive: true, mode: 0o700 });

  const remember = (loaded: ReadyConfig): ReadyConfig => {
    known.delete(loaded.version);
    known.set(loaded.version, loaded);
    for (const oldest of known.keys()) {
      if (known.size <= KEPT_IN_MEMORY) break;
      known.delete(oldest);
    }
    return loaded;
  };

  /** A stored version, checked again: the program may have grown stricter since it was accepted. */
  const read = async (version: string): Promise<ReadyConfig | null> => {
    if (!VERSION.test(version)) return null;
    const found = known.get(version);
    if (found !== undefined) return remember(found);
    const bytes = await readOrNull(join(versions, `${version}.yaml`));
    if (bytes === null || versionOf(bytes) !== version) return null;
    // Relative paths in it begin where the original stands, not here.
    const result = parseConfig(bytes, join(dirname(resolve(file)), `${version}.yaml`));
    return result.ok ? remember({ ...result.loaded, file: resolve(file) }) : null;
  };

  const lastGood = async (): Promise<ReadyConfig | null> => {
    const name = await readOrNull(currentFile);
    return name === null ? null : read(name.toString('utf8').trim());
  };

  /** Stored before it is in force: what was decided by it can be looked up after a crash at any point. */
  const accept = async ({ loaded, bytes }: { loaded: ReadyConfig; bytes: Uint8Array }): Promise<ReadyConfig> => {
    await writeDurably(join(versions, `${loaded.version}.yaml`), bytes);
    await writeDurably(currentFile, Buffer.from(`${loaded.version}\n`));
    return remember(loaded);
  };

  const first = await loadConfig(file);
  let inForce: ReadyConfig;
  let atStart: ConfigChange;
  if (first.ok) {
    inForce = await accept(first);
    atStart = { accepted: true, version: inForce.version, problems: [] };
  } else {
    const fallback = await lastGood();
    if (fallback === null) throw new NoConfigError(file, first.problems);
    inForce = fallback;
    atStart = { accepted: false, version: inForce.version, problems: first.problems };
  }

  const reload = async (): Promise<ConfigChange> => {
    const next = await loadConfig(file);
    if (!next.ok) return { accepted: false, version: inForce.version, problems: next.problems };
    inForce = await accept(next);
    return { accepted: true, version: inForce.version, problems: [] };
  };
  let turn: Promise<unknown> = Promise.resolve();

  return {
    current: () => inForce,
    atStart,
    reload: () => {
      const mine = turn.then(reload);
      // The next call waits for this one, and does not inherit its failure.
      turn = mine.catch(() => undefined);
      return mine;
    },
    get: read,
  };
}

async function readOrNull(file: string): Promise<Buffer | null> {
  try {
    return await readFile(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** Whole or not at all, also after a power cut: written beside, synced, renamed, the directory synced. */
async function writeDurably(file: string, bytes: Uint8Array): Promise<void> {
  const beside = `${file}.${process.pid}.new`;
  try {
    const handle = await open(beside, 'w', 0o600);
    try {
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(beside, file);
  } catch (error) {
    await rm(beside, { force: true });
    throw error;
  }
  const directory = await open(dirname(file), 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
