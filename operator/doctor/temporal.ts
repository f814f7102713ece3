import { NAMESPACE, QUEUES } from '../../workflows/messages.js';
import type { TemporalSession } from '../connect.js';
import { because, error, ok, type Finding } from './finding.js';

const WORKFLOWS = 1;
const ACTIVITIES = 2;
const POLLED = [
  { queue: QUEUES.workflows, kind: WORKFLOWS, by: 'engine' },
  { queue: QUEUES.looks, kind: ACTIVITIES, by: 'effector' },
  { queue: QUEUES.effects, kind: ACTIVITIES, by: 'effector' },
] as const;

/** Whether somebody works on each queue: a workflow without a worker waits in silence. */
export async function temporalFindings({ connection }: TemporalSession, timeoutMs: number): Promise<Finding[]> {
  const findings = [ok('temporal', 'Temporal answers')];
  for (const { queue, kind, by } of POLLED) {
    const id = `queue.${queue}`;
    try {
      const { pollers } = await connection.withDeadline(Date.now() + timeoutMs, () =>
        connection.workflowService.describeTaskQueue({ namespace: NAMESPACE, taskQueue: { name: queue }, taskQueueType: kind }),
      );
      const n = pollers?.length ?? 0;
      findings.push(
        n > 0
          ? ok(id, `queue ${queue}: ${n} ${n === 1 ? 'worker' : 'workers'}`)
          : error(id, `queue ${queue}: nobody works on it`, `the ${by} should: see its log`),
      );
    } catch (cause) {
      findings.push(error(id, `queue ${queue}: ${because(cause)}`));
    }
  }
  return findings;
}
