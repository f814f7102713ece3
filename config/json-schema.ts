import { z } from 'zod';
import { config } from './schema.js';

/** The first line of a nightshift.yaml that makes editors complete and check it. */
export const modeline = (schemaFile: string): string => `# yaml-language-server: $schema=${schemaFile}`;

/**
 * JSON Schema (draft-07, which the YAML language server reads) of what people write. It knows the shape only: `nightshift config validate`
 * knows conditions, domains and floors too.
 */
export function configJsonSchema(): Record<string, unknown> {
  const schema = z.toJSONSchema(config, { target: 'draft-7', io: 'input' });
  return { ...schema, title: 'nightshift.yaml', description: 'Fleet, rules and policy of Nightshift.' };
}
