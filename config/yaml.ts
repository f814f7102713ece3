import { isAlias, isMap, isScalar, isSeq, Lexer, LineCounter, parseDocument, type Node } from 'yaml';
import { pathText, type ConfigProblem } from './problem.js';

/** A YAML file as plain data, with the place of everything in it. */
export interface YamlDocument {
  data: unknown;
  /** Where the value at `path` begins; the nearest thing above it when there is none. */
  valueAt(path: readonly PropertyKey[]): Place;
  /** Where the key that ends `path` begins. */
  keyAt(path: readonly PropertyKey[]): Place;
  /** A scalar as it was written, quotes included; undefined for anything else. */
  written(path: readonly PropertyKey[]): string | undefined;
  /** Where the character `offset` of the text at `path` stands, as nearly as can be said. */
  inside(path: readonly PropertyKey[], offset: number): Place;
}
export interface Place {
  line: number;
  col: number;
}
export type YamlProblem = Omit<ConfigProblem, 'file'>;

/**
 * Deeper nesting is nothing that a person wrote. The parser is recursive: half a million "[" end the whole process with a V8 abort
 * that nothing can catch, so the depth is counted on tokens before it is called.
 */
const MAX_DEPTH = 64;

/**
 * Reads one YAML 1.2 document, strictly. Refused beside what YAML forbids: more than one document, aliases (one line may stand for a gigabyte),
 * other YAML versions (where `no` is false), unknown tags, and keys that are not what they look like (`0204` is 204).
 */
export function readYaml(text: string): { document: YamlDocument; problems: YamlProblem[] } {
  const lines = new LineCounter();
  const place = (offset: number): Place => {
    const { line, col } = lines.linePos(Math.max(0, Math.min(offset, text.length)));
    return { line: Math.max(1, line), col: Math.max(1, col) };
  };
  const problems: YamlProblem[] = [];
  const places = new Map<string, { key: number; value: number; node: Node | null }>();
  const nearest = (path: readonly PropertyKey[]): { key: number; value: number; node: Node | null } | undefined => {
    for (let n = path.length; n >= 0; n -= 1) {
      const found = places.get(keyOf(path.slice(0, n)));
      if (found !== undefined) return found;
    }
    return undefined;
  };
  const document: YamlDocument = {
    data: undefined,
    valueAt: (path) => place(nearest(path)?.value ?? 0),
    keyAt: (path) => place(nearest(path)?.key ?? 0),
    written: (path) => {
      const node = places.get(keyOf(path))?.node;
      return isScalar(node) && node.range ? text.slice(node.range[0], node.range[1]) : undefined;
    },
    inside: (path, offset) => {
      const node = places.get(keyOf(path))?.node ?? null;
      return place(offsetInside(text, node, offset) ?? nearest(path)?.value ?? 0);
    },
  };

  const tooDeep = depthBeyond(text, MAX_DEPTH);
  if (tooDeep !== null) {
    lines.addNewLine(0);
    for (let i = text.indexOf('\n'); i >= 0 && i < tooDeep; i = text.indexOf('\n', i + 1)) lines.addNewLine(i + 1);
    problems.push({ ...place(tooDeep), path: '', message: `nested deeper than ${MAX_DEPTH} levels` });
    return { document, problems };
  }

  // uniqueKeys is ours (below): the parser's is quadratic, 46 s for half a megabyte of keys, and takes 204 and "204" for two.
  const doc = parseDocument(text, { lineCounter: lines, prettyErrors: false, version: '1.2', schema: 'core', uniqueKeys: false, stringKeys: false });
  for (const problem of [...doc.errors, ...doc.warnings])
    problems.push({ ...place(problem.pos[0]), path: '', message: explained(problem.code, problem.message) });
  if (doc.directives?.yaml.explicit === true && doc.directives.yaml.version !== '1.2') {
    problems.push({
      line: 1,
      col: 1,
      path: '',
      message: `YAML ${doc.directives.yaml.version} is not read: "no" and "12:30" mean something else there`,
      hint: 'leave the %YAML line out',
    });
  }

  /** Builds the plain value and remembers where each part of it stands. */
  const take = (node: Node | null, path: PropertyKey[], keyOffset: number): unknown => {
    const value = node?.range?.[0] ?? keyOffset;
    places.set(keyOf(path), { key: keyOffset, value, node });
    if (path.length > MAX_DEPTH) {
      problems.push({ ...place(value), path: pathText(path), message: `nested deeper than ${MAX_DEPTH} levels` });
      return null;
    }
    if (isAlias(node)) {
      problems.push({
        ...place(value),
        path: pathText(path),
        message: `"*${node.source}" is an alias, and aliases are not followed`,
        hint: 'write the value out',
      });
      return undefined;
    }
    if (isScalar(node)) return node.value;
    if (isSeq(node)) return node.items.map((item, i) => take(item as Node | null, [...path, i], (item as Node | null)?.range?.[0] ?? value));
    if (!isMap(node)) return null;
    const result: Record<string, unknown> = {};
    for (const pair of node.items) {
      const key = pair.key as Node | null;
      const at = key?.range?.[0] ?? value;
      const name = keyName(key, text);
      if ('problem' in name) {
        problems.push({ ...place(at), path: pathText(path), ...name.problem });
        continue;
      }
      if (Object.hasOwn(result, name.key)) {
        problems.push({ ...place(at), path: pathText([...path, name.key]), message: `${JSON.stringify(name.key)} stands here twice` });
        continue;
      }
      result[name.key] = take(pair.value as Node | null, [...path, name.key], at);
    }
    return result;
  };
  // What does not parse has no shape worth checking further: its errors would only repeat the first one.
  if (problems.length === 0) document.data = take(doc.contents, [], doc.contents?.range?.[0] ?? 0);
  return { document, problems };
}

