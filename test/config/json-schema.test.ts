import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { configJsonSchema, modeline } from '../../config/json-schema.js';
import { EVENT_KINDS } from '../../events/event.js';
import { PLAYBOOK_NAMES } from '../../events/playbooks.js';

interface Schema {
  [key: string]: unknown;
  type?: string;
  properties?: Record<string, Schema>;
  items?: Schema;
  additionalProperties?: Schema | boolean;
  required?: string[];
  enum?: string[];
  pattern?: string;
  $ref?: string;
}
const schema = configJsonSchema() as Schema;
const at = (...path: string[]): Schema =>
  path.reduce<Schema>((here, name) => (name === '*' ? ((here.items ?? here.additionalProperties) as Schema) : (here.properties?.[name] as Schema)), schema);

describe('the JSON Schema of nightshift.yaml', () => {
  test('is draft-07, which editors read', () => expect(schema['$schema']).toBe('http://json-schema.org/draft-07/schema#'));

  test('lets nobody write a key that does not exist, anywhere', () => {
    let objects = 0;
    const walk = (here: unknown): void => {
      if (typeof here !== 'object' || here === null) return;
      const node = here as Schema;
      if (node.properties !== undefined) {
        objects += 1;
        expect(node.additionalProperties, Object.keys(node.properties).join(' ')).toBe(false);
      }
      Object.values(node).forEach(walk);
    };
    walk(schema);
    expect(objects).toBeGreaterThan(8);
  });

  test('demands only what has no default', () => {
    expect(schema.required).toEqual(['version', 'site', 'fleet', 'rules']);
    expect(at('rules', '*').required).toEqual(['name', 'on', 'playbook']);
    expect(at('policy').required).toBeUndefined();
  });

  test('knows the kinds of events and the playbooks', () => {
    expect(at('rules', '*', 'on').enum).toEqual(EVENT_KINDS);
    expect(at('rules', '*', 'playbook').enum).toEqual(PLAYBOOK_NAMES);
  });

  test('takes durations as people write them, and shows the default', () => {
    const verifyFor = at('policy', 'relieveContainer', 'verifyFor');
    expect(verifyFor.type).toBe('string');
    expect(verifyFor['default']).toBe('2m');
    const pattern = new RegExp(verifyFor.pattern ?? '(?!)');
    expect(['250ms', '2m', '7d'].filter((text) => !pattern.test(text))).toEqual([]);
    expect(['2', '0s', '1.5h', '10 parsecs'].filter((text) => pattern.test(text))).toEqual([]);
  });

  test('is plain JSON', () => expect(JSON.parse(JSON.stringify(schema))).toEqual(schema));
});

test('the example begins with the line that makes editors use the schema', () => {
  const [first] = readFileSync(join(import.meta.dirname, '../../config/nightshift.example.yaml'), 'utf8').split('\n');
  expect(first).toBe(modeline('./nightshift.schema.json'));
});
