import type { Output } from '../output.js';

/** What every command is given: the global options, resolved once, and where to write. */
export interface Context {
  /** Directory of the stack. */
  dir: string;
  /** The checkout: where build/, docs and examples are. */
  root: string;
  json: boolean;
  utc: boolean;
  color: boolean;
  /** Width of the terminal; undefined when stdout is a pipe: then nothing is wrapped. */
  columns: number | undefined;
  /** `--timeout`, where it was given. */
  timeoutMs: number | undefined;
  out: Output;
  /** Aborts with Ctrl-C. */
  signal: AbortSignal;
  /** Whose name stands beside what is done, unless --as says otherwise. */
  login: string;
  now(): Date;
}

/** What the timeline needs of it. */
export const timelineOptions = ({ utc, color, columns }: Context): { utc: boolean; color: boolean; columns?: number } => ({
  utc,
  color,
  ...(columns === undefined ? {} : { columns }),
});
