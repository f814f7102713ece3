import { z } from 'zod';
import { aboutHost, envelope } from '../envelope.js';

/** The packet filter of a host changed so that it cuts off ports that its peers need. */
export const firewallLockdown = envelope.extend({
  type: z.literal('firewall.lockdown'),
  data: aboutHost.extend({
    policy: z.enum(['drop', 'reject']),
    /** TCP ports that were open and are closed now. */
    closedPorts: z.array(z.int().min(1).max(65535)).max(256),
    /** SHA-256 of the ruleset as it is now, for telling one change from the next. */
    rulesetSha256: z.string().regex(/^[0-9a-f]{64}$/),
  }),
});
