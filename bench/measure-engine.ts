import { randomUUID } from 'node:crypto';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { jetstream, jetstreamManager, type NatsConnection } from '../activities/nats.js';
import type { AuditLog, Stored } from '../activities/audit-log.js';
import { BRIDGE_CONSUMER } from '../events/streams.js';
import { eventSubject } from '../events/subjects.js';
import type { EventKind } from '../events/event.js';
import { inCheckout } from '../stack/root.js';
import { processOf, type StackFile } from '../stack/stack-file.js';
import { now } from './floor.js';
import { GAP_MS } from './measure-floor.js';

export interface EngineFigures {
  /** Event published to the record of the playbook's first step on the disk, ms. */
  firstStep: number[];
  /** Event published to the first read on the host begun, ms. */
  firstRead: number[];
  /** Event published to the claim of the first effect, ms; from drills. */
  firstEffect: number[];
  incidentsPerSecond: number;
  ingest: Ingest;
}

export interface Ingest {
  /** Events that lie in EVT, on the disk, until the engine has acknowledged the last of them: what the engine takes in. */
  perSecond: number;
  /** The same while they are being published, each acknowledged after its fsync, by one more process on the same cores. */
  whilePublishedPerSecond: number;
}

/**
 * The engine is measured from outside, by the times at which the audit stream received what it wrote. So the first step's figure contains the write
 * of its record (fsync), which the floor's figure does not: the comparison is on the floor's side.
 */
export async function measureEngine(
  nc: NatsConnection,
  audit: AuditLog,
  stack: StackFile,
  size: { latency: number; incidents: number; ingest: number; drills: number },
  say: (text: string) => void,
): Promise<EngineFigures> {
  const js = jetstream(nc);
  const seen = watchAudit(audit, await audit.lastSeq());
  const site = stack.site;
  const host = processOf(stack, 'agent').subject?.split('.')[2] ?? '';
  const publish = async (kind: EventKind, onHost: string, data: Record<string, unknown>): Promise<{ id: string; at: number }> => {
    const id = randomUUID();
    const at = now();
    const time = new Date().toISOString();
    const event = {
      specversion: '1.0',
      id,
      source: `/${site}/${onHost}`,
      type: kind,
      time,
      datacontenttype: 'application/json',
      data: { host: onHost, ...data },
    };
    await js.publish(eventSubject(site, onHost, kind), JSON.stringify(event), { msgID: id });
    return { id, at };
  };
  const spike = (container: number): ReturnType<typeof publish> =>
    publish('container.failcnt_spike', host, {
      container: String(container),
      resource: 'tcpsndbuf',
      delta: 100,
      intervalSeconds: 1,
      held: 2_700_000,
      barrier: 1_720_320,
      limit: 2_703_360,
    });
  const lockdown = (paper: number): ReturnType<typeof publish> =>
    publish('firewall.lockdown', `paper-${paper}`, { policy: 'drop', closedPorts: [24007], rulesetSha256: '0'.repeat(64) });

  // Hosts on paper: nothing is looked at and nothing done, so that an incident which stays open does not load the machine while the next is measured.
  const firstStep: number[] = [];
  for (let i = 0; i < size.latency + 10; i += 1) {
    await new Promise((resolve) => setTimeout(resolve, GAP_MS));
    const { id, at } = await lockdown(i);
    const step = await seen.first(await seen.opened(id), 'state');
    // The first ten warm everything up, as the floor's do.
    if (i >= 10) firstStep.push(receivedMs(step) - at);
  }
  say(`${size.incidents} incidents at once`);
  const began = now();
  const published = await Promise.all(Array.from({ length: size.incidents }, (_, i) => lockdown(size.latency + 10 + i)));
  const steps = await Promise.all(published.map(async ({ id }) => seen.first(await seen.opened(id), 'state')));
  const incidentsPerSecond = (size.incidents / (Math.max(...steps.map(receivedMs)) - began)) * 1000;

  say(`${size.ingest} events for an open or no incident`);
  // Half belong to an open incident, half to none.
  const ingest = await measureIngest(nc, site, size.ingest, async (i) => {
    await (i % 2 === 0 ? lockdown(0) : publish('gluster.heal_started', 'paper-1', { volume: 'gv0', pendingEntries: i }));
  });

  say('first reads on a host');
  const firstRead: number[] = [];
  for (let i = 0; i < 10; i += 1) {
    const { id, at } = await spike(10_000 + i);
    const look = await seen.first(await seen.opened(id), 'looked');
    if (i >= 2) firstRead.push(receivedMs(look) - (look.record.fact === 'looked' ? look.record.tookMs : 0) - at);
  }

  const firstEffect: number[] = [];
  for (let i = 0; i < size.drills; i += 1) {
    say(`drill ${i + 1} of ${size.drills}`);
    const after = await audit.lastSeq();
    await promisify(execFile)(process.execPath, [inCheckout('operator/cli/nightshift.mjs'), 'drill', 'run', 'relieve-container', '--dir', stack.dir]);
    const records = await audit.all({ afterSeq: after });
    const opened = records.find((s) => s.record.fact === 'opened');
    const intent = records.find((s) => s.record.fact === 'intent');
    if (opened?.record.fact === 'opened' && intent !== undefined) firstEffect.push(receivedMs(intent) - Date.parse(opened.record.trigger.time));
  }
  seen.stop();
  return { firstStep, firstRead, firstEffect, incidentsPerSecond, ingest };
}

