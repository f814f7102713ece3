import { Environment, EvaluationError, ParseError, TypeError as CelTypeError, type ASTNode } from '@marcbachmann/cel-js';
import { RE2JS } from 're2js';
import type { EventKind, NightshiftEvent } from '../events/event.js';
import { didYouMean } from './did-you-mean.js';
import { celType, celValue, fieldsOf, type Field, type Fields } from './event-fields.js';
import type { Config, Rule } from './schema.js';

/**
 * Conditions of rules, in CEL, checked against the event's schema when the file is loaded.
 *
 *     event.delta >= 5 && event.resource == "tcpsndbuf" && "rack-1" in host.domains
 *
 * What can be read: `event` (the data of the event, by the schema of the rule's kind), `host` (`name`, `domains`, `owners`, from the inventory), `site`.
 * Integers of the JSON are CEL's `int`, so they go with 5; all other numbers are `double`: they compare with 5, but reckon only with 5.0.
 * What can be called is the list FUNCTIONS. `matches` takes a literal RE2 pattern: linear in the text, compiled and refused at load.
 * Nothing in it can run for long: no loop inside a loop, no growing of text, and at most 200 parts.
 */
const FUNCTIONS: Readonly<Record<string, 'function' | 'method' | 'both'>> = {
  has: 'function',
  int: 'function',
  double: 'function',
  string: 'function',
  size: 'both',
  startsWith: 'method',
  endsWith: 'method',
  contains: 'method',
  matches: 'method',
  lowerAscii: 'method',
  upperAscii: 'method',
  exists: 'method',
  all: 'method',
  exists_one: 'method',
  filter: 'method',
};
const LOOPS: ReadonlySet<string> = new Set(['exists', 'all', 'exists_one', 'filter']);
const LIMITS = { maxAstNodes: 200, maxDepth: 24, maxListElements: 100, maxMapEntries: 0, maxCallArguments: 3 };

/** What the inventory says about the host of an event. */
export interface ConditionContext {
  site: string;
  host: { name: string; domains: readonly string[]; owners: readonly string[] };
}

/** What conditions may know of a host; null when the inventory has no such host. */
export function conditionContext({ site, fleet }: Config, name: string): ConditionContext | null {
  const host = Object.hasOwn(fleet.hosts, name) ? fleet.hosts[name] : undefined;
  return host === undefined ? null : { site, host: { name, domains: host.domains, owners: host.owners } };
}

/** An evaluation that fails counts as no match, and says why: one rule must not stop the others. */
export type Verdict = { matched: boolean } | { matched: false; error: string };

export interface CompiledRule {
  rule: Rule;
  /** False for events of other kinds. */
  matches(event: NightshiftEvent, context: ConditionContext): Verdict;
}

/** What is wrong with a condition; `offset` counts characters of its text. */
export interface ConditionProblem {
  offset: number;
  message: string;
  hint?: string;
}

export class ConditionError extends Error {
  override readonly name = 'ConditionError';
  constructor(
    readonly problems: readonly ConditionProblem[],
    readonly expression: string,
  ) {
    super(
      problems.map((p) => `${p.message}${p.hint === undefined ? '' : `, ${p.hint}`} (character ${p.offset + 1} of ${JSON.stringify(expression)})`).join('; '),
    );
  }
}

/** Throws ConditionError with everything that is wrong with the rule's condition. */
export function compileRule(rule: Rule): CompiledRule {
  if (rule.when === undefined) return { rule, matches: (event) => ({ matched: event.type === rule.on }) };
  const condition = compileCondition(rule.when, rule.on);
  return {
    rule,
    matches: (event, context) => (event.type === rule.on ? condition(event, context) : { matched: false }),
  };
}

const HOST: Fields = {
  type: 'map',
  fields: { name: { type: 'string' }, domains: { type: 'list', of: { type: 'string' } }, owners: { type: 'list', of: { type: 'string' } } },
  optional: new Set(),
};

