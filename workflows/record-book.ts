import type { AuditOf } from '../events/audit.js';
import { record } from './activities.js';
import type { IncidentInput } from './messages.js';

type Written = AuditOf<'looked' | 'decided' | 'state' | 'note' | 'problem'>;
type Without<R, K extends PropertyKey> = R extends unknown ? Omit<R, K> : never;
/** A record without what is the same in all records of an incident. */
export type Entry = Without<Written, 'v' | 'at' | 'site' | 'by' | 'incident'>;

export interface RecordBook {
  /** Notes a record, with the time it has now. It is written by the next `flush`: several at once where nothing lies between them. */
  add(entry: Entry): void;
  /** Resolves when everything added so far is in the audit. */
  flush(): Promise<void>;
  /** How many appends there were: it names them, and must be carried on. */
  appends(): number;
}

/** As long as a text in the audit may be. */
const clip = (text: string, max = 2000): string => (text.length > max ? `${text.slice(0, max - 3)}...` : text);

export function openRecordBook(input: IncidentInput, appendsBefore: number): RecordBook {
  let pending: Written[] = [];
  let appends = appendsBefore;
  let tail: Promise<void> = Promise.resolve();

  const append = async (): Promise<void> => {
    if (pending.length === 0) return;
    const records = pending;
    pending = [];
    appends += 1;
    await record(`${input.incident}.${appends}.${fingerprint(records)}`, records);
  };

  return {
    add(entry) {
      const worded = 'summary' in entry ? { ...entry, summary: clip(entry.summary) } : entry;
      pending.push({ v: 1, at: new Date().toISOString(), site: input.site, by: 'engine', incident: input.incident, ...worded } as Written);
    },
    flush() {
      tail = tail.then(append);
      return tail;
    },
    appends: () => appends,
  };
}

/**
 * Tells two appends of the same number apart by what they decide. The number alone would do as long as Temporal remembers; one that was put back to
 * yesterday may come to another answer at the same place, and that must not be taken for a repetition. Not by times and figures: those change when a worker
 * dies halfway, or when a signal that arrives in the last moment makes the server ask for the same task again.
 * FNV-1a, 32 bits: enough to tell apart, not meant to protect.
 */
function fingerprint(records: readonly Written[]): string {
  const text = JSON.stringify(
    records.map((r) => [
      r.fact,
      'step' in r ? r.step : '',
      'decision' in r ? [r.decision, r.reason] : '',
      'to' in r ? [r.from, r.to] : '',
      'status' in r ? r.status : '',
      'person' in r ? [r.person, r.text] : '',
    ]),
  );
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return (hash >>> 0).toString(36);
}
