import type { EventOf } from '../../events/event.js';
import type { Resource } from '../../events/kinds/container.js';
import { MOST, SOURCES, type ContainerReading, type CounterRow, type RawSample, type SourceName } from './raw-sample.js';

/**
 * What the samples say. A counter of refusals outlives its cause and falls back to zero with its container, so only its rises are spoken of:
 *
 *   unknown --first sight--> level --rise: spike, `edge`--> spiking --no rise for quietAfterMs: quiet--> level
 *   spiking --more rises: spike again, `standing`, after 1 s, 2 s, 4 s ... and then every reassertEveryMs--> spiking
 *   any --a counter is lower than before, the host was booted, the container was away for two samples--> first sight again
 *
 * A counter that starts anew is never taken for a rise. A container that goes away in the middle of a spike keeps the spike: when it comes back and is
 * calm, its quiet is said. What could not be read changes nothing: the next good sample is compared with the last good one.
 */
export type Finding =
  | { type: 'container.failcnt_spike'; assertion: 'edge' | 'standing'; data: EventOf<'container.failcnt_spike'>['data'] }
  | { type: 'container.failcnt_quiet'; assertion: 'edge'; data: EventOf<'container.failcnt_quiet'>['data'] }
  | { type: 'host.load_slope'; assertion: 'edge'; data: EventOf<'host.load_slope'>['data'] };

export interface Thresholds {
  host: string;
  /** While a counter keeps rising, this is said again at least this often. */
  reassertEveryMs: number;
  /** No rise for so long ends a spike. */
  quietAfterMs: number;
}

/** One spike that has been said and has not ended. */
export interface Spike {
  lastRiseMs: number;
  lastSaidMs: number;
  /** Rises since then, not said yet. */
  unsaid: number;
  /** The next word on it is not due before this long after the last. */
  gapMs: number;
}

/** What has to be remembered of a counter. The rest of a row is garbage as soon as it has been looked at, which keeps the agent's memory small. */
type Count = Pick<CounterRow, 'resource' | 'failcnt' | 'stallMicros'>;

interface Seen {
  source: SourceName;
  container: string;
  /** Null: what comes next is a first sight. */
  counts: readonly Count[] | null;
  readMs: number;
  /** Good samples of its source in a row in which it did not stand. */
  missed: number;
  spikes: ReadonlyMap<Resource, Spike>;
}

export interface DetectState {
  bootId: string | null;
  seen: ReadonlyMap<string, Seen>;
  loads: readonly { atMs: number; load1: number }[];
  loadSaidMs: number | null;
}

export const NOTHING_SEEN: DetectState = { bootId: null, seen: new Map(), loads: [], loadSaidMs: null };

/** At most one event a second about one counter of one container, and fewer the longer it lasts. */
const FIRST_GAP_MS = 1000;
/** One sample may miss a container (a file cut just between two of them); a second in a row, and it is gone. */
const GONE_AFTER_SAMPLES = 2;
/** A container that went away in a spike and never returns is forgotten after an hour. */
const FORGET_SPIKE_AFTER_MS = 3_600_000;
/** A tenth of the time spent waiting for memory counts as one refusal: waiting is how a cgroup without a hard limit says no. */
const STALL_SHARE = 0.1;
/** Load that rises by more than the host has cores, or 2 on small ones, within ten seconds, is running away. Said at most twice a minute. */
const LOAD_WINDOW_MS = 10_000;
const LOAD_RISE_AT_LEAST = 2;
const LOAD_SAID_EVERY_MS = 30_000;
/** The longest interval an event can name. */
const LONGEST_SECONDS = 3600;

