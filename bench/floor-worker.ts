import { fileURLToPath } from 'node:url';
import { bundleWorkflowCode, NativeConnection, Runtime, Worker, DefaultLogger } from '@temporalio/worker';
import { connectNats } from '../activities/nats.js';
import { now, type FloorArgs } from './floor.js';

export interface FloorActivities {
  begin(id: string): Promise<void>;
}

/** The floor's worker process: tells when the activity's first line runs, and does nothing. */
const args = JSON.parse(process.argv[2] ?? '') as FloorArgs;
Runtime.install({ logger: new DefaultLogger('WARN') });
const nc = await connectNats({ ...args.nats, name: 'floor-worker' });
const connection = await NativeConnection.connect({ address: args.temporal.address });
const bundle = await bundleWorkflowCode({ workflowsPath: fileURLToPath(new URL('./floor-workflow.js', import.meta.url)), logger: new DefaultLogger('WARN') });
const activities: FloorActivities = {
  begin: async (id) => {
    nc.publish('bench.begun', JSON.stringify({ id, at: now() }));
  },
};
const worker = await Worker.create({ connection, namespace: args.temporal.namespace, taskQueue: 'floor', workflowBundle: bundle, activities });
process.once('SIGTERM', () => worker.shutdown());
process.stdout.write('ready\n');
await worker.run();
await nc.drain();
await connection.close();
