import { join } from 'node:path';
import type { LabFacts } from '../lab/facts.js';
import { STACK_MARK } from './adopt.js';
import { isHealthy } from './answers.js';
import type { ChildSpec } from './children.js';
import type { Env, Servers } from './find-servers.js';
import type { Layout } from './layout.js';
import type { NatsIdentities } from './nats-identities.js';
import { inboxPrefixOf } from './nats-permissions.js';
import { AGENT_NODE_FLAGS } from './node-flags.js';
import type { StackPorts } from './ports.js';
import { inCheckout } from './root.js';
import type { Settings } from './settings.js';
import { NAMESPACE, temporalArgv, temporalServes } from './temporal.js';

/** Everything that the processes of one stack are made of. */
export interface StackPlan {
  site: string;
  layout: Layout;
  ports: StackPorts;
  servers: Servers;
  identities: NatsIdentities;
  lab: LabFacts;
  configFile: string;
  /** Marks every process of this stack. */
  mark: string;
  env: Env;
}
export type ChildRole = ChildSpec['role'];

/** Whoever depends on others comes first: this is the order in which they are stopped, so that nothing is said to nobody. */
export const STOP_ORDER: readonly ChildRole[] = ['agent', 'lab', 'engine', 'effector', 'temporal', 'nats'];
const OURS = ['engine', 'effector', 'lab', 'agent'] as const;

/** The settings file of each of our own processes. */
export function settingsFiles({ site, layout, ports, identities, lab, configFile }: StackPlan): Settings[] {
  const common = (role: (typeof OURS)[number], credentialsFile: string | undefined, inboxPrefix: string) => ({
    site,
    dir: layout.dir,
    dataDir: layout.data(role),
    healthPort: ports[role],
    logLevel: 'info' as const,
    nats: { servers: `127.0.0.1:${ports.nats}`, inboxPrefix, ...(credentialsFile === undefined ? {} : { credentialsFile }) },
  });
  const core = (role: 'engine' | 'effector' | 'lab') => common(role, identities.credentials[role], inboxPrefixOf(role));
  const temporal = { address: `127.0.0.1:${ports.temporal}`, namespace: NAMESPACE };
  return [
    { role: 'engine', ...core('engine'), temporal, configFile, bundleFile: inCheckout('build', 'workflow-bundle.js') },
    { role: 'effector', ...core('effector'), temporal, configFile, helperFile: inCheckout('activities', 'far-side', 'nightshift-helper') },
    { role: 'lab', ...core('lab'), host: lab.host, sshPort: ports.labSsh, labDir: lab.labDir },
    {
      role: 'agent',
      ...common('agent', identities.agentCredentials[lab.host], inboxPrefixOf(lab.host)),
      host: lab.host,
      sources: lab.agentSources,
      sampleEveryMs: 1000,
      reassertEveryMs: 60_000,
      quietAfterMs: 10_000,
      spoolMaxBytes: 64 * 1024 * 1024,
    },
  ];
}

/** What a child may know of the environment that we were started in. Credentials that happen to lie there are not its business. */
const HANDED_ON = ['PATH', 'HOME', 'USER', 'LOGNAME', 'SHELL', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR', 'XDG_CACHE_HOME', 'XDG_RUNTIME_DIR'];

export function childSpecs(plan: StackPlan): Record<ChildRole, ChildSpec> {
  const { layout, ports, servers } = plan;
  const env = { ...Object.fromEntries(HANDED_ON.flatMap((name) => (plan.env[name] === undefined ? [] : [[name, plan.env[name]]]))), [STACK_MARK]: plan.mark };
  const spec = (role: ChildRole, argv: [string, ...string[]], serves: () => Promise<boolean>, graceMs: number): ChildSpec => ({
    role,
    argv,
    env,
    logFile: layout.log(role),
    serves,
    graceMs,
    familyDiesToo: role === 'lab',
  });
  const ours = (role: (typeof OURS)[number], entry: string[], graceMs: number, nodeFlags: readonly string[] = []): ChildSpec =>
    spec(role, [process.execPath, ...nodeFlags, inCheckout('build', ...entry), '--settings', layout.settings(role)], () => isHealthy(ports[role]), graceMs);
  return {
    nats: spec('nats', [servers.natsServer, '--config', join(layout.run, 'nats.conf')], () => isHealthy(ports.natsMonitor), 10_000),
    temporal: spec(
      'temporal',
      temporalArgv(servers.temporal, join(layout.data('temporal'), 'temporal.db'), ports),
      () => temporalServes(ports.temporalHttp),
      15_000,
    ),
    engine: ours('engine', ['workers', 'engine', 'main.js'], 15_000),
    // As long as the longest act on a host may take to come to a state that can be recorded.
    effector: ours('effector', ['workers', 'effector', 'main.js'], 30_000),
    lab: ours('lab', ['lab', 'main.js'], 15_000),
    agent: ours('agent', ['workers', 'agent', 'main.js'], 10_000, AGENT_NODE_FLAGS),
  };
}
