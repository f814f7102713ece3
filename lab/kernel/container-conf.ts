import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import type { Resource } from '../../events/kinds/container.js';
import { DEFAULT_LIMITS, isRow } from './beancounters.js';

/** `/etc/vz/conf/CTID.conf` of the lab host: shell-like `NAME="value"` lines, limits among them. What is saved there survives the container's restart. */
export const defaultConf = (container: string): string =>
  [
    'ONBOOT="yes"',
    ...[...DEFAULT_LIMITS].map(([resource, [barrier, limit]]) => `${resource.toUpperCase()}="${barrier}:${limit}"`),
    `IP_ADDRESS="10.1.1.${Number(container) % 250}"`,
    `HOSTNAME="ct${container}"`,
    '',
  ].join('\n');

export function savedLimits(file: string): Map<Resource, readonly [bigint, bigint]> {
  const limits = new Map<Resource, readonly [bigint, bigint]>();
  for (const line of textOf(file).split('\n')) {
    const found = /^([A-Z]+)="(\d{1,19}):(\d{1,19})"$/.exec(line);
    const [, name, barrier, limit] = found ?? [];
    if (name === undefined || barrier === undefined || limit === undefined || !isRow(name.toLowerCase())) continue;
    limits.set(name.toLowerCase() as Resource, [BigInt(barrier), BigInt(limit)]);
  }
  return limits;
}

/** Replaces the resource's line, or adds it; the file comes into being if need be. */
export function saveLimit(file: string, resource: Resource, barrier: bigint, limit: bigint): void {
  const name = `${resource.toUpperCase()}=`;
  const kept = textOf(file)
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith(name));
  replaceFile(file, `${[...kept, `${name}"${barrier}:${limit}"`].join('\n')}\n`);
}

/** Whoever reads sees the old text or the new one. */
export function replaceFile(file: string, text: string, mode = 0o644): void {
  writeFileSync(`${file}.new`, text, { mode });
  renameSync(`${file}.new`, file);
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  }
}
