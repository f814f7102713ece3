import { CommanderError, type Command } from 'commander';
import { expect, test } from 'vitest';
import { createProgram } from '../../operator/cli/program.js';

const program = (out: (text: string) => void = () => {}): Command =>
  createProgram({ run: () => Promise.reject(new Error('help runs nothing')), version: '0', out, err: () => {}, columns: 80 });

/** Every command that does something, by its full name. */
function leaves(command: Command, path: string[] = []): string[] {
  return command.commands.length === 0 ? [path.join(' ')] : command.commands.flatMap((sub) => leaves(sub, [...path, sub.name()]));
}

async function helpOf(words: readonly string[]): Promise<string> {
  let text = '';
  const ended: unknown = await program((part) => void (text += part))
    .parseAsync([...words, '--help'], { from: 'user' })
    .catch((error: unknown) => error);
  expect(ended).toBeInstanceOf(CommanderError);
  return text;
}

const COMMANDS = leaves(program());

test('the commands are those that are documented', () => {
  expect(COMMANDS.join(', ')).toBe(
    'up, incident ls, incident show, incident watch, incident close, incident note, event publish, event tail, dlq ls, dlq show, dlq replay, ' +
      'drill ls, drill show, drill run, config validate, config schema, config reload, doctor',
  );
});

test.each(COMMANDS)('the help of %s has an example that is one of it', async (command) => {
  expect(await helpOf(command.split(' '))).toMatch(new RegExp(`\nExamples?:\n {2}nightshift ${command}`));
});

test.each(['incident', 'event', 'dlq', 'drill', 'config'])('the help of the group %s has an example', async (group) => {
  expect(await helpOf([group])).toMatch(new RegExp(`\nExample:\n {2}nightshift ${group} `));
});

test('the first help has the exit codes', async () => {
  expect(await helpOf([])).toMatch(/Exit codes:\n {2}0 {4}done/);
});
