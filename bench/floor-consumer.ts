import { Client, Connection } from '@temporalio/client';
import { connectNats, jetstream } from '../activities/nats.js';
import type { FloorArgs } from './floor.js';

/** The floor's consumer process: each message becomes a signalWithStart, then an ack. As many at once as its fetch brings: the naive way is not made slower than it is. */
const args = JSON.parse(process.argv[2] ?? '') as FloorArgs;
const nc = await connectNats({ ...args.nats, name: 'floor-consumer' });
const client = new Client({ connection: await Connection.connect({ address: args.temporal.address }), namespace: args.temporal.namespace });
const consumer = await jetstream(nc).consumers.get('FLOOR', 'floor');
const messages = await consumer.consume({ max_messages: 100 });
process.once('SIGTERM', () => messages.stop());
process.stdout.write('ready\n');
const handling = new Set<Promise<void>>();
for await (const msg of messages) {
  const { id } = msg.json<{ id: string }>();
  const one = client.workflow
    .signalWithStart('floor', { taskQueue: 'floor', workflowId: `floor-${id}`, args: [id], signal: 'event', signalArgs: [id] })
    .then(() => msg.ack());
  handling.add(one);
  void one.finally(() => handling.delete(one));
  if (handling.size >= 100) await Promise.race(handling);
}
await Promise.all(handling);
await nc.drain();
