import type { Child } from './children.js';
import type { StackPlan } from './processes.js';
import { inboxPrefixOf } from './nats-permissions.js';
import type { StackFile, StackProcess } from './stack-file.js';

/** What stands in stack.json. */
export function describeStack({ site, layout, ports, identities, lab, configFile }: StackPlan, children: readonly Child[], startedAt: string): StackFile {
  const described = (child: Child): StackProcess => {
    const { role, argv } = child.spec;
    const running = child.current === null ? {} : { pid: child.current.pid, startTicks: child.current.startTicks };
    const base = { role, ...running, command: [...argv] };
    switch (role) {
      case 'nats':
        return { ...base, ports: { client: ports.nats, health: ports.natsMonitor } };
      case 'temporal':
        return { ...base, ports: { client: ports.temporal, ui: ports.temporalUi, http: ports.temporalHttp, metrics: ports.temporalMetrics } };
      case 'agent':
        return {
          ...base, ports: { client: ports.agent, health: ports.agent }, ...credentials(identities.agentCredentials[lab.host]),
          subject: `evt.${site}.${lab.host}`, inbox: inboxPrefixOf(lab.host),
        };
      case 'lab':
        return { ...base, ports: { client: lab.transport === 'ssh' ? ports.labSsh : ports.lab, health: ports.lab }, ...credentials(identities.credentials.lab) };
      default:
        return { ...base, ports: { client: ports[role], health: ports[role] }, ...credentials(identities.credentials[role]) };
    }
  };
  return {
    version: 1, site, dir: layout.dir, config: configFile, startedAt,
    processes: [...children.map(described), { role: 'operator', ports: {}, credentials: identities.credentials.operator }],
  };
}

const credentials = (path: string | undefined) => (path === undefined ? {} : { credentials: path });
