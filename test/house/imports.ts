import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, posix, relative } from 'node:path';

/** One import of a file. `type`: it leaves no trace in the program. */
export interface Import {
  from: string;
  specifier: string;
  type: boolean;
  line: number;
}

export const root = join(import.meta.dirname, '../..');
export const ROOMS = ['events', 'workflows', 'activities', 'workers', 'operator', 'config', 'lab', 'stack', 'bench'] as const;

/** The source files below some directories of the project, as paths from its root. */
export function sourceFiles(directories: readonly string[]): string[] {
  const below = (directory: string): string[] =>
    readdirSync(join(root, directory)).flatMap((name) => {
      const path = posix.join(directory, name);
      if (['node_modules', 'build', '.nightshift', '.cache'].includes(name)) return [];
      return statSync(join(root, path)).isDirectory() ? below(path) : /\.(ts|mts|mjs|js)$/.test(name) ? [path] : [];
    });
  return directories.flatMap((directory) => below(directory)).toSorted();
}

export const importsOf = (file: string): Import[] => importsIn(readFileSync(join(root, file), 'utf8'), file);

/**
 * Every static import, re-export and dynamic import in a source text. `import { type X }` counts as a value: with verbatimModuleSyntax the
 * import itself stays. Comments and texts are blanked out first; what stands in a template is not looked at.
 */
export function importsIn(source: string, from: string): Import[] {
  const code = withoutComments(source);
  const found: Import[] = [];
  const lineOf = (index: number): number => code.slice(0, index).split('\n').length;
  const add = (match: RegExpMatchArray, specifier: string | undefined, type: boolean): void => {
    if (specifier !== undefined) found.push({ from, specifier, type, line: lineOf(match.index ?? 0) });
  };
  for (const match of code.matchAll(/^[ \t]*(?:import|export)(\s+type\b(?!\s*,|\s+from\b))?\s*(?:[\w*${}\s,]+?)\bfrom\s*(['"])([^'"\n]+)\2/gm))
    add(match, match[3], match[1] !== undefined);
  for (const match of code.matchAll(/^[ \t]*import\s*(['"])([^'"\n]+)\1/gm)) add(match, match[2], false);
  for (const match of code.matchAll(/(typeof\s+)?\bimport\s*\(\s*(['"])([^'"\n]+)\2/g)) add(match, match[3], match[1] !== undefined);
  return found;
}

/** Keeps strings, drops comments, keeps line numbers. Good enough for code that the formatter has seen. */
function withoutComments(source: string): string {
  return source.replace(/(['"])(?:\\.|(?!\1)[^\\\n])*\1|`(?:\\.|[^`\\])*`|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g, (text) =>
    text.startsWith('/') || text.startsWith('`') ? text.replace(/[^\n]/g, ' ') : text,
  );
}

/** The project file that a relative import means, from the root; null for a package. */
export function target({ from, specifier }: Import): string | null {
  return specifier.startsWith('.') ? posix.normalize(posix.join(posix.dirname(from), specifier)).replace(/\.js$/, '.ts') : null;
}

export const roomOf = (file: string): string => relative('.', file).split('/')[0] ?? '';
