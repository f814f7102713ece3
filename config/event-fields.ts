import { z } from 'zod';
import { event, type EventKind } from '../events/event.js';

/** What a condition can read: a tree of typed fields, derived from a kind's schema so that nobody writes it twice. */
export type Field =
  | { type: 'string'; values?: readonly string[] }
  | { type: 'int' | 'double' | 'bool' }
  | { type: 'list'; of: Field }
  | { type: 'map'; fields: Readonly<Record<string, Field>>; optional: ReadonlySet<string> };
export type Fields = Extract<Field, { type: 'map' }>;

/** The data of one kind of event. JSON's integers become CEL's `int`, other numbers `double`. */
export function fieldsOf(kind: EventKind): Fields {
  const schema = event.options.find((option) => option.shape.type.value === kind);
  if (schema === undefined) throw new RangeError(`no event kind ${kind}`);
  const field = fieldOf(z.toJSONSchema(schema.shape.data, { target: 'draft-7', io: 'output' }) as JsonSchema, `${kind} data`);
  if (field.type !== 'map') throw new TypeError(`the data of ${kind} is not an object`);
  return field;
}

/** The part of JSON Schema that event data uses. */
interface JsonSchema {
  type?: string;
  enum?: unknown[];
  const?: unknown;
  properties?: Record<string, JsonSchema>;
  required?: string[];
  items?: JsonSchema;
}

function fieldOf(schema: JsonSchema, where: string): Field {
  switch (schema.type) {
    case 'string':
      return schema.enum === undefined ? { type: 'string' } : { type: 'string', values: schema.enum.map(String) };
    case 'integer':
      return { type: 'int' };
    case 'number':
      return { type: 'double' };
    case 'boolean':
      return { type: 'bool' };
    case 'array':
      return { type: 'list', of: fieldOf(schema.items ?? {}, `${where} element`) };
    case 'object': {
      const properties = Object.entries(schema.properties ?? {});
      const required = new Set(schema.required ?? []);
      return {
        type: 'map',
        fields: Object.fromEntries(properties.map(([name, property]) => [name, fieldOf(property, `${where} ${name}`)])),
        optional: new Set(properties.map(([name]) => name).filter((name) => !required.has(name))),
      };
    }
    // Whoever adds a kind with another shape learns it from the first test that loads a rule for it.
    default:
      throw new TypeError(`${where}: conditions cannot read a ${JSON.stringify(schema.type ?? schema)}`);
  }
}

/** The field's type in CEL's words. */
export function celType(field: Field): string {
  return field.type === 'list' ? `list<${celType(field.of)}>` : field.type;
}

/** Plain data as CEL wants it: integers as bigint, or `event.delta >= 5` would compare a double with an int and `event.delta % 2` would throw. */
export function celValue(value: unknown, field: Field): unknown {
  switch (field.type) {
    case 'int':
      return typeof value === 'number' ? BigInt(value) : value;
    case 'list':
      return Array.isArray(value) ? value.map((item) => celValue(item, field.of)) : value;
    case 'map': {
      if (typeof value !== 'object' || value === null) return value;
      const data = value as Record<string, unknown>;
      const result: Record<string, unknown> = {};
      for (const [name, inner] of Object.entries(field.fields)) if (data[name] !== undefined) result[name] = celValue(data[name], inner);
      return result;
    }
    default:
      return value;
  }
}
