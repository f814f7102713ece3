import { join } from 'node:path';
import { loadConfig } from '../config/load.js';
import { formatProblem } from '../config/problem.js';
import type { LabFacts } from '../lab/facts.js';
import type { Env, Servers } from './find-servers.js';
import type { Layout } from './layout.js';
import { natsConfig } from './nats-config.js';
import { natsIdentities } from './nats-identities.js';
import { replaceFile, writeUnlessEdited } from './own-file.js';
import type { StackPorts } from './ports.js';
import { settingsFiles, type StackPlan } from './processes.js';

/** The lab, as far as the supervisor knows it. */
export interface LabRoom {
  prepare(o: { dir: string; sshPort: number }): Promise<LabFacts>;
  /** The nightshift.yaml of a fleet that is this lab. */
  config(lab: LabFacts): string;
}

export interface PlanOptions {
  layout: Layout;
  ports: StackPorts;
  servers: Servers;
  lab: LabFacts;
  labConfig: string;
  /** The user's own nightshift.yaml, or null. */
  configFile: string | null;
  mark: string;
  env: Env;
  say: (line: string) => void;
  /** Where NATS listens: loopback, but for containers, whose published ports arrive from outside of theirs. */
  listen: '127.0.0.1' | '0.0.0.0';
}

/** Everything that can be known and written before anything runs: configuration, keys and credentials, what each process is told. */
export async function makePlan(o: PlanOptions): Promise<StackPlan> {
  const { layout, ports, lab } = o;
  const configFile = await settleConfig(o);
  const { site, hosts } = await readFleet(configFile);
  const identities = await natsIdentities({ dir: layout.keys, site, hosts: [...new Set([lab.host, ...hosts])] });
  const plan: StackPlan = { site, layout, ports, servers: o.servers, identities, lab, configFile, mark: o.mark, env: o.env };
  const config = natsConfig({ listen: `${o.listen}:${ports.nats}`, monitor: `${o.listen}:${ports.natsMonitor}`, storeDir: layout.data('nats'), identities });
  await replaceFile(join(layout.run, 'nats.conf'), config, 0o600);
  for (const settings of settingsFiles(plan)) await replaceFile(layout.settings(settings.role), `${JSON.stringify(settings, null, 2)}\n`);
  return plan;
}

async function settleConfig({ configFile, layout, labConfig, say }: PlanOptions): Promise<string> {
  if (configFile !== null) return configFile;
  const whose = await writeUnlessEdited(layout.config, labConfig, join(layout.run, 'nightshift.yaml.sha256'));
  if (whose === 'theirs') say(`${layout.config} has been edited: it is used as it is`);
  return layout.config;
}

async function readFleet(file: string): Promise<{ site: string; hosts: string[] }> {
  const result = await loadConfig(file);
  if (!result.ok) throw new BadConfiguration(`the configuration cannot be used:\n${result.problems.map(formatProblem).join('\n')}`);
  return { site: result.loaded.config.site, hosts: Object.keys(result.loaded.config.fleet.hosts) };
}

export class BadConfiguration extends Error {
  override readonly name = 'BadConfiguration';
}
