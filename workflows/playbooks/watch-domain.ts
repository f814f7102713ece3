import { count, some } from '../decide/figures.js';
import { escalate, type Playbook } from '../kernel.js';

/** Many members of one failure domain fail at once: their cause is most likely one, and acting on each would make it worse. Touches nothing; a person decides, and closes it. */
export const watchDomain: Playbook = {
  measure: null,
  run: async ({ input }) => {
    const members = input.members ?? [];
    throw escalate(
      'domain-storm',
      `${count(members.length, 'member')} of ${input.target.domain ?? input.target.host} fail at once: ${some(members)}; touches nothing`,
    );
  },
};
