import type { NightshiftEvent } from '../../events/event.js';
import type { Resource } from '../../events/kinds/container.js';

const BYTES: ReadonlySet<Resource> = new Set(['kmemsize', 'tcpsndbuf', 'tcprcvbuf', 'othersockbuf', 'dgramrcvbuf', 'dcachesize', 'memory']);
const PAGES: ReadonlySet<Resource> = new Set(['lockedpages', 'privvmpages', 'shmpages', 'physpages', 'vmguarpages', 'oomguarpages', 'swappages']);

/** One line of the timeline: what was seen, on what, with figures and their units. Made of parsed values only. */
export function describeEvent(e: NightshiftEvent): string {
  switch (e.type) {
    case 'container.failcnt_spike': {
      const d = e.data;
      return `container ${d.container} on ${d.host}: ${d.resource} failcnt +${d.delta} in ${seconds(d.intervalSeconds)} (held ${amount(d.resource, d.held)} of ${amount(d.resource, d.limit)})${e.assertion === 'standing' ? ', still' : ''}`;
    }
    case 'container.failcnt_quiet':
      return `container ${e.data.container} on ${e.data.host}: ${e.data.resource} failcnt flat for ${seconds(e.data.quietSeconds)} (held ${amount(e.data.resource, e.data.held)} of ${amount(e.data.resource, e.data.limit)})`;
    case 'host.load_slope':
      return `${e.data.host}: load ${e.data.load1.toFixed(1)}, was ${e.data.load1Before.toFixed(1)} ${seconds(e.data.intervalSeconds)} before, on ${e.data.cores} cores`;
    case 'host.unreachable':
      return `${e.data.witness} cannot reach ${e.data.host} by ${e.data.path} for ${seconds(e.data.sinceSeconds)}${e.data.detail === '' ? '' : `: ${e.data.detail}`}`;
    case 'host.reachable':
      return `${e.data.witness} reaches ${e.data.host} by ${e.data.path}`;
    case 'gluster.heal_started':
      return `volume ${e.data.volume} on ${e.data.host}: ${e.data.pendingEntries} entries wait to be healed`;
    case 'gluster.heal_finished':
      return `volume ${e.data.volume} on ${e.data.host}: healed in ${seconds(e.data.tookSeconds)}`;
    case 'firewall.lockdown':
      return `${e.data.host}: the packet filter now ${e.data.policy}s ${e.data.closedPorts.length} TCP ports that were open${e.data.closedPorts.length === 0 ? '' : `: ${e.data.closedPorts.slice(0, 8).join(', ')}${e.data.closedPorts.length > 8 ? '...' : ''}`}`;
  }
}

const seconds = (s: number): string => (s < 120 ? `${Math.round(s * 10) / 10} s` : `${Math.round(s / 60)} m`);

function amount(resource: Resource, n: number): string {
  if (BYTES.has(resource)) return n >= 1e6 ? `${(n / 1e6).toFixed(1)} MB` : `${Math.round(n / 1e3)} kB`;
  return PAGES.has(resource) ? `${n} pages` : String(n);
}
