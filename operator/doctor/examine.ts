import { openAuditLog } from '../../activities/audit-log.js';
import type { NatsConnection } from '../../activities/nats.js';
import { loadConfig } from '../../config/load.js';
import type { StackFile } from '../../stack/stack-file.js';
import type { TemporalSession } from '../connect.js';
import { fileFinding, fleetFindings, heldFindings, pagingFinding } from './configuration.js';
import { because, error, type Finding } from './finding.js';
import { diskFinding, nodeFinding } from './machine.js';
import { natsFindings } from './nats.js';
import { processFindings } from './processes.js';
import { temporalFindings } from './temporal.js';

/** What is examined; the parts that need a connection are asked for it, so that one that is down hides none of the others. */
export interface Patient {
  stack: StackFile;
  nats(): Promise<NatsConnection>;
  temporal(): Promise<TemporalSession>;
  timeoutMs: number;
}

/** Looks at everything that can be looked at from here, each once, and changes nothing. */
export async function examine({ stack, nats, temporal, timeoutMs }: Patient): Promise<Finding[]> {
  const file = await loadConfig(stack.config);
  const asked = await Promise.all([
    processFindings(stack, timeoutMs),
    unless('nats', 'NATS', async () => natsFindings(await nats(), timeoutMs)),
    unless('temporal', 'Temporal', async () => temporalFindings(await temporal(), timeoutMs)),
    unless('config.same', 'the audit', async () =>
      heldFindings(
        file,
        (await (await openAuditLog(await nats())).all({ facts: ['config'] })).map(({ record }) => record),
      ),
    ),
  ]);
  const fleet = file.ok ? fleetFindings(file.loaded.config) : [];
  return [nodeFinding(process.version), ...asked.flat(), fileFinding(file), ...fleet, await diskFinding(stack.dir), pagingFinding()];
}

async function unless(id: string, what: string, look: () => Promise<Finding[]>): Promise<Finding[]> {
  try {
    return await look();
  } catch (cause) {
    return [error(id, `${what}: ${because(cause)}`, 'is it running? see DIR/logs')];
  }
}
