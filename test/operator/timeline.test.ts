import { describe, expect, test } from 'vitest';
import type { AuditRecord } from '../../events/audit.js';
import { timeline, timelineLine } from '../../operator/timeline.js';
import { displayWidth } from '../../operator/width.js';
import { HOSTILE } from './hostile.js';
import { base, INCIDENT, story, stored } from './records.js';

const UTC = { utc: true };

describe('a timeline', () => {
  test('reads as the house style says it should', () => {
    expect(timeline(stored(story()), UTC)).toEqual([
      '19:29:03 seen     container 204 on dauntless: tcpsndbuf failcnt +412 in 1 s (held 4.0 MB of 4.0 MB), load 3.1 rising\n' +
        '19:29:04 opened   relieve-container, auto, for dauntless/204/tcpsndbuf (i-4c8f2k0m9x)',
      '19:29:05 looked   34 processes of uid 33, oldest 6 m; cannot enter the container (2 s)',
      '19:29:05 decided  end 31 of 34 httpd from the host (cannot-enter)',
      '19:29:09 killed   31 of 34 httpd from the host, 4 s; left: init, sshd, 1 cron',
      '19:29:09 seen     7 events; last: container 204 on dauntless: tcpsndbuf failcnt +3 in 1 s (held 1.0 MB of 4.0 MB)',
      '19:29:10 done     httpd restarted in the container',
      '19:29:26 refused  raise tcpsndbuf: failcnt has been flat for 15 s (trigger-gone)',
      '19:30:00 noted    ana: the customer\\u{202e} has a sale\\x1b[2J today',
      '19:31:26 resolved failcnt flat and load 0.4 for 2 m; 2 effects, 0 undone, nobody paged',
    ]);
  });

  test('wraps at 80 columns under the text, and loses nothing', () => {
    const wide = timeline(stored(story()), UTC).join('\n');
    const narrow = timeline(stored(story()), { ...UTC, columns: 80 }).join('\n');
    for (const line of narrow.split('\n')) expect(displayWidth(line)).toBeLessThanOrEqual(80);
    expect(narrow).toContain('in 1 s\n                  (held 4.0 MB of 4.0 MB), load 3.1 rising\n');
    expect(narrow.replaceAll(/\n {18}/g, ' ')).toBe(wide);
  });

  test('an unfinished effect shows as what is being done', () => {
    const records = stored(story()).filter(({ record }) => record.fact !== 'outcome');
    expect(timeline(records, UTC)).toContain('19:29:05 acts     end runaway httpd until the container can be entered');
  });

  test('does not depend on the order or the number of times its records arrive', () => {
    const records = stored(story());
    expect(timeline([...records, ...records].reverse(), UTC)).toEqual(timeline(records, UTC));
  });

  test('failed and unknown are words of their own', () => {
    const outcome = (state: 'failed' | 'unknown'): AuditRecord => ({
      ...base('10:00:00'),
      fact: 'outcome',
      step: 'kill',
      verb: 'container.ensure-enterable',
      operation: 'x',
      state,
      changed: false,
      tookMs: 1,
      summary: 'dauntless did not answer',
      data: {},
    });
    expect(stored([outcome('failed'), outcome('unknown')]).map((s) => timelineLine(s, UTC))).toEqual([
      '10:00:00 failed   dauntless did not answer',
      '10:00:00 unknown  dauntless did not answer',
    ]);
  });

  test('an observer whose clock is an hour wrong does not make it run backwards', () => {
    const [opened] = story();
    if (opened?.fact !== 'opened') throw new Error('the story begins with its opening');
    const late = { ...opened, trigger: { ...opened.trigger, time: '2026-11-20T20:29:03Z' } };
    expect(timelineLine({ seq: 1, receivedAt: late.at, record: late }, UTC)).toMatch(/^19:29:04 seen/);
  });

  test('a decision not to do something reads like a refusal', () => {
    const record: AuditRecord = {
      ...base('19:29:26'),
      fact: 'decided',
      step: 'choose-limit',
      decision: 'no-raise',
      reason: 'flat',
      summary: 'raise tcpsndbuf: not needed, failcnt has been flat for 15 s',
    };
    expect(timelineLine({ seq: 1, receivedAt: record.at, record }, UTC)).toBe('19:29:26 refused  raise tcpsndbuf: not needed, failcnt has been flat for 15 s');
  });

  test('records of the site have lines too', () => {
    const { incident: _, ...site } = base('10:00:00');
    const lines = stored([
      { ...site, fact: 'config', accepted: false, config: '0', file: '/n.yaml', problems: ['n.yaml:3:1 rules: is missing'] },
      { ...site, fact: 'deadletters', reason: 'bad-schema', host: null, count: 3 },
      { ...site, fact: 'stack', role: 'engine', change: 'restarted', summary: 'ended by SIGKILL, started again' },
    ]).map((s) => timelineLine(s, UTC));
    expect(lines).toEqual([
      '10:00:00 config   /n.yaml refused: n.yaml:3:1 rules: is missing',
      '10:00:00 refused  3 messages of an unknown host: bad-schema',
      '10:00:00 stack    engine restarted: ended by SIGKILL, started again',
    ]);
  });

  test.each(HOSTILE)('is one line a fact, whatever a summary holds: %s', (_name, text) => {
    const line = timelineLine(
      { seq: 1, receivedAt: '', record: { ...base('10:00:00'), fact: 'looked', step: 'look', tookMs: 1, summary: text, evidence: {} } },
      UTC,
    );
    expect(line).toMatch(/^10:00:00 looked   [^\p{Cc}\p{Cf}]*$/u);
  });

  test('colour paints the verb only, and only when asked', () => {
    const resolved = stored(story()).find(({ record }) => record.fact === 'state' && record.to === 'resolved');
    if (resolved === undefined) throw new Error('the story ends resolved');
    expect(timelineLine(resolved, { ...UTC, color: true })).toBe(
      '19:31:26 \x1b[32mresolved\x1b[0m failcnt flat and load 0.4 for 2 m; 2 effects, 0 undone, nobody paged',
    );
    expect(timelineLine(resolved, UTC)).not.toContain('\x1b');
  });

  test('names its incident once, in the opening', () => {
    expect(timeline(stored(story()), UTC).join('\n').split(INCIDENT)).toHaveLength(2);
  });
});
