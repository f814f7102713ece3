import type { EventKind } from './event.js';

/** R0 observes. R1 is reversible or confined to the workload that fails. R2 has an impact beyond it. R3 destroys. */
export const RISKS = ['R0', 'R1', 'R2', 'R3'] as const;
export type Risk = (typeof RISKS)[number];

/** What a verb may cost at most; every effect is one of these verbs. */
export const VERBS = {
  'container.ensure-enterable': 'R1',
  'container.ensure-service-restarted': 'R1',
  'container.ensure-limit': 'R1',
  'container.ensure-limit-saved': 'R1',
} as const satisfies Record<string, Risk>;
export type VerbName = keyof typeof VERBS;
export const VERB_NAMES = Object.keys(VERBS) as VerbName[];

/**
 * What a playbook is allowed to be started by and to use. The effector reads it too: a step whose verb is not listed here for its
 * incident's playbook is not that playbook's step, whatever asked for it.
 */
export interface PlaybookManifest {
  /** One line: what it does, for `nightshift playbook ls` and `config validate`. */
  about: string;
  startedBy: readonly EventKind[];
  verbs: readonly VerbName[];
  /** Raised with every change of behaviour: part of what is recorded and, later, approved. */
  version: number;
}

export const PLAYBOOKS = {
  'relieve-container': {
    about:
      'A container hits a limit and runs away: kill runaways from the host until it can be entered, restart its service, raise the limit while that helps.',
    startedBy: ['container.failcnt_spike'],
    verbs: ['container.ensure-enterable', 'container.ensure-service-restarted', 'container.ensure-limit', 'container.ensure-limit-saved'],
    version: 1,
  },
  'watch-domain': {
    about: 'Many members of one failure domain fail at once: touch nothing, list them, ask a person.',
    startedBy: ['container.failcnt_spike', 'host.unreachable', 'firewall.lockdown'],
    verbs: [],
    version: 1,
  },
} as const satisfies Record<string, PlaybookManifest>;
export type PlaybookName = keyof typeof PLAYBOOKS;
export const PLAYBOOK_NAMES = Object.keys(PLAYBOOKS) as PlaybookName[];
