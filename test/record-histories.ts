import { mkdir, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { Connection, WorkflowClient } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { NAMESPACE } from '../workflows/messages.js';
import { SCENARIOS } from './workflows/scenarios.js';
import { openTheatre, type Scenario } from './workflows/theatre.js';

/**
 * Writes histories for the replay test. Run it after a change of a playbook that may be running somewhere, under a new name, and keep the old ones:
 *
 *   npm run build && node build/test/record-histories.js                                             the scenarios below
 *   node build/test/record-histories.js --address 127.0.0.1:7401 --workflow ID --name drill-1         one incident of a running stack
 */
const RECORDED = [
  'limit-not-needed',
  'limit-raised-and-kept',
  'ceiling-reached',
  'restarted-meanwhile',
  'storm-mid-way',
  'closed-mid-way',
  'spike-at-the-end',
  'domain-storm',
];
const FOLDER = `${process.cwd()}/test/histories`;

const write = async (name: string, history: Parameters<typeof historyToJSON>[0]): Promise<void> => {
  await mkdir(FOLDER, { recursive: true });
  await writeFile(`${FOLDER}/${name}.json`, `${JSON.stringify(JSON.parse(historyToJSON(history)))}\n`);
  process.stdout.write(`test/histories/${name}.json\n`);
};

const { values } = parseArgs({ options: { address: { type: 'string' }, workflow: { type: 'string' }, name: { type: 'string' } } });
if (values.address !== undefined && values.workflow !== undefined && values.name !== undefined) {
  const connection = await Connection.connect({ address: values.address });
  const client = new WorkflowClient({ connection, namespace: NAMESPACE });
  await write(values.name, await client.getHandle(values.workflow).fetchHistory());
  await connection.close();
} else {
  const theatre = await openTheatre();
  await Promise.all(
    RECORDED.map(async (name) => {
      const { play } = await theatre.play(SCENARIOS[name] as Scenario);
      await write(name, await play.handle.fetchHistory());
    }),
  );
  await theatre.close();
}
