import { z } from 'zod';
import { aboutHost, envelope } from '../envelope.js';

const volume = z.string().regex(/^[a-zA-Z0-9][a-zA-Z0-9_-]{0,62}$/, 'a Gluster volume name');
const aboutVolume = aboutHost.extend({ volume });

/** Entries wait to be healed on at least one brick of the volume. */
export const glusterHealStarted = envelope.extend({
  type: z.literal('gluster.heal_started'),
  data: aboutVolume.extend({ pendingEntries: z.int().nonnegative() }),
});

/** Every brick is connected, nothing waits to be healed, nothing is in split-brain. */
export const glusterHealFinished = envelope.extend({
  type: z.literal('gluster.heal_finished'),
  data: aboutVolume.extend({ tookSeconds: z.number().nonnegative() }),
});
