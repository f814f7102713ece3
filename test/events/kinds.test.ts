import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { aspectOf, event, EVENT_KINDS, FAILING, KIND_CLASS, type EventKind, type NightshiftEvent } from '../../events/event.js';
import { PLAYBOOKS, VERBS, type PlaybookManifest } from '../../events/playbooks.js';

const envelope = {
  specversion: '1.0',
  id: '5c3de0d4-6a0c-4d3e-9d0b-1f2e3d4c5b6a',
  source: '/lab/dauntless',
  time: '2026-11-20T19:29:04.120Z',
  assertion: 'edge',
};
const limits = { host: 'dauntless', container: '204', resource: 'tcpsndbuf', held: 4_000_000, barrier: 4_000_000, limit: 5_000_000 };
/** One event of each kind as it travels. A new kind does not compile until it has one. */
const SAMPLES: Record<EventKind, object> = {
  'container.failcnt_spike': { ...limits, delta: 412, intervalSeconds: 1 },
  'container.failcnt_quiet': { ...limits, quietSeconds: 12.5 },
  'host.load_slope': { host: 'dauntless', load1: 35.2, load1Before: 3.1, intervalSeconds: 60, cores: 8 },
  'host.unreachable': { host: 'dauntless', witness: 'intrepid', path: 'ping', sinceSeconds: 30, detail: 'no answer' },
  'host.reachable': { host: 'dauntless', witness: 'intrepid', path: 'ssh' },
  'gluster.heal_started': { host: 'st3', volume: 'vm_images', pendingEntries: 12 },
  'gluster.heal_finished': { host: 'st3', volume: 'vm_images', tookSeconds: 5400 },
  'firewall.lockdown': { host: 'dauntless', policy: 'drop', closedPorts: [22, 443], rulesetSha256: 'a'.repeat(64) },
};
const sample = (type: EventKind): Record<string, unknown> & { data: Record<string, unknown> } => ({ ...envelope, type, data: { ...SAMPLES[type] } });

describe.each(EVENT_KINDS)('%s', (kind) => {
  test('means after the journey what it meant before', () => {
    expect(event.parse(JSON.parse(JSON.stringify(sample(kind))))).toEqual(sample(kind));
  });

  test('is refused with any field missing', () => {
    for (const field of Object.keys(SAMPLES[kind])) {
      if (field === 'detail') continue; // The one field with a default: an empty detail.
      const { [field]: _, ...data } = sample(kind).data;
      expect(event.safeParse({ ...sample(kind), data }).success, field).toBe(false);
    }
    for (const field of ['specversion', 'id', 'source', 'type', 'time', 'data'])
      expect(event.safeParse({ ...sample(kind), [field]: undefined }).success, field).toBe(false);
  });

  test('is refused with anything added: an event is a statement that somebody acts upon', () => {
    expect(event.safeParse({ ...sample(kind), extra: 1 }).success).toBe(false);
    expect(event.safeParse({ ...sample(kind), data: { ...sample(kind).data, extra: 1 } }).success).toBe(false);
    expect(event.safeParse(JSON.parse(JSON.stringify(sample(kind)).replace('"data":{', '"data":{"constructor":1,'))).success).toBe(false);
  });

  test('is refused with a value of another type or out of range in any field', () => {
    for (const [field, value] of Object.entries(SAMPLES[kind])) {
      const wrong = [null, {}, [[]], true, 'x'.repeat(1000), '\u0000', typeof value === 'number' ? -1 : 7, Number.NaN, 1e300];
      // Seconds that have no upper bound take 1e300 for what it is worth; everything else must go.
      for (const bad of wrong) {
        const unbounded = bad === 1e300 && ['quietSeconds', 'sinceSeconds', 'tookSeconds'].includes(field);
        // `detail` is what a witness saw, in its own words: it is shown, inert, and used for nothing.
        const freeText = bad === '\u0000' && field === 'detail';
        if (!unbounded && !freeText)
          expect(
            event.safeParse({ ...sample(kind), data: { ...sample(kind).data, [field]: bad } }).success,
            `${field} ${JSON.stringify(bad).slice(0, 20)}`,
          ).toBe(false);
      }
    }
  });

  test('names its problem in words that can stand in an id', () => {
    expect(aspectOf(event.parse(sample(kind)))).toMatch(/^[a-zA-Z0-9][a-zA-Z0-9._/-]*$/);
  });

  test('is published on the class that its name begins with', () => expect(kind.startsWith(`${KIND_CLASS[kind]}.`)).toBe(true));
});

test('what opens a problem and what ends it speak of the same one', () => {
  const of = (kind: EventKind): string => aspectOf(event.parse(sample(kind)));
  expect(of('container.failcnt_quiet')).toBe(of('container.failcnt_spike'));
  expect(of('host.reachable')).toBe(of('host.unreachable'));
  expect(of('gluster.heal_finished')).toBe(of('gluster.heal_started'));
  expect(of('host.load_slope')).not.toBe(of('host.unreachable'));
});

test('two limits of one container are two problems', () => {
  const spike = (resource: string): NightshiftEvent =>
    event.parse({ ...sample('container.failcnt_spike'), data: { ...sample('container.failcnt_spike').data, resource } });
  expect(aspectOf(spike('tcpsndbuf'))).not.toBe(aspectOf(spike('tcprcvbuf')));
});

test('whatever else arrives is refused without an exception', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.json().map((text): unknown => JSON.parse(text)),
        fc.anything(),
      ),
      (value) => {
        expect(event.safeParse(value).success).toBe(false);
      },
    ),
  );
});

test('a name out of the prototype is not a kind', () => {
  for (const type of ['__proto__', 'constructor', 'toString', 'hasOwnProperty'])
    expect(event.safeParse({ ...sample('host.reachable'), type }).success).toBe(false);
});

test('playbooks are started by kinds and use verbs that exist', () => {
  const manifests: Record<string, PlaybookManifest> = PLAYBOOKS;
  for (const [name, { startedBy, verbs }] of Object.entries(manifests)) {
    expect(
      startedBy.filter((kind) => !EVENT_KINDS.includes(kind)),
      name,
    ).toEqual([]);
    expect(
      verbs.filter((verb) => !(verb in VERBS)),
      name,
    ).toEqual([]);
  }
  expect([...FAILING].filter((kind) => !EVENT_KINDS.includes(kind))).toEqual([]);
});
