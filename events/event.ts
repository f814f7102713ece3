import { z } from 'zod';
import { containerFailcntQuiet, containerFailcntSpike } from './kinds/container.js';
import { firewallLockdown } from './kinds/firewall.js';
import { glusterHealFinished, glusterHealStarted } from './kinds/gluster.js';
import { hostLoadSlope, hostReachable, hostUnreachable } from './kinds/host.js';

/** Every event that can be said. A new kind is a schema in `kinds/`, a row here and a row in `KIND_CLASS`. */
export const event = z.discriminatedUnion('type', [
  containerFailcntSpike,
  containerFailcntQuiet,
  hostLoadSlope,
  hostUnreachable,
  hostReachable,
  glusterHealStarted,
  glusterHealFinished,
  firewallLockdown,
]);
export type NightshiftEvent = z.infer<typeof event>;
export type EventKind = NightshiftEvent['type'];
export type EventOf<K extends EventKind> = Extract<NightshiftEvent, { type: K }>;

/** The last token of the subject that each kind is published on. */
export const KIND_CLASS = {
  'container.failcnt_spike': 'container',
  'container.failcnt_quiet': 'container',
  'host.load_slope': 'host',
  'host.unreachable': 'host',
  'host.reachable': 'host',
  'gluster.heal_started': 'gluster',
  'gluster.heal_finished': 'gluster',
  'firewall.lockdown': 'firewall',
} as const satisfies Record<EventKind, string>;
export type EventClass = (typeof KIND_CLASS)[EventKind];
export const EVENT_KINDS = Object.keys(KIND_CLASS) as EventKind[];
export const EVENT_CLASSES = [...new Set(Object.values(KIND_CLASS))] as EventClass[];

/**
 * Which problem an event speaks of, apart from its host: the same words for the spike that opens an incident and for the quiet that ends it.
 * Empty for kinds that are about the host as a whole.
 */
export function aspectOf(e: NightshiftEvent): string {
  switch (e.type) {
    case 'container.failcnt_spike':
    case 'container.failcnt_quiet':
      return `${e.data.container}/${e.data.resource}`;
    case 'gluster.heal_started':
    case 'gluster.heal_finished':
      return `volume/${e.data.volume}`;
    case 'firewall.lockdown':
      return 'firewall';
    case 'host.load_slope':
      return 'load';
    case 'host.unreachable':
    case 'host.reachable':
      return 'reach';
  }
}

/** Kinds that say that a member of a domain is failing: they count for the storm brake. */
export const FAILING: ReadonlySet<EventKind> = new Set(['container.failcnt_spike', 'host.unreachable', 'firewall.lockdown']);
