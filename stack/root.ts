import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The checkout: the same directory whether this runs from build/ or from the sources. */
export const ROOT = findRoot(dirname(fileURLToPath(import.meta.url)));

/** A file or directory of the checkout. */
export const inCheckout = (...parts: string[]): string => join(ROOT, ...parts);

function findRoot(from: string): string {
  for (let dir = from; ; dir = dirname(dir)) {
    if (existsSync(join(dir, 'package.json')) && existsSync(join(dir, 'stack', 'servers', 'go.mod'))) return dir;
    if (dir === dirname(dir)) throw new Error(`no checkout of Nightshift above ${from}`);
  }
}
