import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Duration } from '@temporalio/common';
import { describe, expect, test } from 'vitest';
import { importsOf, root, ROOMS, sourceFiles, target } from './imports.js';

interface LockFile {
  lockfileVersion: number;
  packages: Record<string, { version?: string; resolved?: string; name?: string; link?: boolean }>;
}
const read = (file: string): string => readFileSync(join(root, file), 'utf8');
const lockText = read('package-lock.json');
const lock = JSON.parse(lockText) as LockFile;
const manifest = JSON.parse(read('package.json')) as {
  dependencies: Record<string, string>;
  devDependencies: Record<string, string>;
  engines: { node: string };
};
const installed = Object.entries(lock.packages).map(([path, { version }]) => ({
  path,
  name: path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length),
  version,
}));

describe('package-lock.json', () => {
  test('names no package host: who installs decides where packages come from', () => {
    expect(
      Object.entries(lock.packages)
        .filter(([, p]) => p.resolved !== undefined)
        .map(([path]) => path),
    ).toEqual([]);
    expect(lockText).not.toMatch(/https?:\/\/(?:[\w-]+\.)*(?:npmjs|npmmirror|yarnpkg|pkg\.github)\./);
    expect(read('.npmrc')).toMatch(/^omit-lockfile-registry-resolved=true$/m);
  });

  test("has each @temporalio package once, all of one version: two of them do not recognise each other's errors", () => {
    const temporal = installed.filter(({ name }) => name.startsWith('@temporalio/'));
    expect(temporal.length).toBeGreaterThan(5);
    expect(new Set(temporal.map(({ version }) => version))).toEqual(new Set([manifest.dependencies['@temporalio/worker']]));
    expect(new Set(temporal.map(({ name }) => name)).size).toBe(temporal.length);
  });

  test('has protobufjs 8 where every package finds it', () => {
    expect(lock.packages['node_modules/protobufjs']?.version).toMatch(/^8\./);
    // gRPC's loader keeps a version 7 of its own; what Temporal finds must be the one above.
    expect(installed.filter(({ path }) => path.endsWith('/protobufjs') && path.includes('@temporalio/'))).toEqual([]);
  });
});

describe('package.json', () => {
  test('pins every version: what was tested is what is installed', () => {
    const loose = Object.entries({ ...manifest.dependencies, ...manifest.devDependencies }).filter(
      ([, version]) => !/^(npm:@?[\w/-]+@)?\d+\.\d+\.\d+$/.test(version),
    );
    expect(loose).toEqual([]);
  });

  test('lists what the program imports among its dependencies, not among the tools', () => {
    const packageOf = (specifier: string): string =>
      specifier
        .split('/')
        .slice(0, specifier.startsWith('@') ? 2 : 1)
        .join('/');
    const used = new Set(
      sourceFiles(ROOMS)
        .flatMap(importsOf)
        .filter((found) => target(found) === null && !found.specifier.startsWith('node:'))
        .map((found) => packageOf(found.specifier)),
    );
    expect([...used].filter((name) => manifest.dependencies[name] === undefined)).toEqual([]);
  });
});

test('a duration that Temporal does not know does not compile', () => {
  const right: Duration = '10 seconds';
  // Without the `paths` entry of tsconfig.json a Duration is silently `any`, and this line would compile.
  // @ts-expect-error there is no such unit
  const wrong: Duration = '10 parsecs';
  expect([right, wrong]).toHaveLength(2);
});
