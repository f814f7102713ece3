import { randomUUID } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { labConfig } from '../lab/config.js';
import { prepareLab } from '../lab/prepare.js';
import { describeStack } from './describe-stack.js';
import { provisionStreams } from './intake.js';
import { layoutOf, makeDirectories } from './layout.js';
import { makePlan } from './make-plan.js';
import { replaceFile } from './own-file.js';
import { DEFAULT_BASE_PORT, portsFrom } from './ports.js';
import { STOP_ORDER, childSpecs, type StackPlan } from './processes.js';
import { ensureNamespace } from './temporal.js';

/**
 * What the supervisor does before and between the starts of its processes, for docker-compose.yml, where Docker keeps them running. All containers share
 * one network namespace, so that addresses, ports and settings are those of `npm start`.
 */
export async function prepareCompose(dir: string): Promise<StackPlan> {
  const layout = layoutOf(dir);
  const ports = portsFrom(DEFAULT_BASE_PORT);
  await makeDirectories(layout, STOP_ORDER);
  const lab = await prepareLab({ dir: layout.lab, sshPort: ports.labSsh });
  return makePlan({
    layout,
    ports,
    lab,
    labConfig: labConfig(lab, { site: 'lab' }),
    configFile: null,
    mark: randomUUID(),
    env: {},
    listen: '0.0.0.0',
    servers: { natsServer: 'nats-server', temporal: 'temporal-server' },
    say: (line) => void process.stdout.write(`${line}\n`),
  });
}

/** Streams and namespace, once the servers answer; then stack.json, by which `npx nightshift --dir /stack` finds its way inside the containers. */
export async function provisionCompose(dir: string): Promise<void> {
  const plan = await prepareCompose(dir);
  const { ports, site, identities, layout } = plan;
  await provisionStreams({ servers: `127.0.0.1:${ports.nats}`, site, credentials: identities.credentials }, AbortSignal.timeout(120_000));
  for (let tries = 0; ; tries += 1) {
    try {
      await ensureNamespace(ports.temporalHttp);
      break;
    } catch (error) {
      if (tries >= 60) throw error;
      await pause(2_000);
    }
  }
  const specs = childSpecs(plan);
  const file = describeStack(
    plan,
    STOP_ORDER.toReversed().map((role) => ({ role, argv: specs[role].argv, current: null })),
    new Date().toISOString(),
  );
  await replaceFile(layout.stackFile, `${JSON.stringify(file, null, 2)}\n`);
}

const WORK: Record<string, (dir: string) => Promise<unknown>> = { prepare: prepareCompose, provision: provisionCompose };

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [what, dir] = process.argv.slice(2);
  const work = WORK[what ?? ''];
  if (work === undefined || dir === undefined) throw new Error('usage: node build/stack/compose.js prepare|provision DIR');
  await work(dir);
}
