import { BRIDGE_CONSUMER, STREAMS } from '../events/streams.js';
import type { Permissions } from './nats-jwt.js';

/** Users of the CORE account; host agents live in an account of their own. */
export const CORE_USERS = ['provision', 'stack', 'engine', 'effector', 'operator', 'lab'] as const;
export type CoreUser = (typeof CORE_USERS)[number];

/** The API subjects that reading a stream takes: its state, single messages, and consumers that vanish with their reader. */
const read = (...streams: string[]): string[] =>
  streams.flatMap((stream) => [
    `$JS.API.STREAM.INFO.${stream}`,
    `$JS.API.STREAM.MSG.GET.${stream}`,
    `$JS.API.DIRECT.GET.${stream}`,
    `$JS.API.DIRECT.GET.${stream}.>`,
    `$JS.API.CONSUMER.CREATE.${stream}`,
    `$JS.API.CONSUMER.CREATE.${stream}.>`,
    `$JS.API.CONSUMER.INFO.${stream}.*`,
    `$JS.API.CONSUMER.DELETE.${stream}.*`,
    `$JS.API.CONSUMER.MSG.NEXT.${stream}.*`,
  ]);

/** Readers of EVT must not take, change or remove the consumer through which events are acknowledged. */
const NOT_THE_BRIDGE = [
  `$JS.API.CONSUMER.CREATE.EVT.${BRIDGE_CONSUMER}`,
  `$JS.API.CONSUMER.CREATE.EVT.${BRIDGE_CONSUMER}.>`,
  `$JS.API.CONSUMER.DELETE.EVT.${BRIDGE_CONSUMER}`,
];
const ALL = STREAMS.map((stream) => stream.name);
const inbox = (user: string): string => `_INBOX.${user}.>`;
export const inboxPrefixOf = (user: string): string => `_INBOX.${user}`;

/** What each user of CORE needs, and no more. Nobody can update, purge or delete a stream but `provision`, which no running process uses. */
export function corePermissions(site: string): Record<CoreUser, Permissions> {
  return {
    provision: {
      publish: [
        '$JS.API.INFO',
        '$JS.API.STREAM.CREATE.*',
        '$JS.API.STREAM.UPDATE.*',
        '$JS.API.STREAM.INFO.*',
        '$JS.API.CONSUMER.CREATE.EVT.>',
        '$JS.API.CONSUMER.INFO.EVT.*',
      ],
      subscribe: [inbox('provision')],
    },
    stack: {
      publish: ['$JS.API.INFO', ...ALL.map((stream) => `$JS.API.STREAM.INFO.${stream}`), `aud.stack.${site}`, `ctl.${site}.intake.*`],
      subscribe: [inbox('stack')],
    },
    engine: {
      publish: ['$JS.API.INFO', '$JS.ACK.>', ...read('EVT', 'AUDIT'), '$JS.API.STREAM.INFO.DLQ', 'aud.>', 'dlq.>'],
      denyPublish: [...NOT_THE_BRIDGE],
      subscribe: [inbox('engine'), `ctl.${site}.reload.engine`, `ctl.${site}.intake.*`],
      responses: true,
    },
    effector: {
      publish: ['$JS.API.INFO', ...read('AUDIT'), 'aud.intent.>', 'aud.outcome.>', 'aud.looked.>', `aud.config.${site}`],
      subscribe: [inbox('effector'), `ctl.${site}.reload.effector`],
      responses: true,
    },
    operator: {
      publish: ['$JS.API.INFO', '$JS.API.STREAM.NAMES', '$JS.API.STREAM.LIST', ...read(...ALL), 'evt.>', 'aud.note.>', `ctl.${site}.>`, `lab.${site}.>`],
      denyPublish: [...NOT_THE_BRIDGE, `$JS.API.CONSUMER.MSG.NEXT.EVT.${BRIDGE_CONSUMER}`],
      // People bring tools of their own, whose inboxes are `_INBOX.<anything>`; those of our processes stay closed to them.
      subscribe: ['_INBOX.>'],
      denySubscribe: CORE_USERS.filter((user) => user !== 'operator').map(inbox),
    },
    lab: { publish: [], subscribe: [inbox('lab'), `lab.${site}.>`], responses: true },
  };
}

/**
 * What a host agent may do, as the template of a scoped signing key: the server fills in the name and the site of whoever presents a JWT signed by
 * that key, so that enrolling a host cannot give it more than this. Only whole tokens are filled in by every server version.
 */
export const AGENT_TEMPLATE: Permissions = { publish: ['evt.{{tag(site)}}.{{name()}}.*'], subscribe: ['_INBOX.{{name()}}.>'] };
