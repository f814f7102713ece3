import { z } from 'zod';
import { aboutHost, envelope, token } from '../envelope.js';

/** Load climbed from `load1Before` to `load1` within `intervalSeconds`. */
export const hostLoadSlope = envelope.extend({
  type: z.literal('host.load_slope'),
  data: aboutHost.extend({
    load1: z.number().nonnegative().max(1e6),
    load1Before: z.number().nonnegative().max(1e6),
    intervalSeconds: z.number().positive().max(3600),
    cores: z.int().positive().max(65536),
  }),
});

/** How somebody looked at a host. */
export const witnessPath = z.enum(['agent', 'ping', 'ssh', 'bmc', 'peer', 'hypervisor', 'storage']);

/** `witness` cannot reach `host` by `path`. One vote, never a proof. */
export const hostUnreachable = envelope.extend({
  type: z.literal('host.unreachable'),
  data: aboutHost.extend({ witness: token, path: witnessPath, sinceSeconds: z.number().nonnegative(), detail: z.string().max(300).default('') }),
});

/** `witness` reaches `host` again by `path`. */
export const hostReachable = envelope.extend({
  type: z.literal('host.reachable'),
  data: aboutHost.extend({ witness: token, path: witnessPath }),
});
