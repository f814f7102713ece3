import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { importsIn, importsOf, roomOf, root, ROOMS, sourceFiles, target, type Import } from './imports.js';

/** The rooms whose values, and those whose types, a room may use beside its own. Packages: which it may not, or the only ones that it may. */
interface Reach {
  values: readonly string[];
  types?: readonly string[];
  packages?: (name: string) => boolean;
}
const noTemporal = (name: string): boolean => !name.startsWith('@temporalio/');
const REACH: Record<(typeof ROOMS)[number], Reach> = {
  events: { values: [], packages: (name) => ['zod', 'node:crypto'].includes(name) },
  config: { values: ['events'], packages: noTemporal },
  workflows: { values: [], types: ['events', 'activities', 'config'], packages: (name) => name === '@temporalio/workflow' },
  activities: {
    values: ['events', 'config'],
    types: ['workflows'],
    packages: (name) => noTemporal(name) || ['@temporalio/activity', '@temporalio/common'].includes(name),
  },
  workers: { values: ['events', 'config', 'activities', 'workflows', 'stack'] },
  operator: { values: ['events', 'config', 'activities', 'workflows', 'stack', 'lab'] },
  lab: { values: ['events', 'activities', 'config', 'stack'], packages: noTemporal },
  stack: { values: ['events', 'config', 'activities', 'operator', 'lab', 'workflows'] },
  bench: { values: ['events', 'config', 'activities', 'workflows', 'stack', 'operator', 'lab'] },
};
/** Run at build time, never in a workflow. */
const BUILD_STEPS = ['workflows/build-bundle.ts'];

function violation(found: Import): string | null {
  const room = roomOf(found.from) as (typeof ROOMS)[number];
  const { values, types = [], packages = () => true } = REACH[room];
  const file = target(found);
  const say = (why: string): string => `${found.from}:${found.line} imports ${found.specifier}: ${why}`;
  if (BUILD_STEPS.includes(found.from)) return null;
  if (file === null) return found.type || packages(found.specifier) ? null : say(`not a package for ${room}/`);
  const other = roomOf(file);
  if (other === room) return null;
  if (other === 'workers') return say('nothing imports workers/');
  if (room === 'operator' && other === 'workflows' && file !== 'workflows/messages.ts') return say('of the workflows, operator/ knows the messages');
  if (values.includes(other) || (found.type && types.includes(other))) return null;
  return say(types.includes(other) ? `${room}/ sees ${other}/ as types only` : `${room}/ does not look towards ${other}/`);
}

describe('the house', () => {
  const imports = sourceFiles(ROOMS).flatMap(importsOf);

  test.each(ROOMS)('%s imports only what it may see', (room) => {
    expect(
      imports
        .filter((found) => roomOf(found.from) === room)
        .map(violation)
        .filter((v) => v !== null),
    ).toEqual([]);
  });

  test('has been looked at: every room has files, and they import each other', () => {
    expect(imports.length).toBeGreaterThan(150);
    for (const room of ['events', 'config', 'workflows', 'activities', 'workers', 'operator'])
      expect(imports.filter((found) => roomOf(found.from) === room).length, room).toBeGreaterThan(3);
  });

  test('imports files that are there, by the name that Node will use', () => {
    const lost = imports.filter((found) => {
      const file = target(found);
      return file !== null && !existsSync(join(root, file)) && !existsSync(join(root, file.replace(/\.ts$/, '.js')));
    });
    expect(lost.map((found) => `${found.from}:${found.line} ${found.specifier}`)).toEqual([]);
  });

  /** Everything that comes along when a file is started, and by which road. */
  const reachable = (entry: string): Map<string, string> => {
    const seen = new Map([[entry, entry]]);
    for (const [file, road] of seen) {
      for (const found of importsOf(file)) {
        const next = target(found) ?? found.specifier;
        if (found.type || seen.has(next)) continue;
        if (target(found) !== null && !existsSync(join(root, next))) continue;
        seen.set(next, `${road} > ${next}`);
        if (target(found) === null) seen.delete(next);
        if (target(found) === null) packages.set(next, `${road} > ${next}`);
      }
    }
    return seen;
  };
  let packages = new Map<string, string>();
  const packagesOf = (entry: string): Map<string, string> => {
    packages = new Map();
    reachable(entry);
    return packages;
  };

  test('the agent has no Temporal in it, by whatever road', () => {
    const found = packagesOf('workers/agent/main.ts');
    expect(found.size).toBeGreaterThan(2);
    expect([...found].filter(([name]) => name.startsWith('@temporalio/')).map(([, road]) => road)).toEqual([]);
  });

  test('a workflow brings nothing along but @temporalio/workflow, by whatever road', () => {
    const entries = sourceFiles(['workflows']).filter((file) => !BUILD_STEPS.includes(file));
    const found = new Map(entries.flatMap((entry) => [...packagesOf(entry)]));
    expect([...found].filter(([name]) => name !== '@temporalio/workflow').map(([, road]) => road)).toEqual([]);
  });
});

