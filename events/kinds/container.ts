import { z } from 'zod';
import { aboutHost, containerId, envelope } from '../envelope.js';

const count = z.int().nonnegative();

/** The limits an agent can watch: the OpenVZ beancounters and the cgroup memory limit. Source: OpenVZ `user_beancounters` table, version 2.5. */
export const RESOURCES = [
  'kmemsize',
  'lockedpages',
  'privvmpages',
  'shmpages',
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
  'numiptent',
  'swappages',
  'memory',
  'pids',
] as const;
export const resource = z.enum(RESOURCES);
export type Resource = z.infer<typeof resource>;

const aboutLimit = aboutHost.extend({ container: containerId, resource });

/** A container was refused a resource `delta` times within `intervalSeconds`. A delta, never the counter: the counter outlives its cause and resets with the container. */
export const containerFailcntSpike = envelope.extend({
  type: z.literal('container.failcnt_spike'),
  data: aboutLimit.extend({
    delta: z.int().positive(),
    intervalSeconds: z.number().positive().max(3600),
    /** In the resource's own unit: bytes for buffers, pages for *pages, pieces for num*. */
    held: count,
    barrier: count,
    limit: count,
  }),
});

/** The counter of refusals has not moved for `quietSeconds`. `delta`: refusals before that which no spike event has told yet, so that the deltas add up. */
export const containerFailcntQuiet = envelope.extend({
  type: z.literal('container.failcnt_quiet'),
  data: aboutLimit.extend({ quietSeconds: z.number().nonnegative(), held: count, barrier: count, limit: count, delta: z.int().positive().optional() }),
});
