import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DEAD_LETTER_REASONS } from '../../events/dead-letter.js';
import { acceptEvent, type Acceptance, type Inventory } from '../../workers/engine/accept.js';
import { spike } from './events.js';

const NOW = Date.parse('2026-11-20T17:00:00Z');
const inventory: Inventory = { site: 'lab', hasHost: (h) => ['dauntless', 'st3'].includes(h), eventMaxAgeMs: 600_000 };
const good = (): Record<string, unknown> => spike('dauntless', { time: '2026-11-20T16:59:59Z' });
const take = (payload: unknown, o: { subject?: string; headers?: string[]; raw?: Uint8Array } = {}): Acceptance =>
  acceptEvent(
    {
      subject: o.subject ?? 'evt.lab.dauntless.container',
      payload: o.raw ?? Buffer.from(typeof payload === 'string' ? payload : JSON.stringify(payload)),
      seq: 7,
      receivedAtMs: NOW,
      ...(o.headers === undefined ? {} : { headers: o.headers }),
    },
    inventory,
    NOW,
  );
const reason = (a: Acceptance): string => ('deadLetter' in a ? a.deadLetter : 'accepted');
const withData = (change: Record<string, unknown>): Record<string, unknown> => ({ ...good(), data: { ...(good()['data'] as object), ...change } });

test('an event that says what it may is accepted, with its aspect, its age and a line for people', () => {
  const a = take(good());
  expect(a).toMatchObject({
    ok: {
      host: 'dauntless',
      aspect: '204/tcpsndbuf',
      stale: false,
      event: { seq: 7, kind: 'container.failcnt_spike', data: { container: '204', delta: 412 } },
    },
  });
  expect('ok' in a && a.ok.event.text).toBe('container 204 on dauntless: tcpsndbuf failcnt +412 in 1 s (held 4.0 MB of 4.2 MB)');
});

describe('what is not an event goes to the dead letters with its reason', () => {
  const deep = '['.repeat(5_000) + ']'.repeat(5_000);
  test.each<[string, string, () => Acceptance]>([
    ['a truncated one', 'not-json', () => take(JSON.stringify(good()).slice(0, 60))],
    ['bytes that are not UTF-8', 'not-json', () => take('', { raw: Uint8Array.from([0x7b, 0xff, 0xfe, 0x7d]) })],
    ['an empty one', 'not-json', () => take('')],
    ['one as large as the server lets in', 'too-large', () => take(`${' '.repeat(66_000)}${JSON.stringify(good())}`)],
    ['a deep one', 'too-deep', () => take(deep)],
    ['a deep one inside of an event', 'too-deep', () => take(`{"data":${deep}}`)],
    ['an array', 'bad-schema', () => take([good()])],
    ['a number', 'bad-schema', () => take('1')],
    ['null', 'bad-schema', () => take('null')],
    ['an unknown kind', 'unknown-kind', () => take({ ...good(), type: 'host.exploded' })],
    ['a type that is no text', 'bad-schema', () => take({ ...good(), type: 7 })],
    ['an attribute that no event has', 'bad-schema', () => take({ ...good(), priority: 'high' })],
    ['__proto__ as a key', 'bad-schema', () => take(`${JSON.stringify(good()).slice(0, -1)},"__proto__":{"admin":true}}`)],
    ['__proto__ inside of the data', 'bad-schema', () => take(JSON.stringify(good()).replace('"delta"', '"__proto__":1,"delta"'))],
    ['constructor as a key', 'bad-schema', () => take({ ...good(), constructor: {} })],
    ['a lone surrogate', 'bad-schema', () => take(JSON.stringify(withData({ container: 'x' })).replace('"x"', '"\\ud800"'))],
    ['a control character', 'bad-schema', () => take(withData({ container: '204\n' }))],
    ['a line that runs the other way', 'bad-schema', () => take(withData({ container: '204\u202e' }))],
    ['shell text as a container', 'bad-schema', () => take(withData({ container: '204;reboot' }))],
    ['an option as a container', 'bad-schema', () => take(withData({ container: '-oProxyCommand=x' }))],
    ['a counter below zero', 'bad-schema', () => take(withData({ delta: -1 }))],
    ['a body about another host', 'wrong-host', () => take(withData({ host: 'st3' }))],
    ['a source of another host', 'wrong-host', () => take({ ...good(), source: '/lab/st3' })],
    ['a source of another site', 'wrong-host', () => take({ ...good(), source: '/prod/dauntless' })],
    ['a subject of another site', 'wrong-host', () => take({ ...good(), source: '/prod/dauntless' }, { subject: 'evt.prod.dauntless.container' })],
    ['the class of another kind', 'wrong-class', () => take(good(), { subject: 'evt.lab.dauntless.host' })],
    ['a subject with a token too many', 'bad-subject', () => take(good(), { subject: 'evt.lab.dauntless.x.container' })],
    ['a host that is not ours', 'unknown-host', () => take(spike('stranger', { time: '2026-11-20T16:59:59Z' }), { subject: 'evt.lab.stranger.container' })],
    ['a time three minutes ahead', 'from-the-future', () => take({ ...good(), time: '2026-11-20T17:03:00Z' })],
    ['a scheduled message', 'bad-schema', () => take(good(), { headers: ['Nats-Scheduler'] })],
  ])('%s: %s', (_what, expected, make) => {
    expect(reason(make())).toBe(expected);
  });

  test('the detail names the path and is safe to show', () => {
    const a = take(withData({ container: 'a\u001b[2Jb' }));
    expect('deadLetter' in a && a.detail).toBe('data.container: a control character');
    const b = take('{"a\u0007": }');
    expect('deadLetter' in b && b.detail).toMatch(/^[\x20-\x7e]*$/);
  });
});

