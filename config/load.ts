import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, isAbsolute, resolve } from 'node:path';
import type { z } from 'zod';
import { compileRule, ConditionError, type CompiledRule } from './cel.js';
import { crossChecks } from './cross-checks.js';
import { didYouMean } from './did-you-mean.js';
import { pathText, type ConfigProblem } from './problem.js';
import { config as configSchema, rule as ruleSchema, type Config, type LoadedConfig } from './schema.js';
import { readYaml, type YamlDocument } from './yaml.js';

/** A configuration that can be taken into force: checked as a whole, conditions compiled, file paths absolute. */
export type ReadyConfig = LoadedConfig & { rules: CompiledRule[] };
/** `bytes`: the file as it was read, for whoever keeps it. */
export type LoadResult = { ok: true; loaded: ReadyConfig; bytes: Uint8Array } | { ok: false; problems: ConfigProblem[] };

const MAX_FILE_BYTES = 1024 * 1024;
/** More than a person reads; the count of the rest is said. */
const MAX_PROBLEMS = 200;

/** Reads and checks a nightshift.yaml. All problems are reported at once, in the order of the file. Never throws for what is in the file, or for the file not being there. */
export async function loadConfig(file: string): Promise<LoadResult> {
  const read = await readBounded(file);
  return 'problem' in read ? failure(file, [{ line: 1, col: 1, path: '', ...read.problem }]) : parseConfig(read.bytes, file);
}

/** The same for bytes at hand; `file` is what they are called and where relative paths in them begin. */
export function parseConfig(bytes: Uint8Array, file: string): LoadResult {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return failure(file, [{ line: 1, col: 1, path: '', message: 'is not UTF-8 text' }]);
  }
  const { document, problems: syntax } = readYaml(text);
  if (syntax.length > 0) return failure(file, syntax);
  if (document.data === null || document.data === undefined)
    return failure(file, [{ line: 1, col: 1, path: '', message: 'is empty', hint: 'begin with `version: 1`' }]);

  const parsed = configSchema.safeParse(document.data);
  const conditions = compileAll(document);
  const problems: Problem[] = [
    ...(parsed.success ? [] : parsed.error.issues.flatMap((issue) => explain(issue, document))),
    ...crossChecks(document.data).map(({ path, message, hint, key }) => ({
      ...(key === true ? document.keyAt(path) : document.valueAt(path)),
      path: pathText(path),
      message,
      ...(hint === undefined ? {} : { hint }),
    })),
    ...conditions.problems,
  ];
  if (!parsed.success || problems.length > 0) return failure(file, problems);
  return {
    ok: true,
    loaded: { config: withAbsolutePaths(parsed.data, dirname(resolve(file))), version: versionOf(bytes), file: resolve(file), rules: conditions.rules },
    bytes,
  };
}

/** The name of a configuration everywhere: the first 12 hex digits of SHA-256 over the file as it is. */
export const versionOf = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex').slice(0, 12);

type Problem = Omit<ConfigProblem, 'file'>;

function failure(file: string, problems: Problem[]): LoadResult {
  const sorted = problems.toSorted((a, b) => a.line - b.line || a.col - b.col).map((problem) => ({ file, ...problem }));
  const kept = sorted.slice(0, MAX_PROBLEMS);
  const last = sorted[MAX_PROBLEMS];
  if (last !== undefined) kept.push({ ...last, path: '', message: `and ${sorted.length - MAX_PROBLEMS} more problems from here on` });
  return { ok: false, problems: kept };
}

