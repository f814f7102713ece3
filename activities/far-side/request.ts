import { z } from 'zod';
import { RESOURCES } from '../../events/kinds/container.js';

/**
 * What can be asked of the helper on a managed host; its lines are described at the top of `nightshift-helper`.
 * The helper holds every value against the same patterns again: this side speaks carefully, that side trusts nobody.
 */
const cgroupPath = z
  .string()
  .regex(/^[a-zA-Z0-9][a-zA-Z0-9._/-]{0,200}$/)
  .refine((p) => !/\.\.|\/\/|\/$/.test(p), 'no "..", "//" or "/" at its end');
const processName = z.string().regex(/^[a-zA-Z0-9][a-zA-Z0-9._+:-]{0,14}$/);
const operation = z.string().regex(/^[a-zA-Z0-9][a-zA-Z0-9._-]{0,119}$/);
const milliseconds = (most: number) => z.int().nonnegative().max(most);
/** Beyond 2^53 a number here is not the number on the host. */
const amount = z.int().nonnegative();

const target = z.discriminatedUnion('engine', [
  z.strictObject({ engine: z.literal('openvz'), container: z.string().regex(/^[1-9][0-9]{0,9}$/, 'a CTID is a number') }),
  z.strictObject({ engine: z.literal('cgroup'), cgroup: cgroupPath }),
]);
export type FarSideTarget = z.infer<typeof target>;

const effect = {
  op: operation,
  target,
  incarnation: z.string().regex(/^[0-9][0-9a-f.-]{0,39}$/),
  /** How long the act itself may take, once begun. */
  limitMs: milliseconds(300_000),
};

export const farSideRequest = z.discriminatedUnion('verb', [
  z.strictObject({ verb: z.literal('counters'), cgroups: z.array(cgroupPath).max(1000) }),
  z.strictObject({ verb: z.literal('look'), target, want: z.array(z.enum(['counters', 'processes', 'enter'])), enterMs: milliseconds(60_000) }),
  z.strictObject({ verb: z.literal('journal'), op: operation, waitMs: milliseconds(300_000) }),
  z.strictObject({ verb: z.literal('seal'), op: operation, waitMs: milliseconds(300_000) }),
  z.strictObject({
    verb: z.literal('ensure-enterable'),
    ...effect,
    enterMs: milliseconds(60_000),
    maxKills: z.int().min(0).max(500),
    runaways: z.array(processName).min(1).max(20),
    protect: z.array(processName).max(50),
    candidates: z.array(z.strictObject({ pid: z.int().min(2).max(99_999_999), startTicks: amount })).max(1000),
  }),
  z.strictObject({
    verb: z.literal('ensure-service'),
    ...effect,
    service: z.string().regex(/^[a-zA-Z0-9][a-zA-Z0-9@._-]{0,62}$/),
    runaways: z.array(processName).max(20),
  }),
  z.strictObject({ verb: z.literal('ensure-limit'), ...effect, resource: z.enum(RESOURCES), barrier: amount, limit: amount, save: z.boolean() }),
]);
export type FarSideRequest = z.infer<typeof farSideRequest>;
export type FarSideEffect = Extract<FarSideRequest, { op: string; limitMs: number }>;

/** When an effect must have begun: counted from its arrival, and by the host's own uptime, so that a request that was held up on its way is too late. */
export interface BeginBy {
  withinMs: number;
  notAfterCs: number;
}

export const isEffect = (request: FarSideRequest): request is FarSideEffect => 'limitMs' in request;

/** The request as lines. Throws a ZodError for a value that no host would take: nothing has been sent then. */
export function encodeRequest(request: FarSideRequest, beginBy: BeginBy | null): string {
  const r = farSideRequest.parse(request);
  const lines: [string, string | number][] = [['verb', r.verb]];
  if ('target' in r) lines.push(['engine', r.target.engine], r.target.engine === 'openvz' ? ['container', r.target.container] : ['cgroup', r.target.cgroup]);
  if (isEffect(r)) {
    if (beginBy === null) throw new TypeError(`${r.verb} needs a time by which it must have begun`);
    lines.push(['op', r.op], ['incarnation', r.incarnation], ['limit-ms', r.limitMs]);
    lines.push(['begin-within-ms', milliseconds(999_999).parse(Math.floor(beginBy.withinMs))], ['not-after-cs', amount.parse(Math.floor(beginBy.notAfterCs))]);
  }
  switch (r.verb) {
    case 'counters':
      for (const path of r.cgroups) lines.push(['cgroup', path]);
      break;
    case 'look':
      for (const part of r.want) lines.push(['want', part]);
      lines.push(['enter-ms', r.enterMs]);
      break;
    case 'journal':
    case 'seal':
      lines.push(['op', r.op], ['wait-ms', r.waitMs]);
      break;
    case 'ensure-enterable':
      lines.push(['enter-ms', r.enterMs], ['max-kills', r.maxKills]);
      for (const name of r.runaways) lines.push(['runaway', name]);
      for (const name of r.protect) lines.push(['protect', name]);
      for (const { pid, startTicks } of r.candidates) lines.push(['candidate', `${pid}:${startTicks}`]);
      break;
    case 'ensure-service':
      lines.push(['service', r.service]);
      for (const name of r.runaways) lines.push(['runaway', name]);
      break;
    case 'ensure-limit':
      lines.push(['resource', r.resource], ['barrier', r.barrier], ['limit', r.limit]);
      if (r.save) lines.push(['save', 'yes']);
      break;
  }
  return ['nightshift 1', ...lines.map(([key, value]) => `${key} ${value}`), 'end', ''].join('\n');
}
