import { randomUUID } from 'node:crypto';
import { parseConfig, type ReadyConfig } from '../../config/load.js';
import type { AcceptedEvent } from '../../workflows/messages.js';

/** A spike of host `host`, as an agent says it. */
export const spike = (host: string, o: { id?: string; time?: string; site?: string; container?: string; delta?: number } = {}): Record<string, unknown> => ({
  specversion: '1.0',
  id: o.id ?? randomUUID(),
  source: `/${o.site ?? 'lab'}/${host}`,
  type: 'container.failcnt_spike',
  time: o.time ?? new Date().toISOString(),
  data: {
    host,
    container: o.container ?? '204',
    resource: 'tcpsndbuf',
    delta: o.delta ?? 412,
    intervalSeconds: 1,
    held: 4_000_000,
    barrier: 4_000_000,
    limit: 4_200_000,
  },
});
export const quiet = (host: string): Record<string, unknown> => ({
  specversion: '1.0',
  id: randomUUID(),
  source: `/lab/${host}`,
  type: 'container.failcnt_quiet',
  time: new Date().toISOString(),
  data: { host, container: '204', resource: 'tcpsndbuf', quietSeconds: 10, held: 1_000_000, barrier: 4_000_000, limit: 4_200_000 },
});
export const slope = (host: string): Record<string, unknown> => ({
  specversion: '1.0',
  id: randomUUID(),
  source: `/lab/${host}`,
  type: 'host.load_slope',
  time: new Date().toISOString(),
  data: { host, load1: 9, load1Before: 1, intervalSeconds: 60, cores: 2 },
});

export const accepted = (seq: number, host: string, kind: AcceptedEvent['kind'] = 'container.failcnt_spike'): AcceptedEvent => ({
  id: `event-${String(seq).padStart(6, '0')}`,
  type: kind,
  kind,
  host,
  time: '2026-11-20T17:00:00.000Z',
  seq,
  text: `${kind} on ${host}`,
  data: { host, container: '204', resource: 'tcpsndbuf' },
});

/** Hosts h000... in racks of `perRack`, each with container 204, and one rule. */
export function fleet(hosts: number, o: { perRack?: number; extra?: string; mode?: string } = {}): ReadyConfig {
  const perRack = o.perRack ?? hosts;
  const names = Array.from({ length: hosts }, (_, i) => `h${String(i).padStart(3, '0')}`);
  const racks = [...new Set(names.map((_, i) => `rack-${Math.floor(i / perRack)}`))];
  const yaml = `
version: 1
site: lab
fleet:
  domains:
${racks.map((r) => `    ${r}: {}`).join('\n')}
  hosts:
${names.map((n, i) => `    ${n}: { transport: local, domains: [rack-${Math.floor(i / perRack)}], containers: { "204": { engine: openvz, service: httpd, runaways: [httpd], ceilings: { tcpsndbuf: { barrier: 7000000, limit: 8000000 } } } } }`).join('\n')}
rules:
  - { name: spikes, on: container.failcnt_spike, when: event.delta >= 5, playbook: relieve-container, mode: ${o.mode ?? 'auto'} }
${o.extra ?? ''}
`;
  const result = parseConfig(Buffer.from(yaml), '/tmp/nightshift.yaml');
  if (!result.ok) throw new Error(JSON.stringify(result.problems, null, 1));
  return result.loaded;
}