/** Opens without blocking (a FIFO would wait for ever) and reads at most one byte too many. */
async function readBounded(file: string): Promise<{ bytes: Uint8Array } | { problem: { message: string; hint?: string } }> {
  try {
    const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
    try {
      if (!(await handle.stat()).isFile()) return { problem: { message: 'is not a file' } };
      const buffer = Buffer.alloc(MAX_FILE_BYTES + 1);
      let length = 0;
      while (length < buffer.length) {
        const { bytesRead } = await handle.read(buffer, length, buffer.length - length, null);
        if (bytesRead === 0) break;
        length += bytesRead;
      }
      if (length > MAX_FILE_BYTES) return { problem: { message: 'is larger than 1 MiB' } };
      return { bytes: buffer.subarray(0, length) };
    } finally {
      await handle.close();
    }
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === 'ENOENT')
      return { problem: { message: 'there is no such file', hint: 'name it with --config, or start from config/nightshift.example.yaml' } };
    if (code === 'EACCES' || code === 'EPERM') return { problem: { message: `cannot be read by this user (${code})` } };
    return { problem: { message: `cannot be read: ${error instanceof Error ? error.message : String(error)}` } };
  }
}

/** What must be right in a rule before its condition can be checked. */
const conditioned = ruleSchema.pick({ on: true, when: true }).loose();

/** Compiles the condition of every rule, whatever else is wrong in the rule or in the file. */
function compileAll(document: YamlDocument): { rules: CompiledRule[]; problems: Problem[] } {
  const rules: CompiledRule[] = [];
  const problems: Problem[] = [];
  const raw: unknown = (document.data as { rules?: unknown }).rules;
  for (const [i, item] of (Array.isArray(raw) ? raw : []).entries()) {
    const part = conditioned.safeParse(item);
    if (!part.success) continue;
    const whole = ruleSchema.safeParse(item);
    try {
      const compiled = compileRule(
        whole.success ? whole.data : { name: 'unnamed', playbook: 'watch-domain', mode: 'shadow', on: part.data.on, when: part.data.when },
      );
      if (whole.success) rules.push(compiled);
    } catch (error) {
      if (!(error instanceof ConditionError)) throw error;
      const path = ['rules', i, 'when'];
      for (const { offset, message, hint } of error.problems)
        problems.push({ ...document.inside(path, offset), path: pathText(path), message, ...(hint === undefined ? {} : { hint }) });
    }
  }
  return { rules, problems };
}

/** zod's complaint with its place in the file, in words for the person who wrote it. */
function explain(issue: z.core.$ZodIssue, document: YamlDocument): Problem[] {
  const { path } = issue;
  const at = { ...document.valueAt(path), path: pathText(path) };
  switch (issue.code) {
    case 'unrecognized_keys':
      return issue.keys.map((key) => {
        const known = knownKeys(configSchema, path);
        const hint = didYouMean(key, known) ?? (known.length === 0 ? undefined : `known here: ${listed(known)}`);
        return { ...document.keyAt([...path, key]), path: pathText([...path, key]), message: 'unknown key', ...(hint === undefined ? {} : { hint }) };
      });
    case 'invalid_value': {
      const values = issue.values.map(String);
      const found = valueAt(document.data, path);
      if (found === undefined) return [{ ...at, message: `is missing: it is ${values.length === 1 ? values[0] : `one of ${listed(values)}`}` }];
      const hint = typeof found === 'string' ? didYouMean(found, values) : undefined;
      return [
        { ...at, message: `${shown(found)} is not ${values.length === 1 ? values[0] : `one of ${listed(values)}`}`, ...(hint === undefined ? {} : { hint }) },
      ];
    }
    case 'invalid_key': {
      const key = String(path.at(-1));
      const inner = issue.issues[0];
      const values = inner?.code === 'invalid_value' ? inner.values.map(String) : [];
      const hint = didYouMean(key, values);
      const message =
        values.length > 0 ? `${shown(key)} is not one of ${listed(values)}` : `${shown(key)} cannot be a name: ${plain(inner?.message ?? 'invalid')}`;
      return [{ ...document.keyAt(path), path: pathText(path), message, ...(hint === undefined ? {} : { hint }) }];
    }
    case 'invalid_type': {
      if (valueAt(document.data, path) === undefined) return [{ ...at, message: 'is missing' }];
      const written = document.written(path);
      // Of the schema, only durations are text that is turned into something else.
      if (issue.expected === 'string' && typeof valueAt(document.data, path) === 'number' && schemaAt(configSchema, path)?._zod.def.type === 'pipe') {
        return [{ ...at, message: `${written ?? 'the number'} has no unit`, hint: 'write it like 250ms, 90s, 15m, 3h or 7d' }];
      }
      const text = issue.expected === 'string' && written !== undefined && /^[\w.:+-]{1,80}$/.test(written);
      return [{ ...at, message: plain(issue.message), ...(text ? { hint: `if ${written} is meant as text, write "${written}"` } : {}) }];
    }
    case 'invalid_format':
      return [
        {
          ...at,
          message: `${shown(valueAt(document.data, path))} ${issue.message.startsWith('a ') ? 'is not' : 'cannot stand here:'} ${plain(issue.message)}`,
        },
      ];
    default:
      return [{ ...at, message: plain(issue.message) }];
  }
}

