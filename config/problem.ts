/** One thing that is wrong in a configuration file: where, what, and often the cure. */
export interface ConfigProblem {
  file: string;
  /** From 1. */
  line: number;
  /** From 1. */
  col: number;
  /** Where in the document, as in `fleet.hosts.dauntless.domains[0]`; empty for the file as a whole. */
  path: string;
  message: string;
  /** What would cure it, such as `did you mean "rack-1"?`. */
  hint?: string;
}

/** `file:line:col path: message, hint`: one line, whatever the file holds. */
export function formatProblem(p: ConfigProblem): string {
  const where = p.path === '' ? '' : ` ${p.path}:`;
  const hint = p.hint === undefined ? '' : `, ${p.hint}`;
  return inert(`${p.file}:${p.line}:${p.col}${where} ${p.message}${hint}`);
}

/** A path inside the document as people write it. Keys that are not plain words are quoted. */
export function pathText(path: readonly PropertyKey[]): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else if (/^[\w-]+$/.test(String(part))) text += text === '' ? String(part) : `.${String(part)}`;
    else text += `[${JSON.stringify(String(part).slice(0, 80))}]`;
  }
  return text;
}

/** Control characters and line separators become visible: what stands in a file must not be able to steer a terminal or fake a second line. */
const inert = (text: string): string =>
  text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`);
