import type { Context } from './context.js';
import { CliError, EXIT } from './exit-codes.js';

/** Whose name stands in the audit: that of --as, else the login name. It is a statement, not a proof: there is no sign-in yet. */
export function personArgument(as: string | undefined, { login }: Pick<Context, 'login'>): string {
  const person = (as ?? login).trim();
  if (!/^[\p{L}\p{N}][\p{L}\p{N} ._@'-]{0,79}$/u.test(person)) {
    throw new CliError(EXIT.usage, 'usage', "a person is named by at most 80 letters, digits, spaces and . _ @ ' -", 'say who: --as NAME');
  }
  return person;
}
