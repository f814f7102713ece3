/** How times are shown: the reader's own zone, or UTC. */
export interface Zone {
  utc: boolean;
}

/** `19:29:04`. */
export function clock(at: string, { utc }: Zone): string {
  const d = new Date(at);
  if (Number.isNaN(d.getTime())) return '--:--:--';
  return utc ? d.toISOString().slice(11, 19) : [d.getHours(), d.getMinutes(), d.getSeconds()].map(two).join(':');
}

/** `2026-11-20`. */
export function day(at: string, { utc }: Zone): string {
  const d = new Date(at);
  if (Number.isNaN(d.getTime())) return '----------';
  return utc ? d.toISOString().slice(0, 10) : `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}`;
}

/** `2026-11-20 19:29:04`, with `Z` when it is UTC: a time without a zone is the reader's. */
export const moment = (at: string, zone: Zone): string => `${day(at, zone)} ${clock(at, zone)}${zone.utc ? 'Z' : ''}`;

/** `40s`, `7m`, `2h10`, `3d`. */
export function span(ms: number): string {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 100) return `${s}s`;
  const m = Math.round(s / 60);
  if (m < 100) return `${m}m`;
  const h = Math.floor(m / 60);
  if (h < 48) return `${h}h${two(m % 60)}`;
  return `${Math.round(h / 24)}d`;
}

const two = (n: number): string => String(n).padStart(2, '0');
