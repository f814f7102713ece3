import { z } from 'zod';
import type { ContainerLook } from '../looks.js';
import type { Objection } from '../verb.js';

export const incarnation = z.string().regex(/^[0-9][0-9a-f.-]{0,39}$/, 'an incarnation as a look has shown it');

/** An effect is meant for the container that was looked at, not for what bears its name now. */
export function incarnationObjection(now: ContainerLook, wanted: string): Objection | null {
  if (now.running === false) return { reason: 'other-incarnation', summary: 'the container does not run any more' };
  if (now.running === null || now.incarnation === null)
    return { reason: 'facts-unreadable', summary: 'the host does not say whether the container is still the same' };
  if (now.incarnation !== wanted)
    return { reason: 'other-incarnation', summary: `the container was started anew: it is ${now.incarnation}, looked at was ${wanted}` };
  return null;
}
