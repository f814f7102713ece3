import type { PlaybookName } from '../../events/playbooks.js';
import type { Playbook } from '../kernel.js';
import { relieveContainer } from './relieve-container.js';
import { watchDomain } from './watch-domain.js';

/** Every playbook by its name. Its manifest (what starts it, which verbs it may use) stands in `events/playbooks.ts`, where the effector reads it. */
export const PLAYBOOKS: Record<PlaybookName, Playbook> = {
  'relieve-container': relieveContainer,
  'watch-domain': watchDomain,
};
