import { inert } from './inert.js';

/** Data on stdout, messages on stderr. Everything that is not JSON must be inert when it gets here; messages are made so. */
export interface Output {
  line(text: string): void;
  /** A single thing, or a list of things with an `id` each. */
  json(value: unknown): void;
  /** One line of a stream of things. */
  ndjson(value: unknown): void;
  message(text: string): void;
}

export interface Sink {
  write(text: string): unknown;
}

export const createOutput = (stdout: Sink, stderr: Sink): Output => ({
  line: (text) => void stdout.write(`${text}\n`),
  json: (value) => void stdout.write(`${asciiJson(value, 2)}\n`),
  ndjson: (value) => void stdout.write(`${asciiJson(value)}\n`),
  message: (text) => void stderr.write(`${text.split('\n').map(inert).join('\n')}\n`),
});

/**
 * JSON that is inert on a terminal and still says exactly the same to a parser: JSON.stringify leaves bidi and C1 controls as they are,
 * so what `inert` would write out is written as JSON's own escape.
 */
export function asciiJson(value: unknown, indent?: number): string {
  const text = JSON.stringify(value, null, indent) ?? 'null';
  return text.replace(/[^\x20-\x7e\n]/gu, (char) =>
    inert(char) === char ? char : [...utf16(char)].map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join(''),
  );
}

function* utf16(char: string): Iterable<number> {
  for (let i = 0; i < char.length; i += 1) yield char.charCodeAt(i);
}

/** How a failure is said: one envelope for programs, two lines for people. */
export function failureText(failure: { code: string; message: string; hint?: string | undefined }, json: boolean): string {
  const { code, message, hint } = failure;
  if (json) return asciiJson({ error: { code, message, ...(hint === undefined ? {} : { hint }) } });
  return hint === undefined ? `nightshift: ${message}` : `nightshift: ${message}\n  ${hint}`;
}
