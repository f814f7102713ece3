import type { Counter } from '../../activities/looks.js';
import type { Resource } from '../../events/kinds/container.js';

/**
 * The constraints that OpenVZ's own validator puts on user beancounters. Source: OpenVZ wiki, "UBC consistency check", and `vzcfgvalidate` of vzctl
 * (lib/validate.c), which give the same constants. `avnumproc` is not in the counters: the processes held now stand for it.
 * A formula of which a counter is missing or unlimited says nothing.
 */
export const UBC_FORMULAE: readonly { name: string; about: readonly Resource[]; holds: (of: (resource: Resource) => Counter) => boolean }[] = [
  // Without that room between barrier and limit a socket can be left with nothing to send from: transfers hang.
  {
    name: 'tcpsndbuf.limit - tcpsndbuf.barrier >= 2.5 KB x numtcpsock',
    about: ['tcpsndbuf', 'numtcpsock'],
    holds: (of) => of('tcpsndbuf').limit - of('tcpsndbuf').barrier >= 2560 * of('numtcpsock').limit,
  },
  {
    name: 'tcprcvbuf.limit - tcprcvbuf.barrier >= 2.5 KB x numtcpsock',
    about: ['tcprcvbuf', 'numtcpsock'],
    holds: (of) => of('tcprcvbuf').limit - of('tcprcvbuf').barrier >= 2560 * of('numtcpsock').limit,
  },
  {
    name: 'othersockbuf.limit - othersockbuf.barrier >= 2.5 KB x numothersock',
    about: ['othersockbuf', 'numothersock'],
    holds: (of) => of('othersockbuf').limit - of('othersockbuf').barrier >= 2560 * of('numothersock').limit,
  },
  // Otherwise applications fail in the middle of an operation instead of when they start a process.
  {
    name: 'kmemsize.barrier >= 40 KB x processes + dcachesize.limit',
    about: ['kmemsize', 'dcachesize', 'numproc'],
    holds: (of) => of('kmemsize').barrier >= 40 * 1024 * of('numproc').held + of('dcachesize').limit,
  },
  {
    name: 'privvmpages.barrier >= vmguarpages.barrier',
    about: ['privvmpages', 'vmguarpages'],
    holds: (of) => of('privvmpages').barrier >= of('vmguarpages').barrier,
  },
  { name: 'dcachesize.limit >= 384 B x numfile', about: ['dcachesize', 'numfile'], holds: (of) => of('dcachesize').limit >= 384 * of('numfile').limit },
  {
    name: 'numfile >= numtcpsock + numothersock + numpty',
    about: ['numfile', 'numtcpsock', 'numothersock', 'numpty'],
    holds: (of) => of('numfile').limit >= of('numtcpsock').limit + of('numothersock').limit + of('numpty').limit,
  },
];

/** Room that must lie between barrier and limit, in bytes; null when the counter it depends on could not be read: then nobody can say that a raise is safe. */
export function gapOf(resource: Resource, counters: readonly Counter[]): number | null {
  const sockets = resource === 'tcpsndbuf' || resource === 'tcprcvbuf' ? 'numtcpsock' : resource === 'othersockbuf' ? 'numothersock' : null;
  if (sockets === null) return 0;
  const row = counters.find((c) => c.resource === sockets);
  return row === undefined ? null : 2560 * row.limit;
}

/** The formulae that these counters break. */
export function brokenFormulae(counters: readonly Counter[]): string[] {
  const rows = new Map(counters.map((c) => [c.resource, c]));
  return UBC_FORMULAE.filter(({ about, holds }) => about.every((r) => rows.has(r)) && !holds((r) => rows.get(r) as Counter)).map((f) => f.name);
}