/** What the sample adds to what was known. Pure: the same state and sample give the same findings, so a state that could not be told is simply kept. */
export function detect(before: DetectState, sample: RawSample, thresholds: Thresholds): { findings: Finding[]; state: DetectState } {
  const findings: Finding[] = [];
  const rebooted = before.bootId !== null && sample.bootId !== null && before.bootId !== sample.bootId;
  const seen = new Map<string, Seen>(before.seen);
  if (rebooted) for (const [key, was] of seen) seen.set(key, { ...was, counts: null });

  for (const source of SOURCES) {
    const table = sample.tables[source];
    if (table === undefined || table === null) continue;
    const present = new Set<string>();
    for (const reading of table) {
      const key = `${source} ${reading.container}`;
      present.add(key);
      const after = readContainer(seen.get(key), source, reading, sample.atMs, thresholds, findings);
      if (after !== null) seen.set(key, after);
    }
    for (const [key, was] of seen) if (was.source === source && !present.has(key)) missing(seen, key, was, sample.atMs);
  }

  const load = readLoad(rebooted ? NOTHING_SEEN : before, sample, thresholds, findings);
  return { findings, state: { bootId: sample.bootId ?? before.bootId, seen, ...load } };
}

/** Spikes that have been said and not ended, for keeping across a restart of the agent. */
export function openSpikes(state: DetectState): { source: SourceName; container: string; resource: Resource }[] {
  return [...state.seen.values()].flatMap(({ source, container, spikes }) => [...spikes.keys()].map((resource) => ({ source, container, resource })));
}

/** The state of an agent that said these spikes in an earlier life and has seen nothing since. */
export function resumeSpikes(spikes: ReturnType<typeof openSpikes>, nowMs: number): DetectState {
  const seen = new Map<string, Seen>();
  for (const { source, container, resource } of spikes) {
    const key = `${source} ${container}`;
    const was = seen.get(key) ?? { source, container, counts: null, readMs: nowMs, missed: 0, spikes: new Map() };
    seen.set(key, { ...was, spikes: new Map(was.spikes).set(resource, { lastRiseMs: nowMs, lastSaidMs: nowMs, unsaid: 0, gapMs: FIRST_GAP_MS }) });
  }
  return { ...NOTHING_SEEN, seen };
}

/** Null: nothing is known of it that was not known before. */
function readContainer(
  was: Seen | undefined,
  source: SourceName,
  { container, rows }: ContainerReading,
  now: number,
  thresholds: Thresholds,
  findings: Finding[],
): Seen | null {
  if (rows === null) return was === undefined ? null : { ...was, missed: 0 };
  const before = was?.counts ?? null;
  const spikes = was?.spikes ?? NO_SPIKES;
  if (before === null || fell(before, rows)) {
    // Whether a spike still lasts is not known before the new counters have been watched for a while.
    const watchedFromNow = new Map([...spikes].map(([resource, spike]) => [resource, { ...spike, lastRiseMs: now }]));
    return { source, container, counts: rows.map(countOf), readMs: now, missed: 0, spikes: watchedFromNow };
  }
  const sinceReadMs = now - was!.readMs;
  let after: Map<Resource, Spike> | null = null;
  for (const [i, row] of rows.entries()) {
    const rise = riseOf(earlier(before, row, i), row, sinceReadMs);
    const spike = spikes.get(row.resource);
    if (rise === 0 && spike === undefined) continue;
    after ??= new Map(spikes);
    const limit = { host: thresholds.host, container, resource: row.resource };
    const figures = { held: row.held, barrier: row.barrier, limit: row.limit };

    if (spike === undefined) {
      findings.push({ type: 'container.failcnt_spike', assertion: 'edge', data: { ...limit, delta: rise, intervalSeconds: seconds(sinceReadMs), ...figures } });
      after.set(row.resource, { lastRiseMs: now, lastSaidMs: now, unsaid: 0, gapMs: FIRST_GAP_MS });
      continue;
    }
    const unsaid = Math.min(MOST, spike.unsaid + rise);
    const lastRiseMs = rise > 0 ? now : spike.lastRiseMs;
    if (rise === 0 && now - lastRiseMs >= thresholds.quietAfterMs) {
      findings.push({
        type: 'container.failcnt_quiet',
        assertion: 'edge',
        data: { ...limit, quietSeconds: (now - lastRiseMs) / 1000, ...figures, ...(unsaid > 0 ? { delta: unsaid } : {}) },
      });
      after.delete(row.resource);
    } else if (rise > 0 && now - spike.lastSaidMs >= spike.gapMs) {
      // Only in the moment of a rise: told late, it would look like a new one to whoever has just seen it end. What is left over goes with the quiet.
      findings.push({
        type: 'container.failcnt_spike',
        assertion: 'standing',
        data: { ...limit, delta: unsaid, intervalSeconds: seconds(now - spike.lastSaidMs), ...figures },
      });
      after.set(row.resource, { lastRiseMs, lastSaidMs: now, unsaid: 0, gapMs: Math.min(spike.gapMs * 2, thresholds.reassertEveryMs) });
    } else {
      after.set(row.resource, { ...spike, lastRiseMs, unsaid });
    }
  }
  return { source, container, counts: same(before, rows) ? before : rows.map(countOf), readMs: now, missed: 0, spikes: after ?? spikes };
}