const receivedMs = (stored: Stored): number => Date.parse(stored.receivedAt);

/** Follows the audit stream and answers questions about what has come, waiting for what has not. */
function watchAudit(
  audit: AuditLog,
  afterSeq: number,
): { opened(eventId: string): Promise<string>; first(incident: string, fact: string): Promise<Stored>; stop(): void } {
  const ended = new AbortController();
  const found = new Map<string, Stored>();
  const waiting = new Map<string, ((stored: Stored) => void)[]>();
  void (async () => {
    for await (const stored of audit.follow({ afterSeq, signal: ended.signal })) {
      const { record } = stored;
      const keys = 'incident' in record ? [`${record.incident} ${record.fact}`] : [];
      if (record.fact === 'opened') keys.push(`event ${record.trigger.id}`);
      for (const key of keys) {
        if (found.has(key)) continue;
        found.set(key, stored);
        for (const tell of waiting.get(key) ?? []) tell(stored);
        waiting.delete(key);
      }
    }
  })();
  const get = (key: string): Promise<Stored> => {
    const have = found.get(key);
    if (have !== undefined) return Promise.resolve(have);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`the audit shows no "${key}" within 60 s`)), 60_000);
      waiting.set(key, [...(waiting.get(key) ?? []), (stored) => (clearTimeout(timer), resolve(stored))]);
    });
  };
  return {
    opened: async (eventId) => {
      const { record } = await get(`event ${eventId}`);
      return 'incident' in record ? record.incident : '';
    },
    first: (incident, fact) => get(`${incident} ${fact}`),
    stop: () => ended.abort(),
  };
}

/** Publishes `n` events, 512 in flight, twice: once with the intake shut, to be taken in afterwards, and once with it open. */
async function measureIngest(nc: NatsConnection, site: string, n: number, publishOne: (i: number) => Promise<void>): Promise<Ingest> {
  const jsm = await jetstreamManager(nc, { checkAPI: false });
  const publishAll = async (): Promise<void> => {
    let next = 0;
    await Promise.all(
      Array.from({ length: 512 }, async () => {
        while (next < n) await publishOne(next++);
      }),
    );
  };
  const allTaken = async (): Promise<void> => {
    for (const began = now(); ; await new Promise((resolve) => setTimeout(resolve, 10))) {
      const info = await jsm.consumers.info('EVT', BRIDGE_CONSUMER);
      if (info.num_pending === 0 && info.num_ack_pending === 0) return;
      if (now() - began > 300_000) throw new Error(`after 300 s ${info.num_pending} of ${n} events still wait`);
    }
  };
  const timed = async (work: () => Promise<void>): Promise<number> => {
    const began = now();
    await work();
    return (n / (now() - began)) * 1000;
  };
  await allTaken();
  await nc.request(`ctl.${site}.intake.pause`, '', { timeout: 5_000 });
  await publishAll();
  const perSecond = await timed(async () => {
    await nc.request(`ctl.${site}.intake.resume`, '', { timeout: 5_000 });
    await allTaken();
  });
  return {
    perSecond,
    whilePublishedPerSecond: await timed(async () => {
      await publishAll();
      await allTaken();
    }),
  };
}