function compileCondition(expression: string, kind: EventKind): (event: NightshiftEvent, context: ConditionContext) => Verdict {
  const scope: Record<string, Field> = { event: fieldsOf(kind), host: HOST, site: { type: 'string' } };
  const patterns = new Map<string, RE2JS>();
  const environment = new Environment({ limits: LIMITS });
  for (const [name, field] of Object.entries(scope)) {
    if (field.type === 'map') environment.registerVariable({ name, schema: celSchema(field) });
    else environment.registerVariable(name, celType(field));
  }
  // CEL's own `matches` is a JavaScript RegExp here, exponential in the text, and cannot be replaced: ours has another name of the same length.
  environment.registerFunction(`string.${OUR_MATCHES}(string): bool`, (text: string, pattern: string) => {
    const compiled = patterns.get(pattern);
    if (compiled === undefined) throw new EvaluationError(`no such pattern ${pattern}`);
    return compiled.test(text);
  });

  let tree: ASTNode;
  try {
    tree = environment.parse(expression).ast;
  } catch (error) {
    throw new ConditionError([celProblem(error, expression)], expression);
  }
  const { problems, calls } = inspect(tree, scope, patterns);
  if (problems.length > 0) throw new ConditionError(problems, expression);

  const program = environment.parse(withOurMatches(expression, calls));
  const checked = program.check();
  if (!checked.valid) throw new ConditionError([celProblem(checked.error, expression)], expression);
  if (checked.type !== 'bool')
    throw new ConditionError([{ offset: 0, message: `the condition is of type ${checked.type ?? 'unknown'}, it must be true or false` }], expression);

  return ({ data }, { site, host }) => {
    try {
      return { matched: program({ event: celValue(data, scope['event'] as Field), host, site }) === true };
    } catch (error) {
      return { matched: false, error: `${error instanceof EvaluationError ? error.summary : String(error)} in ${JSON.stringify(expression)}` };
    }
  };
}

interface CelSchema {
  [name: string]: string | CelSchema;
}
const celSchema = (map: Fields): CelSchema =>
  Object.fromEntries(Object.entries(map.fields).map(([name, field]) => [name, field.type === 'map' ? celSchema(field) : celType(field)]));

const OUR_MATCHES = 'rematch';

/** The same text with each call of `matches` renamed; positions stay. `calls` are offsets where a receiver ends. */
function withOurMatches(expression: string, calls: readonly number[]): string {
  let text = expression;
  for (const end of calls) {
    const at = /^[\s)]*\.\s*(?=matches\b)/.exec(text.slice(end));
    if (at === null) throw new ConditionError([{ offset: end, message: 'write .matches("pattern") directly after the text that it looks at' }], expression);
    const start = end + at[0].length;
    text = text.slice(0, start) + OUR_MATCHES + text.slice(start + OUR_MATCHES.length);
  }
  return text;
}

/**
 * Walks the tree before CEL's own check: that one stops at the first mistake, does not look inside has(), knows no enumerations and lets
 * everything be called.
 */