test('a clock two minutes ahead is forgiven, an old event is marked stale and not refused', () => {
  expect(reason(take({ ...good(), time: '2026-11-20T17:01:59Z' }))).toBe('accepted');
  expect(take({ ...good(), time: '2026-11-20T16:40:00Z' })).toMatchObject({ ok: { stale: true } });
});

test('a witness speaks on its own subject about another host, and about hosts of ours only', () => {
  const vote = { ...good(), type: 'host.unreachable', source: '/lab/st3', data: { host: 'dauntless', witness: 'st3', path: 'ping', sinceSeconds: 9 } };
  expect(reason(take(vote, { subject: 'evt.lab.st3.host' }))).toBe('accepted');
  expect(reason(take({ ...vote, data: { ...vote.data, witness: 'st9' } }, { subject: 'evt.lab.st3.host' }))).toBe('wrong-host');
  expect(reason(take({ ...vote, data: { ...vote.data, host: 'stranger' } }, { subject: 'evt.lab.st3.host' }))).toBe('unknown-host');
});

describe('whatever is sent, it is either accepted or refused for a reason from the list, and nothing is thrown', () => {
  const known = new Set<string>(['accepted', ...DEAD_LETTER_REASONS]);
  test('any bytes', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 400 }),
        fc.string(),
        (raw, subject) => known.has(reason(take('', { raw }))) && known.has(reason(take('', { raw, subject }))),
      ),
      { numRuns: 2_000 },
    );
  });
  test('any JSON', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 20 }), (text) => known.has(reason(take(text)))),
      { numRuns: 2_000 },
    );
  });
  test('an event with any one value in the place of another', () => {
    const keys = ['specversion', 'id', 'source', 'type', 'time', 'data'];
    const inner = ['host', 'container', 'resource', 'delta', 'intervalSeconds', 'held'];
    fc.assert(
      fc.property(fc.constantFrom(...keys), fc.constantFrom(...inner), fc.boolean(), fc.jsonValue(), (key, data, top, value) => {
        const a = take(top ? { ...good(), [key]: value } : withData({ [data]: value }));
        return known.has(reason(a)) && (!('deadLetter' in a) || a.detail.length <= 1000);
      }),
      { numRuns: 2_000 },
    );
  });
  test('an event with one byte changed or cut', () => {
    const bytes = Buffer.from(JSON.stringify(good()));
    fc.assert(
      fc.property(fc.nat(bytes.length - 1), fc.nat(255), fc.boolean(), (at, byte, cut) => {
        const raw = Buffer.from(bytes);
        raw[at] = byte;
        return known.has(reason(take('', { raw: cut ? raw.subarray(0, at) : raw })));
      }),
      { numRuns: 2_000 },
    );
  });
});