const NO_SPIKES: ReadonlyMap<Resource, Spike> = new Map();
const seconds = (ms: number): number => Math.min(LONGEST_SECONDS, Math.max(ms, 1) / 1000);

const countOf = ({ resource, failcnt, stallMicros }: CounterRow): Count =>
  stallMicros === undefined ? { resource, failcnt } : { resource, failcnt, stallMicros };

const same = (before: readonly Count[], rows: readonly CounterRow[]): boolean =>
  before.length === rows.length &&
  rows.every((row, i) => before[i]?.resource === row.resource && before[i]?.failcnt === row.failcnt && before[i]?.stallMicros === row.stallMicros);

/** The row of the same resource in the sample before; the kernel keeps their order. */
const earlier = (before: readonly Count[], row: CounterRow, i: number): Count | undefined =>
  before[i]?.resource === row.resource ? before[i] : before.find((r) => r.resource === row.resource);

/** One counter of it fell: it is another container by the same name, and all of its counters began anew. */
const fell = (before: readonly Count[], rows: readonly CounterRow[]): boolean =>
  rows.some((row, i) => {
    const was = earlier(before, row, i);
    return was !== undefined && (row.failcnt < was.failcnt || (row.stallMicros ?? 0) < (was.stallMicros ?? 0));
  });

function riseOf(was: Count | undefined, row: CounterRow, sinceMs: number): number {
  if (was === undefined) return 0;
  const refused = row.failcnt - was.failcnt;
  const stalled =
    was.stallMicros !== undefined &&
    row.stallMicros !== undefined &&
    row.stallMicros - was.stallMicros >= STALL_SHARE * sinceMs * 1000 &&
    row.stallMicros > was.stallMicros;
  return refused + (stalled ? 1 : 0);
}

function missing(seen: Map<string, Seen>, key: string, was: Seen, now: number): void {
  const missed = was.missed + 1;
  if (missed < GONE_AFTER_SAMPLES) seen.set(key, { ...was, missed });
  else if (was.spikes.size === 0 || now - was.readMs > FORGET_SPIKE_AFTER_MS) seen.delete(key);
  else seen.set(key, { ...was, counts: null, missed });
}

function readLoad(
  before: Pick<DetectState, 'loads' | 'loadSaidMs'>,
  sample: RawSample,
  { host }: Thresholds,
  findings: Finding[],
): Pick<DetectState, 'loads' | 'loadSaidMs'> {
  const { atMs: now, load1, cores } = sample;
  if (load1 === null) return { loads: before.loads, loadSaidMs: before.loadSaidMs };
  const earlierLoads = before.loads.filter((l) => now - l.atMs <= LOAD_WINDOW_MS);
  const loads = [...earlierLoads, { atMs: now, load1 }];
  const lowest = earlierLoads.reduce<{ atMs: number; load1: number } | null>((low, l) => (low === null || l.load1 <= low.load1 ? l : low), null);
  // Without the number of cores nobody can say whether a load is much.
  const runningAway = lowest !== null && cores !== null && load1 - lowest.load1 > Math.max(LOAD_RISE_AT_LEAST, cores);
  if (!runningAway || (before.loadSaidMs !== null && now - before.loadSaidMs < LOAD_SAID_EVERY_MS)) return { loads, loadSaidMs: before.loadSaidMs };
  findings.push({
    type: 'host.load_slope',
    assertion: 'edge',
    data: { host, load1, load1Before: lowest.load1, intervalSeconds: seconds(now - lowest.atMs), cores },
  });
  return { loads, loadSaidMs: now };
}
