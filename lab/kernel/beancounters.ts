import type { Resource } from '../../events/kinds/container.js';

/** One row of a container's counters. Bytes for buffers, pages for *pages, pieces for num*. */
export interface Bean {
  held: number;
  maxheld: number;
  barrier: bigint;
  limit: bigint;
  failcnt: number;
}
export type Beans = Map<Resource, Bean>;

export const UNLIMITED = 9_223_372_036_854_775_807n;

/** The rows of version 2.5 in their order; `dummy` rows are numbers that the kernel no longer uses. Source: OpenVZ vzkernel, kernel/bc/proc.c. */
export const ROWS: readonly (Resource | 'dummy')[] = [
  'kmemsize',
  'lockedpages',
  'privvmpages',
  'shmpages',
  'dummy',
  'numproc',
  'physpages',
  'vmguarpages',
  'oomguarpages',
  'numtcpsock',
  'numflock',
  'numpty',
  'numsiginfo',
  'tcpsndbuf',
  'tcprcvbuf',
  'othersockbuf',
  'dgramrcvbuf',
  'numothersock',
  'dcachesize',
  'numfile',
  'dummy',
  'dummy',
  'dummy',
  'numiptent',
];

/** The limits of a container made from vzctl's basic sample configuration, in the years of the seed. */
export const DEFAULT_LIMITS: ReadonlyMap<Resource, readonly [bigint, bigint]> = new Map<Resource, readonly [bigint, bigint]>([
  ['kmemsize', [14_372_700n, 14_790_164n]],
  ['lockedpages', [2048n, 2048n]],
  ['privvmpages', [65_536n, 69_632n]],
  ['shmpages', [21_504n, 21_504n]],
  ['numproc', [240n, 240n]],
  ['physpages', [0n, UNLIMITED]],
  ['vmguarpages', [33_792n, UNLIMITED]],
  ['oomguarpages', [26_112n, UNLIMITED]],
  ['numtcpsock', [360n, 360n]],
  ['numflock', [188n, 206n]],
  ['numpty', [16n, 16n]],
  ['numsiginfo', [256n, 256n]],
  ['tcpsndbuf', [1_720_320n, 2_703_360n]],
  ['tcprcvbuf', [1_720_320n, 2_703_360n]],
  ['othersockbuf', [1_126_080n, 2_097_152n]],
  ['dgramrcvbuf', [262_144n, 262_144n]],
  ['numothersock', [360n, 360n]],
  ['dcachesize', [3_409_920n, 3_624_960n]],
  ['numfile', [9312n, 9312n]],
  ['numiptent', [128n, 128n]],
]);

export const isRow = (text: string): text is Resource => DEFAULT_LIMITS.has(text as Resource);

/** The counters of a container that has just been started with these limits; what it does not name has its default. */
export const newBeans = (limits: ReadonlyMap<Resource, readonly [bigint, bigint]>): Beans =>
  new Map(
    [...DEFAULT_LIMITS].map(([resource, byDefault]) => {
      const [barrier, limit] = limits.get(resource) ?? byDefault;
      return [resource, { held: 0, maxheld: 0, barrier, limit, failcnt: 0 }];
    }),
  );

/** Says how much is held now; the highest value is remembered. */
export function hold(beans: Beans, resource: Resource, held: number): void {
  const bean = beans.get(resource);
  if (bean === undefined) return;
  bean.held = held;
  bean.maxheld = Math.max(bean.maxheld, held);
}

/** The text of /proc/user_beancounters: every running container, then the host itself, which has no limits. */
export function beancounterTable(containers: readonly { id: string; beans: Beans }[]): string {
  const lines = ['Version: 2.5', row('       uid', 'resource', ['held', 'maxheld', 'barrier', 'limit', 'failcnt'])];
  const host: Beans = new Map(
    [...DEFAULT_LIMITS.keys()].map((resource) => [resource, { held: 0, maxheld: 0, barrier: UNLIMITED, limit: UNLIMITED, failcnt: 0 }]),
  );
  for (const { id, beans } of [...containers, { id: '0', beans: host }]) {
    ROWS.forEach((name, i) => {
      const bean = name === 'dummy' ? undefined : beans.get(name);
      const numbers = bean === undefined ? [0, 0, 0, 0, 0] : [bean.held, bean.maxheld, bean.barrier, bean.limit, bean.failcnt];
      lines.push(row(`${(i === 0 ? id : '').padStart(10)}${i === 0 ? ':' : ' '}`, name, numbers.map(String)));
    });
  }
  return `${lines.join('\n')}\n`;
}

const row = (uid: string, name: string, columns: readonly string[]): string =>
  `${uid} ${uid.length === 10 ? ' ' : ''}${name.padEnd(12)} ${columns.map((column) => column.padStart(20)).join(' ')}`;
