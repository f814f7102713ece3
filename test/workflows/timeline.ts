import type { AuditRecord } from '../../events/audit.js';

/**
 * What an operator would read, one fact a line, without clock times and without what was measured in seconds: those depend on the machine.
 * The order of lines, every decision and every other figure must be the same each time.
 */
export function timeline(records: readonly AuditRecord[]): string {
  return `${records
    .map((r) =>
      line(r)
        .replaceAll(/\b(for|in|within|every) \d+(\.\d+)? (ms|s|m|h)\b/g, '$1 T')
        .replaceAll(/refused \d+ times a second/g, 'refused N times a second')
        .replaceAll(/\bhost-\d+\b/g, 'h1'),
    )
    .join('\n')}\n`;
}

function line(r: AuditRecord): string {
  switch (r.fact) {
    case 'looked':
      return row('looked', r.step, r.summary);
    case 'decided':
      return row(r.decision, r.step, `${r.summary} (${r.reason})`);
    case 'intent':
      return row('intent', r.step, r.summary);
    case 'outcome':
      return row(r.state, r.step, r.reason === undefined ? r.summary : `${r.summary} (${r.reason})`);
    case 'state':
      return row(r.to, '', r.summary);
    case 'problem':
      return row('problem', '', r.status);
    case 'note':
      return row('note', '', `${r.person}: ${r.text}`);
    default:
      return row(r.fact, '', '');
  }
}

const row = (what: string, step: string, text: string): string => `${what.padEnd(10)} ${step.padEnd(16)} ${text}`.trimEnd();
