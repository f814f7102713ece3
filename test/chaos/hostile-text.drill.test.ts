import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { jetstream, jetstreamManager } from '../../activities/nats.js';
import { timelineLine } from '../../operator/timeline.js';
import { until } from '../until.js';
import { stackUnderTest, type StackUnderTest } from './stack-under-test.js';

/* Text from outside reaches nothing but inert values: each of these would leave a canary file behind wherever it was executed or taken for an option. */
let stack: StackUnderTest;
let canary: string;
beforeAll(async () => {
  stack = await stackUnderTest();
  canary = join(stack.dir, 'canary');
});
afterAll(() => stack.remove());

const hostile = (): string[] => [
  `-oProxyCommand=touch ${canary}`,
  `; touch ${canary}`,
  `$(touch ${canary})`,
  `\`touch ${canary}\``,
  `| touch ${canary}`,
  `--`,
  `\ntouch ${canary}\n`,
  `end\nverb touch\n`,
  `' ; touch ${canary} ; '`,
  `" ; touch ${canary} ; "`,
  '\u001b]0;owned\u0007\u001b[2J',
  '\u202egnp.exe',
  '%n%s',
  '*',
  '../../etc/passwd',
  `&& touch ${canary}`,
];

test('a runaway whose command line is full of shell characters is ended like any other', async () => {
  const before = await stack.audit.lastSeq();
  await stack.lab.reset();
  await stack.lab.play({ scene: 'surge', workerArgs: hostile() });
  const incident = await until(async () => (await stack.audit.all({ facts: ['opened'], afterSeq: before }))[0]?.record, {
    timeoutMs: 30_000,
    what: 'the incident',
  });
  if (incident.fact !== 'opened') throw new Error('not an opening');
  const records = await until(
    async () => {
      const all = await stack.audit.ofIncident(incident.incident);
      return all.some(({ record }) => record.fact === 'outcome' && record.verb === 'container.ensure-service-restarted') && all;
    },
    { timeoutMs: 90_000, everyMs: 250, what: 'the service restarted' },
  );
  expect(existsSync(canary)).toBe(false);
  // It was really there to be looked at, and is shown without a single control character.
  expect(JSON.stringify(records).includes('-oProxyCommand='), 'the hostile command line was not looked at').toBe(true);
  for (const stored of records) expect(timelineLine(stored, { utc: true })).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/);
});

test('hostile names in events become dead letters, and nothing else', async () => {
  const jsm = await jetstreamManager(stack.nc, { checkAPI: false });
  const js = jetstream(stack.nc);
  const before = (await jsm.streams.info('DLQ')).state.messages;
  const intents = (await stack.audit.all({ facts: ['intent'] })).length;
  const names = hostile();
  for (const container of names) {
    await js.publish(
      'evt.lab.dauntless.container',
      JSON.stringify({
        specversion: '1.0',
        id: randomUUID(),
        source: '/lab/dauntless',
        type: 'container.failcnt_spike',
        time: new Date().toISOString(),
        data: { host: 'dauntless', container, resource: 'tcpsndbuf', delta: 9, intervalSeconds: 1, held: 1, barrier: 1, limit: 1 },
      }),
    );
  }
  await until(async () => (await jsm.streams.info('DLQ')).state.messages >= before + names.length, { timeoutMs: 15_000, what: 'the dead letters' });
  expect((await stack.audit.all({ facts: ['intent'] })).length).toBe(intents);
  expect(existsSync(canary)).toBe(false);
});
