import type { Refusal } from '../../events/effect.js';

/**
 * What follows a refused effect. `look-again`: the world is not what was looked at; nobody has said no. `refused`: somebody or something forbids it, and the
 * incident stays open with that answer. `escalated`: what we know or want does not suffice, and a person must look.
 */
const AFTER_REFUSAL = {
  'trigger-gone': 'look-again',
  'other-incarnation': 'look-again',
  // Nothing was touched, and a host that was too busy to answer once may answer now. How often the playbook begins anew is bounded.
  'facts-unreadable': 'look-again',
  'too-late': 'look-again',
  'not-this-playbook': 'refused',
  'not-this-incident': 'refused',
  'not-in-inventory': 'refused',
  'not-allowed': 'refused',
  vetoed: 'refused',
  held: 'refused',
  'over-limit': 'escalated',
  inconsistent: 'escalated',
  'not-supported': 'escalated',
} as const satisfies Record<Refusal, 'look-again' | 'refused' | 'escalated'>;

export const afterRefusal = (reason: Refusal): 'look-again' | 'refused' | 'escalated' => AFTER_REFUSAL[reason];
