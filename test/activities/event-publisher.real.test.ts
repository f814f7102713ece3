import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { InvalidEvent, NotAcknowledged, openEventPublisher, publishOnce, type EventPublisher } from '../../activities/event-publisher.js';
import { jetstream, jetstreamManager } from '../../activities/nats.js';
import { openSpool, type Spool } from '../../activities/spool.js';
import type { NightshiftEvent } from '../../events/event.js';
import { setIntake } from '../../stack/provision.js';
import { until } from '../until.js';
import { natsWithAgents, type NatsWithAgents } from '../workers/fixtures/nats-with-agents.js';
import { spikeEvent } from '../workers/fixtures/spike-event.js';

let nats: NatsWithAgents;
let dir: string;
let said: { level: string; fields: Record<string, unknown>; message: string }[];
const publishers: EventPublisher[] = [];

beforeAll(async () => {
  nats = await natsWithAgents();
});
afterAll(async () => {
  await nats.close();
});
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'nightshift-publisher-'));
  said = [];
});
afterEach(async () => {
  for (const publisher of publishers.splice(0)) await publisher.close(1_000);
  await rm(dir, { recursive: true, force: true });
});

const log = {
  info: (fields: object, message: string) => {
    said.push({ level: 'info', fields: { ...fields }, message });
  },
  warn: (fields: object, message: string) => {
    said.push({ level: 'warn', fields: { ...fields }, message });
  },
  error: (fields: object, message: string) => {
    said.push({ level: 'error', fields: { ...fields }, message });
  },
};
const spoolHere = (): Promise<Spool> =>
  openSpool({
    dir,
    maxBytes: 64 * 1024 * 1024,
    onProblem: (p) => {
      throw new Error(p.detail);
    },
  });
async function publisherHere(spool: Spool): Promise<EventPublisher> {
  const publisher = openEventPublisher({ nc: nats.agentConnection(), spool, log });
  publishers.push(publisher);
  return publisher;
}
const series = (name: string, n: number): NightshiftEvent[] => Array.from({ length: n }, (_, i) => spikeEvent(`${name}-${String(i).padStart(6, '0')}`));
const storedOf = async (name: string): Promise<string[]> => (await nats.storedIds()).filter((id) => id.startsWith(`${name}-`));

describe('an agent without any JetStream permission', () => {
  test('publishes through the service import and has its event acknowledged', async () => {
    const nc = await nats.agentConnection();
    await expect(jetstreamManager(nc, { timeout: 500 })).rejects.toThrow();
    const spool = await spoolHere();
    const publisher = await publisherHere(spool);
    await publisher.publish(series('plain', 3));
    await until(() => spool.status().pending === 0, { what: 'the spool is empty' });
    expect(await storedOf('plain')).toEqual(series('plain', 3).map((e) => e.id));
    expect(said.filter((s) => s.level !== 'info')).toEqual([]);
  });
});

