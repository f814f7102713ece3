import { writeFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { configJsonSchema, modeline } from '../../../config/json-schema.js';
import { CliError, EXIT, type Exit } from '../exit-codes.js';
import type { Run } from '../run.js';
import type { Session } from '../session.js';

export function addConfigSchema(config: Command, run: Run): void {
  config
    .command('schema')
    .description('print the JSON Schema (draft-07) of nightshift.yaml, for editors')
    .option('--out <file>', 'write it there instead')
    .addHelpText('after', '\nExample:\n  nightshift config schema --out nightshift.schema.json')
    .action((options: { out?: string }) => run((session) => configSchema(session, options.out)));
}

async function configSchema({ context }: Session, file: string | undefined): Promise<Exit> {
  const schema = configJsonSchema();
  if (file === undefined) {
    context.out.json(schema);
    return EXIT.done;
  }
  try {
    await writeFile(file, `${JSON.stringify(schema, null, 2)}\n`);
  } catch (cause) {
    throw new CliError(EXIT.failed, 'not_written', `${file} cannot be written`, undefined, { cause });
  }
  if (context.json) context.out.json({ file });
  else context.out.message(`written to ${file}; the first line of your nightshift.yaml:\n${modeline(file)}`);
  return EXIT.done;
}
