import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { foldIncidents } from '../../operator/incidents.js';
import { base, INCIDENT, PROBLEM, story, stored } from './records.js';

const whole = stored(story());

describe('the fold of incidents', () => {
  test('says what an operator wants to know first', () => {
    expect(foldIncidents(whole)).toEqual([
      {
        id: INCIDENT,
        problem: PROBLEM,
        target: { host: 'dauntless', container: '204', resource: 'tcpsndbuf' },
        playbook: 'relieve-container',
        mode: 'auto',
        state: 'resolved',
        openedAt: '2026-11-20T19:29:04Z',
        endedAt: '2026-11-20T19:31:26Z',
        step: 'raise',
        effects: 2,
        undone: 0,
        events: 8,
        lastLine: 'resolved failcnt flat and load 0.4 for 2 m; 2 effects, 0 undone, nobody paged',
        lastAt: '2026-11-20T19:31:26Z',
      },
    ]);
  });

  test('does not depend on the order of delivery, nor on how often each record is delivered', () => {
    const other = stored(story('i-0000000000'), 100);
    const expected = foldIncidents([...whole, ...other]);
    expect(expected.map(({ id }) => id)).toEqual([INCIDENT, 'i-0000000000']);
    const deliveries = fc.shuffledSubarray([...whole, ...other, ...whole, ...other], { minLength: (whole.length + other.length) * 2 });
    fc.assert(
      fc.property(deliveries, (records) => {
        expect(foldIncidents(records)).toEqual(expected);
      }),
    );
  });

  test('every beginning of the stream is an incident that makes sense', () => {
    for (let n = 1; n <= whole.length; n += 1) {
      const [incident] = foldIncidents(whole.slice(0, n));
      expect(incident).toBeDefined();
      expect(incident?.undone).toBeLessThanOrEqual(incident?.effects ?? 0);
      expect(incident?.endedAt !== null).toBe(incident?.state === 'resolved' || incident?.state === 'closed');
    }
  });

  test('an effect that is recorded twice after a restore counts once', () => {
    const again = whole.filter(({ record }) => record.fact === 'outcome').map((s, at) => ({ ...s, seq: 200 + at }));
    expect(foldIncidents([...whole, ...again])[0]?.effects).toBe(2);
  });

  test('an opening event without a batch of its own counts as one', () => {
    const withoutFirst = whole.filter(({ record }) => record.fact !== 'events' || record.count > 1);
    expect(foldIncidents(withoutFirst)[0]?.events).toBe(8);
  });

  test('an incident that is opened again after its end is open', () => {
    const again = stored([{ ...base('20:00:00'), fact: 'state', from: 'resolved', to: 'working', summary: 'again' }], 300);
    expect(foldIncidents([...whole, ...again])[0]).toMatchObject({ state: 'working', endedAt: null });
  });

  test('records without an opening are no incident', () => {
    expect(foldIncidents(whole.slice(1))).toEqual([]);
  });
});
