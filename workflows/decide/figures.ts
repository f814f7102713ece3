import type { Resource } from '../../events/kinds/container.js';

/** Limits at or above this are "unlimited": OpenVZ writes 2^63 - 1, which no number here can hold exactly. */
export const UNLIMITED = 2 ** 53;

/** `80 ms`, `2 s`, `1.5 s`, `6 m`, `2 h`: as long as it must be and no longer. */
export function span(ms: number): string {
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 120_000) return `${round1(ms / 1_000)} s`;
  if (ms < 2 * 3_600_000) return `${Math.round(ms / 60_000)} m`;
  return `${round1(ms / 3_600_000)} h`;
}

/** `4.0 MB`: decimal, as vzctl takes them. */
export function bytes(count: number): string {
  if (count < 1_000) return `${count} B`;
  if (count < 1_000_000) return `${(count / 1_000).toFixed(1)} kB`;
  if (count < 1_000_000_000) return `${(count / 1_000_000).toFixed(1)} MB`;
  return `${(count / 1_000_000_000).toFixed(1)} GB`;
}

const IN_BYTES: ReadonlySet<Resource> = new Set(['kmemsize', 'tcpsndbuf', 'tcprcvbuf', 'othersockbuf', 'dgramrcvbuf', 'dcachesize', 'memory']);

/** An amount of a resource in its own unit: bytes, pages or pieces. */
export function amount(resource: Resource, value: number): string {
  if (value >= UNLIMITED) return 'unlimited';
  if (IN_BYTES.has(resource)) return bytes(value);
  return resource.endsWith('pages') ? `${value} pages` : `${value}`;
}

/** `+412`, `+0`. */
export const gain = (count: number): string => `+${count}`;

/** `3 processes`, `1 process`. */
export const count = (n: number, one: string, many = `${one}s`): string => `${n} ${n === 1 ? one : many}`;

/** The first few of many: `a, b, c and 11 more`. */
export function some(names: readonly string[], show = 5): string {
  const shown = names.slice(0, show).join(', ');
  return names.length > show ? `${shown} and ${names.length - show} more` : shown;
}

const round1 = (x: number): string => (x >= 10 ? `${Math.round(x)}` : `${Math.round(x * 10) / 10}`);
