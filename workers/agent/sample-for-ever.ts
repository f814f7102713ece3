import { randomUUID } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import type { EventPublisher, PublisherLog } from '../../activities/event-publisher.js';
import { SpoolFull, SpoolWriteFailed } from '../../activities/spool.js';
import type { NightshiftEvent } from '../../events/event.js';
import { detect, openSpikes, type DetectState, type Finding, type Thresholds } from './detect.js';
import type { CounterSource, RawSample } from './raw-sample.js';
import { createSayOnce } from './say-once.js';
import type { SpikesFile } from './spikes-file.js';

export interface SamplingOptions {
  site: string;
  everyMs: number;
  thresholds: Thresholds;
  source: CounterSource;
  publisher: Pick<EventPublisher, 'publish'>;
  spikes: SpikesFile;
  startFrom: DetectState;
  log: PublisherLog;
  signal: AbortSignal;
  onSample: (outcome: { sample: RawSample | null; events: number; refused: boolean; tookMs: number }) => void;
}

/** Samples, compares, publishes; until `signal` aborts. What cannot be read is said once and tried again with the next sample. */
export async function sampleForEver(o: SamplingOptions): Promise<void> {
  const say = createSayOnce(o.log);
  let state = o.startFrom;
  let due = performance.now();
  while (!o.signal.aborted) {
    const began = performance.now();
    const sample = await readSample(o.source);
    say(sample.problems);
    let events = 0;
    let refused = false;
    if (sample.raw !== null) {
      const { findings, state: next } = detect(state, sample.raw, o.thresholds);
      try {
        // A spike that begins is noted before it is told, one that ends after: a crash in between says its end twice rather than never.
        await o.spikes.save([...openSpikes(state), ...openSpikes(next)]);
        if (findings.length > 0) await o.publisher.publish(findings.map((f) => toEvent(f, o.site, o.thresholds.host, next.bootId)));
        await o.spikes.save(openSpikes(next));
        events = findings.length;
        state = next;
        say([], 'spool');
      } catch (error) {
        // Not told, so not known: the state stays, and the next sample's findings include these.
        if (!(error instanceof SpoolFull || error instanceof SpoolWriteFailed)) throw error;
        refused = true;
        say([`spool: ${error.message}; ${findings.length} finding(s) wait for the next sample`], 'spool');
      }
    }
    o.onSample({ sample: sample.raw, events, refused, tookMs: performance.now() - began });

    // Late samples are left out, not made up for: two in a row would say nothing new.
    due = Math.max(due + o.everyMs, performance.now() + 1);
    await pause(due - performance.now(), o.signal);
  }
}

async function readSample(source: CounterSource): Promise<{ raw: RawSample | null; problems: readonly string[] }> {
  try {
    const raw = await source.sample();
    return { raw, problems: raw.problems };
  } catch (error) {
    return { raw: null, problems: [`sample: ${error instanceof Error ? error.message : String(error)}`] };
  }
}

/** A finding as an event: who says it, when, and of which life of the host. */
export function toEvent(finding: Finding, site: string, host: string, bootId: string | null): NightshiftEvent {
  return {
    specversion: '1.0',
    id: randomUUID(),
    source: `/${site}/${host}`,
    time: new Date().toISOString(),
    ...(bootId === null ? {} : { bootid: bootId }),
    ...finding,
  };
}

const pause = (ms: number, signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) {
      resolve();
      return;
    }
    const timer = setTimeout(done, ms);
    function done(): void {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    }
    signal.addEventListener('abort', done);
  });