function inspect(tree: ASTNode, scope: Readonly<Record<string, Field>>, patterns: Map<string, RE2JS>): { problems: ConditionProblem[]; calls: number[] } {
  const problems: ConditionProblem[] = [];
  const calls: number[] = [];
  const guarded = new Set<string>();
  const optionalUses: { node: ASTNode; path: string }[] = [];
  const problem = (node: ASTNode, message: string, hint?: string): null => {
    problems.push({ offset: node.range.start, message, ...(hint === undefined ? {} : { hint }) });
    return null;
  };

  /** Returns the field that a node reads, null when it is something else. */
  const visit = (node: ASTNode, inLoop: boolean, locals: ReadonlyMap<string, Field | null>, inHas = false): Field | null => {
    const go = (child: ASTNode): Field | null => visit(child, inLoop, locals);
    switch (node.op) {
      case 'value':
        return null;
      case 'id': {
        const local = locals.get(node.args);
        if (local !== undefined) return local;
        const field = Object.hasOwn(scope, node.args) ? scope[node.args] : undefined;
        return (
          field ??
          problem(
            node,
            `there is no ${JSON.stringify(node.args)} here: a condition reads event, host and site`,
            didYouMean(node.args, [...Object.keys(scope), ...Object.keys(FUNCTIONS)]),
          )
        );
      }
      case '.': {
        const [left, name] = node.args;
        const on = go(left);
        if (on?.type !== 'map') return null;
        const field = Object.hasOwn(on.fields, name) ? on.fields[name] : undefined;
        const of = sourceOf(left);
        if (field === undefined)
          return problem(
            { ...node, range: { start: left.range.end + 1, end: node.range.end } } as ASTNode,
            `${of} has no field ${JSON.stringify(name)}: it has ${Object.keys(on.fields).join(', ')}`,
            didYouMean(name, Object.keys(on.fields)),
          );
        if (on.optional.has(name)) {
          if (inHas) guarded.add(`${of}.${name}`);
          else optionalUses.push({ node, path: `${of}.${name}` });
        }
        return field;
      }
      case '[]': {
        const on = go(node.args[0]);
        go(node.args[1]);
        if (on?.type === 'map') return problem(node, `${sourceOf(node.args[0])} is read by name`, `write ${sourceOf(node.args[0])}.field`);
        return on?.type === 'list' ? on.of : null;
      }
      case 'call': {
        const [name, args] = node.args;
        if (!callable(name, 'function'))
          return problem(node, `there is no function ${JSON.stringify(name)}: ${names('function')} can be called`, didYouMean(name, Object.keys(FUNCTIONS)));
        for (const arg of args) visit(arg, inLoop, locals, name === 'has');
        return null;
      }
      case 'rcall': {
        const [name, receiver, args] = node.args;
        const on = go(receiver);
        if (!callable(name, 'method'))
          return problem(
            node,
            `there is no function ${JSON.stringify(name)}: ${names('method')} can be called on a value`,
            didYouMean(name, Object.keys(FUNCTIONS)),
          );
        if (name === 'matches') takePattern(node, receiver, args);
        if (!LOOPS.has(name)) {
          for (const arg of args) go(arg);
          return null;
        }
        if (inLoop) return problem(node, `${name}() inside another loop could take for ever: one loop at a time`);
        const [variable, ...bodies] = args;
        if (variable?.op !== 'id') return problem(variable ?? node, `${name}() takes a name for the element first, as in event.list.${name}(x, x > 1)`);
        if (Object.hasOwn(scope, variable.args)) return problem(variable, `${JSON.stringify(variable.args)} is taken: name the element otherwise`);
        for (const body of bodies) visit(body, true, new Map([...locals, [variable.args, on?.type === 'list' ? on.of : null]]));
        return name === 'filter' ? on : null;
      }
      case '==':
      case '!=': {
        const [left, right] = node.args;
        checkValue(go(left), right);
        checkValue(go(right), left);
        return null;
      }
      case 'in': {
        const [left, right] = node.args;
        const field = go(left);
        go(right);
        if (right.op === 'list') for (const item of right.args) checkValue(field, item);
        return null;
      }
      case 'list':
        for (const item of node.args) go(item);
        return null;
      case 'map':
        return problem(node, 'a condition needs no maps');
      case '!_':
      case '-_':
        go(node.args);
        return null;
      case '?:':
        for (const part of node.args) go(part);
        return null;
      case '.?':
      case '[?]':
        return problem(node, 'optional access is not available', 'test with has() first');
      default:
        for (const part of node.args) go(part);
        return null;
    }
  };

  const checkValue = (field: Field | null, literal: ASTNode): void => {
    if (field?.type !== 'string' || field.values === undefined || literal.op !== 'value' || typeof literal.args !== 'string') return;
    if (!field.values.includes(literal.args))
      problem(
        literal,
        `${JSON.stringify(literal.args)} is none of the values that can be here: ${field.values.join(', ')}`,
        didYouMean(literal.args, field.values),
      );
  };

  const takePattern = (node: ASTNode, receiver: ASTNode, args: readonly ASTNode[]): void => {
    const [pattern] = args;
    if (pattern?.op !== 'value' || typeof pattern.args !== 'string' || args.length !== 1) {
      problem(node, 'matches() takes one pattern, written out in quotes');
      return;
    }
    try {
      patterns.set(pattern.args, RE2JS.compile(pattern.args));
      calls.push(receiver.range.end);
    } catch (error) {
      problem(
        pattern,
        `not an RE2 pattern: ${error instanceof Error ? error.message : String(error)}`,
        'RE2 has no look-ahead, look-behind or back-references',
      );
    }
  };

  visit(tree, false, new Map());
  for (const { node, path } of optionalUses) {
    if (!guarded.has(path)) problem(node, `${path} may be missing, and the condition would fail on it`, `write has(${path}) && ...`);
  }
  return { problems, calls };
}

const callable = (name: string, as: 'function' | 'method'): boolean => Object.hasOwn(FUNCTIONS, name) && (FUNCTIONS[name] === as || FUNCTIONS[name] === 'both');
const names = (as: 'function' | 'method'): string =>
  Object.keys(FUNCTIONS)
    .filter((name) => callable(name, as))
    .join(', ');
const sourceOf = (node: ASTNode): string => node.input.slice(node.range.start, node.range.end);

/** CEL's complaint in our words, with the cure for its two usual traps. */
function celProblem(error: unknown, expression: string): ConditionProblem {
  if (!(error instanceof ParseError) && !(error instanceof CelTypeError) && !(error instanceof EvaluationError)) {
    return { offset: 0, message: `cannot be read as CEL: ${error instanceof Error ? error.message : String(error)}` };
  }
  const message = error.summary.replaceAll(OUR_MATCHES, 'matches').replace(/^[A-Z](?=[a-z])/, (c) => c.toLowerCase());
  const offset = Math.min(error.range?.start ?? 0, expression.length);
  if (/\bint\b/.test(message) && /\bdouble\b/.test(message))
    return { offset, message, hint: 'int and double do not reckon with each other: write 2.0 beside a double, or double(x)' };
  if (/\bstring\b/.test(message) && /\b(int|double)\b/.test(message)) return { offset, message, hint: 'text stands in quotes, numbers do not' };
  if (message.startsWith('exceeded max')) return { offset, message: `the condition is too large to be read at night: ${message}`, hint: 'split the rule' };
  if (/EOF/.test(message)) return { offset, message: 'the condition ends too early' };
  return { offset, message };
}
