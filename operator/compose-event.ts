import type { z } from 'zod';
import { event, type NightshiftEvent } from '../events/event.js';
import { eventSubject, isToken } from '../events/subjects.js';

/** An event ready to be published, or what is wrong with it, each line with the path inside the event. */
export type Composed = { event: NightshiftEvent; subject: string } | { problems: string[] };

/**
 * Checks what a person wrote exactly as the engine will, and fills in what a person does not want to make up: specversion, id, time and source. What is there
 * is never changed.
 */
export function composeEvent(draft: unknown, { site, id, now }: { site: string; id: string; now: Date }): Composed {
  if (typeof draft !== 'object' || draft === null || Array.isArray(draft)) return { problems: ['event: not an object'] };
  const given = draft as Record<string, unknown>;
  const host = (given['data'] as { host?: unknown } | undefined)?.host;
  const filled = { specversion: '1.0', id, time: now.toISOString(), ...(typeof host === 'string' ? { source: `/${site}/${host}` } : {}), ...given };
  const parsed = event.safeParse(filled);
  if (!parsed.success) return { problems: parsed.error.issues.map(problemLine) };

  const [, sourceSite, sourceHost, ...rest] = parsed.data.source.split('/');
  if (rest.length > 0 || sourceSite === undefined || sourceHost === undefined || !isToken(sourceHost))
    return { problems: [`source: ${JSON.stringify(parsed.data.source)} is not /<site>/<host>`] };
  if (sourceSite !== site) return { problems: [`source: names site ${sourceSite}, this stack is ${site}`] };
  const speaksFor = 'witness' in parsed.data.data ? [parsed.data.data.host, parsed.data.data.witness] : [parsed.data.data.host];
  if (!speaksFor.includes(sourceHost))
    return { problems: [`source: ${sourceHost} speaks about ${parsed.data.data.host}; a host speaks about itself, a witness for itself`] };
  return { event: parsed.data, subject: eventSubject(site, sourceHost, parsed.data.type) };
}

function problemLine(issue: z.core.$ZodIssue): string {
  return `${issue.path.map(String).join('.') || 'event'}: ${issue.message}`;
}
