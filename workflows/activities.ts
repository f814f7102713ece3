import { proxyActivities, proxyLocalActivities } from '@temporalio/workflow';
import type { Effects } from '../activities/effects.js';
import type { FailureKind, Looks } from '../activities/looks.js';
import type { Records } from '../activities/records.js';
import type { Risk, VERBS, VerbName } from '../events/playbooks.js';
import { QUEUES } from './messages.js';

const NOT_RETRIED: FailureKind[] = ['refused', 'unauthorized'];

// A look answers within 5 s or not at all. It is tried again while an effector may be on its way back from a restart; after 2 minutes not being able
// to look is itself an answer.
export const looks = proxyActivities<Looks>({
  taskQueue: QUEUES.looks,
  startToCloseTimeout: '8 seconds',
  scheduleToCloseTimeout: '2 minutes',
  retry: { initialInterval: '500 milliseconds', backoffCoefficient: 2, maximumInterval: '5 seconds', nonRetryableErrorTypes: NOT_RETRIED },
});

const EFFECT = { taskQueue: QUEUES.effects, startToCloseTimeout: '3 minutes', heartbeatTimeout: '5 seconds' } as const;

// The effector answers a repeated request with what it has recorded, or by looking whether the host has carried it out: so an R1 effect may be asked for
// again when an effector dies. After a quarter of an hour without an answer its outcome is unknown.
const askedAgain = proxyActivities<Effects>({
  ...EFFECT,
  scheduleToCloseTimeout: '15 minutes',
  retry: { initialInterval: '1 second', backoffCoefficient: 2, maximumInterval: '10 seconds' },
});
// Whatever reaches beyond the failing workload is asked for once: what follows silence is a look, by a person if need be.
const askedOnce = proxyActivities<Effects>({ ...EFFECT, retry: { maximumAttempts: 1 } });

export const effectsOf = (risk: Risk): typeof askedAgain => (risk === 'R0' || risk === 'R1' ? askedAgain : askedOnce);

/** The risk of each verb. `events/` is seen here as types only; the compiler holds this table equal to the one there. */
export const RISK_OF: { [V in VerbName]: (typeof VERBS)[V] } = {
  'container.ensure-enterable': 'R1',
  'container.ensure-service-restarted': 'R1',
  'container.ensure-limit': 'R1',
  'container.ensure-limit-saved': 'R1',
};

// Without NATS there is no record, and without a record nothing goes on: tried for ever. Longer waits become timers, so that a night without NATS costs
// an incident some hundred events of history an hour, not thousands.
export const { record } = proxyLocalActivities<Records>({
  startToCloseTimeout: '10 seconds',
  localRetryThreshold: '10 seconds',
  retry: { initialInterval: '200 milliseconds', backoffCoefficient: 2, maximumInterval: '30 seconds' },
});
