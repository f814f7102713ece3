import { afterAll, beforeAll, expect, test } from 'vitest';
import { openAuditLog } from '../../activities/audit-log.js';
import { connectNats, type NatsConnection } from '../../activities/nats.js';
import { readStream } from '../../operator/read-stream.js';
import { natsServer, type TestNats } from '../servers.js';
import { story } from './records.js';

let server: TestNats;
let nc: NatsConnection;
beforeAll(async () => {
  server = await natsServer();
  nc = await connectNats({ servers: server.url, name: 'test' });
  const audit = await openAuditLog(nc);
  for (const record of story()) await audit.append(record);
});
afterAll(async () => {
  await nc.close();
  await server.close();
});

// A person's Ctrl-C comes at any moment: before, while the consumer is made, at the first record, in the waiting for more.
test.each([0, 1, 2, 3, 5, 10, 20, 100])(
  'a following that is aborted after %i ms ends',
  async (ms) => {
    const audit = await openAuditLog(nc);
    const abort = new AbortController();
    if (ms === 0) abort.abort();
    else setTimeout(() => abort.abort(), ms);
    let last = 0;
    for await (const { seq } of audit.follow({ signal: abort.signal })) {
      expect(seq).toBe(last + 1);
      last = seq;
    }
    for await (const { seq } of readStream(nc, { stream: 'AUDIT', subjects: ['aud.>'], follow: true, signal: abort.signal })) expect(seq).toBeGreaterThan(0);
    expect(abort.signal.aborted).toBe(true);
  },
  10_000,
);

test('without following it ends with the last record that lay there, also when there is none', async () => {
  const { signal } = new AbortController();
  const read = async (subjects: string[]): Promise<number[]> => {
    const seqs: number[] = [];
    for await (const { seq } of readStream(nc, { stream: 'AUDIT', subjects, signal })) seqs.push(seq);
    return seqs;
  };
  expect(await read(['aud.>'])).toEqual(story().map((_, at) => at + 1));
  expect(await read(['aud.stack.>'])).toEqual([]);
});