const plain = (message: string): string => message.replace(/^(Invalid input|Invalid option|Too (big|small)): /, '').replace(/^Invalid /, 'a valid ');
const listed = (words: readonly string[]): string => `${words.slice(0, 12).join(', ')}${words.length > 12 ? ` and ${words.length - 12} more` : ''}`;
const shown = (value: unknown): string => (JSON.stringify(value) ?? 'nothing').slice(0, 120);

function valueAt(data: unknown, path: readonly PropertyKey[]): unknown {
  let at = data;
  for (const part of path) at = typeof at === 'object' && at !== null && Object.hasOwn(at, part) ? (at as Record<PropertyKey, unknown>)[part] : undefined;
  return at;
}

/** The keys that the schema knows at `path`. */
function knownKeys(root: z.core.$ZodType, path: readonly PropertyKey[]): string[] {
  const at = schemaAt(root, path);
  if (at?._zod.def.type === 'object') return Object.keys((at as z.ZodObject).shape);
  // A record with a closed list of names, such as ceilings.
  const names = at?._zod.def.type === 'record' ? (at as z.ZodRecord)._zod.def.keyType._zod.values : undefined;
  return names === undefined ? [] : [...names].map(String);
}

function schemaAt(root: z.core.$ZodType, path: readonly PropertyKey[]): z.core.$ZodType | undefined {
  let at: z.core.$ZodType | undefined = unwrapped(root);
  for (const part of path) {
    if (at._zod.def.type === 'object') at = (at as z.ZodObject).shape[String(part)];
    else if (at._zod.def.type === 'record') at = (at as z.ZodRecord)._zod.def.valueType;
    else if (at._zod.def.type === 'array') at = (at as z.ZodArray)._zod.def.element;
    else return undefined;
    if (at === undefined) return undefined;
    at = unwrapped(at);
  }
  return at;
}

/** What an optional or defaulted schema is about. */
function unwrapped(schema: z.core.$ZodType): z.core.$ZodType {
  const { def } = schema._zod as unknown as { def: { type: string; innerType?: z.core.$ZodType } };
  return def.innerType !== undefined && ['optional', 'default', 'prefault', 'nullable'].includes(def.type) ? unwrapped(def.innerType) : schema;
}

/** Relative paths begin at the directory of the file, wherever the process was started. */
function withAbsolutePaths(config: Config, base: string): Config {
  const absolute = (file: string): string => (isAbsolute(file) ? file : resolve(base, file));
  const hosts = Object.entries(config.fleet.hosts).map(
    ([name, { ssh, helperConfigFile, ...host }]) =>
      [
        name,
        {
          ...host,
          ...(ssh === undefined ? {} : { ssh: { ...ssh, keyFile: absolute(ssh.keyFile), knownHostsFile: absolute(ssh.knownHostsFile) } }),
          ...(helperConfigFile === undefined ? {} : { helperConfigFile: absolute(helperConfigFile) }),
        },
      ] as const,
  );
  return { ...config, fleet: { ...config.fleet, hosts: Object.fromEntries(hosts) } };
}