describe('nothing is lost', () => {
  test('when the server is killed with 5,000 events on their way and comes back, each stands in the stream once', async () => {
    const spool = await spoolHere();
    const publisher = await publisherHere(spool);
    const events = series('restart', 5_000);
    const publishing = (async () => {
      for (let i = 0; i < events.length; i += 100) await publisher.publish(events.slice(i, i + 100));
    })();
    await until(() => publisher.status().acknowledged > 500, { what: 'some have left' });
    await nats.server.killAndStartAgain();
    await until(() => publisher.status().acknowledged > 2_000, { timeoutMs: 20_000, what: 'more have left' });
    await nats.server.killAndStartAgain();
    await publishing;
    await until(() => spool.status().pending === 0, { timeoutMs: 30_000, what: 'the spool is empty' });
    const stored = await storedOf('restart');
    expect(stored).toHaveLength(5_000);
    expect(new Set(stored)).toEqual(new Set(events.map((e) => e.id)));
    // An answer that was lost with the server is no stranger's use of our id.
    expect(said.filter((s) => s.fields['alarm'] !== undefined)).toEqual([]);
  });

  test('when the publishing process is killed with 5,000 events on their way, again and again, each that it promised stands in the stream once', async () => {
    const script = fileURLToPath(new URL('../../build/test/workers/fixtures/publish-many.js', import.meta.url));
    const total = 5_000;
    let promised = 0;
    let kills = 0;
    for (let from = 0; from < total;) {
      const child = spawn(process.execPath, [script, nats.server.url, nats.agentCredentials, dir, String(from), String(total - from)], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let here = 0;
      const exited = new Promise<void>((resolve) => {
        child.once('close', () => resolve());
      });
      let rest = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        const lines = (rest + text).split('\n');
        rest = lines.pop() ?? '';
        for (const line of lines) {
          const spooled = /^spooled (\d+)$/.exec(line)?.[1];
          if (spooled !== undefined) promised = Number(spooled) + 1;
        }
        here = promised - from;
        if (kills < 3 && here > 1_000) {
          kills += 1;
          child.kill('SIGKILL');
        }
      });
      await exited;
      from = Math.max(promised, from);
    }
    expect(kills).toBe(3);
    // The last one promised everything; whatever a kill left behind leaves with the next life.
    const spool = await spoolHere();
    await publisherHere(spool);
    await until(() => spool.status().pending === 0, { timeoutMs: 30_000, what: 'the spool is empty' });
    const stored = await storedOf('event');
    // A line on disk whose promise did not come through the pipe any more may be sent and published again, under the same id.
    expect(stored).toHaveLength(total);
    expect(new Set(stored).size).toBe(total);
  });

  test('while the stream is full everything is kept, said once, and leaves when there is room', async () => {
    const spool = await spoolHere();
    const publisher = await publisherHere(spool);
    await setIntake(nats.admin, false);
    try {
      await publisher.publish(series('full', 50));
      await until(() => publisher.status().failedAttempts >= 100, { what: 'it was tried again' });
      expect(spool.status().pending).toBe(50);
      expect(publisher.status().holdUp).toMatch(/JetStream error 10077/);
      expect(said.filter((s) => s.level === 'warn')).toHaveLength(1);
    } finally {
      await setIntake(nats.admin, true);
    }
    await until(() => spool.status().pending === 0, { timeoutMs: 20_000, what: 'the spool is empty' });
    expect((await storedOf('full')).sort()).toEqual(series('full', 50).map((e) => e.id));
    expect(said.at(-1)!.message).toBe('events leave again');
  });

  test('events published before the first connection wait on disk; those that an orderly end could not send leave in the next life', async () => {
    let connect!: () => void;
    const spool = await spoolHere();
    const early = openEventPublisher({
      nc: new Promise((resolve) => {
        connect = () => {
          resolve(nats.agentConnection());
        };
      }),
      spool,
      log,
    });
    await early.publish(series('early', 5));
    expect(await early.close(50)).toEqual({ left: 5 });
    await expect(early.publish(series('late', 1))).rejects.toThrow(/closed/);
    connect();
    const again = await spoolHere();
    await publisherHere(again);
    await until(() => again.status().pending === 0, { what: 'the spool is empty' });
    expect(await storedOf('early')).toHaveLength(5);
    expect(said.filter((s) => s.fields['alarm'] !== undefined)).toEqual([]);
  });

  test('an orderly end sends what there is', async () => {
    const publisher = openEventPublisher({ nc: nats.agentConnection(), spool: await spoolHere(), log });
    await publisher.publish(series('orderly', 300));
    expect(await publisher.close(10_000)).toEqual({ left: 0 });
    expect(await storedOf('orderly')).toHaveLength(300);
  });
});

describe('what is wrong is said', () => {
  test('a new event whose id the stream knows already raises an alarm: somebody suppresses our events', async () => {
    const stranger = jetstream(await nats.agentConnection());
    await stranger.publish('evt.lab.dauntless.container', '{"id":"stolen-000000"}', { msgID: 'stolen-000000' });
    const spool = await spoolHere();
    const publisher = await publisherHere(spool);
    await publisher.publish(series('stolen', 1));
    await until(() => spool.status().pending === 0, { what: 'the spool is empty' });
    expect(said.filter((s) => s.fields['alarm'] === 'duplicate-on-first-attempt')).toMatchObject([{ level: 'error', fields: { id: 'stolen-000000' } }]);
  });

  test('what is no event, or contradicts itself, never reaches the spool', async () => {
    const spool = await spoolHere();
    const publisher = await publisherHere(spool);
    const wrong: unknown[] = [
      { ...spikeEvent('wrong-0000'), data: { ...spikeEvent('wrong-0000').data, delta: -412 } },
      { ...spikeEvent('wrong-0001'), source: '/lab/undaunted' },
      { ...spikeEvent('wrong-0002'), source: '/lab/dauntless/more' },
      { ...spikeEvent('wrong-0003'), source: '/LAB.*/dauntless' },
      { ...spikeEvent('wrong-0004'), type: 'container.gossip' },
      spikeEvent('wrong 0005\r\nPUB x'),
    ];
    for (const event of wrong) await expect(publisher.publish([spikeEvent('right-0000'), event as NightshiftEvent])).rejects.toThrow();
    await expect(publisher.publish([wrong[0] as NightshiftEvent])).rejects.toBeInstanceOf(InvalidEvent);
    expect(spool.status().pending).toBe(0);
  });

  test('publishing once is acknowledged, knows a repeated id, and says so when the stream is full', async () => {
    const nc = await nats.agentConnection();
    const event = spikeEvent('once-000000');
    const first = await publishOnce(nc, event);
    expect(first).toMatchObject({ subject: 'evt.lab.dauntless.container', duplicate: false });
    expect(await publishOnce(nc, event)).toEqual({ ...first, duplicate: true });
    await setIntake(nats.admin, false);
    try {
      const refused = publishOnce(nc, spikeEvent('once-000001'), { deadlineMs: 700 });
      await expect(refused).rejects.toBeInstanceOf(NotAcknowledged);
      await expect(refused).rejects.toThrow(/10077.*same id/);
    } finally {
      await setIntake(nats.admin, true);
    }
  });
});
