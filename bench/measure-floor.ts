import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { jetstream, jetstreamManager, type NatsConnection } from '../activities/nats.js';
import { now, type FloorArgs } from './floor.js';

/** Between one event and the next, for both: what follows the first step of one is not to be the latency of the next. */
export const GAP_MS = 100;

export interface FloorFigures {
  latencies: number[];
  perSecond: number;
}

/** NATS, a consumer process, signalWithStart, a worker process, a workflow with one empty activity. Latency: published to the activity's first line. */
export async function measureFloor(nc: NatsConnection, args: FloorArgs, run: string, size: { latency: number; incidents: number }): Promise<FloorFigures> {
  const jsm = await jetstreamManager(nc, { checkAPI: false });
  const js = jetstream(nc);
  await jsm.streams.add({ name: 'FLOOR', subjects: ['floor.>'] });
  await jsm.consumers.add('FLOOR', { durable_name: 'floor', ack_policy: 'explicit', max_ack_pending: 1000 });
  const processes: ChildProcess[] = [];
  const begun = new Map<string, number>();
  const waiting = new Map<string, () => void>();
  const subscription = nc.subscribe('bench.begun', {
    callback: (_error, msg) => {
      const { id, at } = msg.json<{ id: string; at: number }>();
      begun.set(id, at);
      waiting.get(id)?.();
    },
  });
  const hasBegun = (id: string): Promise<void> => (begun.has(id) ? Promise.resolve() : new Promise((resolve) => waiting.set(id, resolve)));
  try {
    for (const file of ['floor-worker.js', 'floor-consumer.js']) processes.push(await ready(file, args));
    const publish = async (id: string): Promise<number> => {
      const at = now();
      await js.publish(`floor.${run}`, JSON.stringify({ id, padding: 'x'.repeat(380) }));
      return at;
    };
    const latencies: number[] = [];
    for (let i = -10; i < size.latency; i += 1) {
      const id = `${run}-l${i}`;
      await new Promise((resolve) => setTimeout(resolve, GAP_MS));
      const at = await publish(id);
      await hasBegun(id);
      // The first ten warm both processes up.
      if (i >= 0) latencies.push((begun.get(id) ?? Number.NaN) - at);
    }
    const began = now();
    const ids = Array.from({ length: size.incidents }, (_, i) => `${run}-t${i}`);
    await Promise.all(ids.map(publish));
    await Promise.all(ids.map(hasBegun));
    const last = Math.max(...ids.map((id) => begun.get(id) ?? Number.NaN));
    return { latencies, perSecond: (size.incidents / (last - began)) * 1000 };
  } finally {
    subscription.unsubscribe();
    for (const p of processes) {
      const ended = once(p, 'exit');
      p.kill('SIGTERM');
      await ended;
    }
    await jsm.streams.delete('FLOOR');
  }
}

async function ready(file: string, args: FloorArgs): Promise<ChildProcess> {
  const child = spawn(process.execPath, [fileURLToPath(new URL(file, import.meta.url)), JSON.stringify(args)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [first] = (await Promise.race([once(child.stdout, 'data'), once(child, 'exit')])) as [Buffer | number];
  if (!(first instanceof Buffer)) throw new Error(`${file} ended before it was ready (${String(first)})`);
  child.stdout.resume();
  return child;
}
