import type { ChildRole, StackPlan } from './processes.js';
import type { ProcessId } from './process-table.js';
import { inboxPrefixOf } from './nats-permissions.js';
import type { StackFile, StackProcess } from './stack-file.js';

/** A role's process as far as we know it: null where something else runs it, or while it is down. */
export interface Described {
  role: ChildRole;
  argv: readonly string[];
  current: ProcessId | null;
}

/** What stands in stack.json. */
export function describeStack({ site, layout, ports, identities, lab, configFile }: StackPlan, children: readonly Described[], startedAt: string): StackFile {
  const described = ({ role, argv, current }: Described): StackProcess => {
    const running = current === null ? {} : { pid: current.pid, startTicks: current.startTicks };
    const base = { role, ...running, command: [...argv] };
    switch (role) {
      case 'nats':
        return { ...base, ports: { client: ports.nats, health: ports.natsMonitor } };
      case 'temporal':
        return { ...base, ports: { client: ports.temporal, ui: ports.temporalUi, http: ports.temporalHttp, metrics: ports.temporalMetrics } };
      case 'agent':
        return {
          ...base,
          ports: { client: ports.agent, health: ports.agent },
          ...credentials(identities.agentCredentials[lab.host]),
          subject: `evt.${site}.${lab.host}`,
          inbox: inboxPrefixOf(lab.host),
        };
      case 'lab':
        return {
          ...base,
          ports: { client: lab.transport === 'ssh' ? ports.labSsh : ports.lab, health: ports.lab },
          ...credentials(identities.credentials.lab),
        };
      default:
        return { ...base, ports: { client: ports[role], health: ports[role] }, ...credentials(identities.credentials[role]) };
    }
  };
  return {
    version: 1,
    site,
    dir: layout.dir,
    config: configFile,
    startedAt,
    processes: [...children.map(described), { role: 'operator', ports: {}, credentials: identities.credentials.operator }],
  };
}

const credentials = (path: string | undefined) => (path === undefined ? {} : { credentials: path });