describe('the import rule, tried on files that break it', () => {
  const told = (from: string, source: string): (string | null)[] => importsIn(source, from).map(violation);

  test.each([
    ['workflows/x.ts', "import { isToken } from '../events/subjects.js';", 'as types only'],
    ['workflows/x.ts', "import { type Target } from '../events/audit.js';", 'as types only'],
    ['workflows/x.ts', "import pino from 'pino';", 'not a package'],
    ['workflows/playbooks/x.ts', "export { z } from 'zod';", 'not a package'],
    ['workflows/x.ts', "const m = await import('node:fs');", 'not a package'],
    ['workflows/x.ts', "import '../stack/ports.js';", 'does not look towards stack/'],
    ['operator/cli/x.ts', "import { kernel } from '../../workflows/kernel.js';", 'knows the messages'],
    ['stack/x.ts', "import { main } from '../workers/engine/main.js';", 'nothing imports workers/'],
    ['activities/x.ts', "import type { Bridge } from '../workers/engine/bridge.js';", 'nothing imports workers/'],
    ['events/x.ts', "import { join } from 'node:path';", 'not a package'],
    ['config/x.ts', "import {\n  a,\n  b,\n} from '../activities/nats.js';", 'does not look towards activities/'],
    ['lab/x.ts', "import { Client } from '@temporalio/client';", 'not a package'],
  ])('%s: %s', (file, source, why) => expect(told(file, source).join()).toContain(why));

  test.each([
    ['workflows/x.ts', "import type { Target } from '../events/audit.js';\nimport { sleep } from '@temporalio/workflow';\nimport { a } from './messages.js';"],
    ['operator/x.ts', "import { OBSERVE } from '../workflows/messages.js';"],
    ['activities/x.ts', "// import { x } from '../workers/x.js';\n/* import y from '../operator/y.js'; */\nconst text = \"import z from '../stack/z.js'\";"],
  ])('%s may: %s', (file, source) => expect(told(file, source).filter((v) => v !== null)).toEqual([]));

  test('all forms of import are found', () => {
    const source = `
import a from 'a';
import * as b from "b";
import { c, type C } from 'c';
import type { D } from 'd';
import type E from 'e';
import type, { F } from 'f';
import 'g';
export * from 'h';
export type { I } from 'i';
export { j } from 'j';
const k = await import('k');
type L = typeof import('l');
const m = 'from "m"';
import n, { o } from 'n';
`;
    expect(
      importsIn(source, 'x.ts')
        .toSorted((x, y) => x.line - y.line)
        .map((f) => `${f.specifier}${f.type ? ' type' : ''}`),
    ).toEqual(['a', 'b', 'c', 'd type', 'e type', 'f', 'g', 'h', 'i type', 'j', 'k', 'l type', 'n']);
  });
});