const keyOf = (path: readonly PropertyKey[]): string => path.map(String).join('\u0000');

/** A key must be text, or a whole number written the way it is meant. */
function keyName(key: Node | null, text: string): { key: string } | { problem: { message: string; hint?: string } } {
  if (isAlias(key)) return { problem: { message: 'a key cannot be an alias', hint: 'write it out' } };
  if (!isScalar(key)) return { problem: { message: 'a key must be a word, not a list or a map' } };
  const value: unknown = key.value;
  const written = key.range ? text.slice(key.range[0], key.range[1]) : String(value);
  if (typeof value === 'string') {
    if (value === '__proto__') return { problem: { message: '"__proto__" cannot be a name' } };
    return { key: value };
  }
  if (typeof value === 'number' && String(value) === written) return { key: written };
  return {
    problem: {
      message: `the key ${written === '' ? 'is empty' : `${written} is not read as text`}`,
      ...(written === '' ? {} : { hint: `write "${written}"` }),
    },
  };
}

/** Offset at which flow collections or compact lists nest deeper than `max`; null when they do not. Linear, on tokens. */
function depthBeyond(text: string, max: number): number | null {
  let offset = 0;
  let flow = 0;
  let compact = 0;
  for (const token of new Lexer().lex(text)) {
    // The lexer marks a document's begin (\x02), a flow collection's end by error (\x18) and a scalar (\x1f) with one character that is not in the text.
    if (token === '\u0002' || token === '\u0018' || token === '\u001f') continue;
    if (token === '[' || token === '{') flow += 1;
    else if (token === ']' || token === '}') flow = Math.max(0, flow - 1);
    else if (token === '-' || token === '?') compact += 1;
    else if (token.includes('\n')) compact = 0;
    if (flow + compact > max) return offset;
    offset += token.length;
  }
  return null;
}

/** Where character `offset` of a scalar's value stands in the file: exact for plain and quoted text on one line and for `|` blocks, else null. */
function offsetInside(text: string, node: Node | null, offset: number): number | null {
  if (!isScalar(node) || !node.range || typeof node.value !== 'string') return null;
  const [start, end] = node.range;
  const written = text.slice(start, end);
  const quote = written.startsWith('"') || written.startsWith("'") ? 1 : 0;
  if (written.slice(quote, written.length - quote) === node.value) return start + quote + offset;
  if (!written.startsWith('|')) return null;
  const before = node.value.slice(0, offset);
  const lineNumber = before.split('\n').length - 1;
  const column = offset - (before.lastIndexOf('\n') + 1);
  let lineStart = start + written.indexOf('\n') + 1;
  const indent = /^ */.exec(text.slice(lineStart))?.[0].length ?? 0;
  for (let i = 0; i < lineNumber; i += 1) lineStart = text.indexOf('\n', lineStart) + 1;
  return lineStart + indent + column;
}

/** The parser's words where ours help more. */
function explained(code: string, message: string): string {
  switch (code) {
    case 'TAB_AS_INDENT':
      return 'a tab cannot indent YAML: use spaces';
    case 'MULTIPLE_DOCS':
      return 'a second document begins here ("---"): one file holds one configuration';
    case 'BLOCK_AS_IMPLICIT_KEY':
      return 'a second ": " on one line: put text that contains a colon in quotes';
    default:
      return message.replace(/^[A-Z](?=[a-z])/, (c) => c.toLowerCase());
  }
}
