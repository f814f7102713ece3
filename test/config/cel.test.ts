import { describe, expect, test } from 'vitest';
import { compileRule, conditionContext, ConditionError, type ConditionContext, type Verdict } from '../../config/cel.js';
import { fieldsOf } from '../../config/event-fields.js';
import { config, rule } from '../../config/schema.js';
import { event, EVENT_KINDS, type EventKind, type NightshiftEvent } from '../../events/event.js';
import { PLAYBOOK_NAMES } from '../../events/playbooks.js';

const envelope = { specversion: '1.0', id: '0123456789', source: '/lab/dauntless', time: '2026-11-20T19:29:04Z' } as const;
const spike = event.parse({
  ...envelope,
  type: 'container.failcnt_spike',
  data: { host: 'dauntless', container: '204', resource: 'tcpsndbuf', delta: 412, intervalSeconds: 1.5, held: 4_000_000, barrier: 4_000_000, limit: 5_000_000 },
});
const lockdown = event.parse({
  ...envelope,
  type: 'firewall.lockdown',
  data: { host: 'dauntless', policy: 'drop', closedPorts: [22, 443], rulesetSha256: 'a'.repeat(64) },
});
const context: ConditionContext = { site: 'lab', host: { name: 'dauntless', domains: ['rack-1', 'feed-a'], owners: ['hosting'] } };

const ruleFor = (when: string | undefined, on: EventKind = 'container.failcnt_spike') =>
  rule.parse({ name: 'r', on, playbook: PLAYBOOK_NAMES[0], ...(when === undefined ? {} : { when }) });
const verdict = (when: string, on: NightshiftEvent = spike): Verdict => compileRule(ruleFor(when, on.type)).matches(on, context);
const refusal = (when: string, on: EventKind = 'container.failcnt_spike'): string => {
  try {
    compileRule(ruleFor(when, on));
  } catch (error) {
    if (error instanceof ConditionError) return error.message;
    throw error;
  }
  return 'accepted';
};

describe('conditions that hold', () => {
  test.each([
    'event.delta >= 5',
    'event.delta > 1.5',
    'event.delta == 412',
    'event.delta in [411, 412]',
    'event.delta % 2 == 0',
    'event.held == event.barrier',
    'event.limit - event.held <= 1000000',
    'event.intervalSeconds > 1',
    'event.intervalSeconds == 1.5',
    'double(event.delta) / event.intervalSeconds > 200.0',
    'int(event.intervalSeconds) == 1',
    'event.resource == "tcpsndbuf"',
    'event.container == "204"',
    'event.host == host.name',
    '"rack-1" in host.domains',
    'host.domains.exists(d, d.startsWith("rack-"))',
    'size(host.owners) == 1',
    'site == "lab" ? event.delta > 100 : event.delta > 1000',
    '!(event.delta < 5)',
    'host.domains.filter(d, d == "feed-a").size() == 1',
    'host.domains[0] == "rack-1"',
    'event.host.matches("^daunt.*s$")',
    '(event.host) . matches("DAUNT(?i)") == false',
    'has(event.delta)',
    '// why\nevent.delta >= 5',
  ])('%s', (when) => expect(verdict(when)).toEqual({ matched: true }));

  test('a list in an event can be searched', () => {
    expect(verdict('22 in event.closedPorts && event.closedPorts.all(p, p < 1024)', lockdown)).toEqual({ matched: true });
    expect(verdict('event.closedPorts.exists(p, p == 80)', lockdown)).toEqual({ matched: false });
  });

  test('a figure as large as JSON carries exactly is compared exactly', () => {
    const large = { ...spike, data: { ...spike.data, delta: Number.MAX_SAFE_INTEGER } } as NightshiftEvent;
    expect(verdict(`event.delta == ${Number.MAX_SAFE_INTEGER} && event.delta > ${Number.MAX_SAFE_INTEGER - 1}`, large)).toEqual({ matched: true });
  });

  test('a rule without a condition holds for every event of its kind, and for no other', () => {
    const compiled = compileRule(ruleFor(undefined));
    expect(compiled.matches(spike, context)).toEqual({ matched: true });
    expect(compiled.matches(lockdown, context)).toEqual({ matched: false });
  });

  test('a rule of another kind is not asked about fields that the event does not have', () => {
    expect(compileRule(ruleFor('event.delta >= 5')).matches(lockdown, context)).toEqual({ matched: false });
  });
});

describe('conditions that are refused when the file is loaded', () => {
  test.each([
    ['event.detla >= 5', 'did you mean "delta"?'],
    ['has(event.detla)', 'did you mean "delta"?'],
    ['event["delta"] > 1', 'event is read by name'],
    ['event[site] > 1', 'event is read by name'],
    ['event.constructor == 1', 'has no field "constructor"'],
    ['event.__proto__ == 1', 'has no field "__proto__"'],
    ['hots.name == "x"', 'did you mean "host"?'],
    ['host.domain == "x"', 'did you mean "domains"?'],
    ['event.delta >= "5"', 'text stands in quotes'],
    ['event.delta / 2.0 > 1.0', 'int and double'],
    ['event.intervalSeconds * 2 > 1.0', 'write 2.0'],
    ['event.resource == "tcpsendbuf"', 'did you mean "tcpsndbuf"?'],
    ['"tcpsendbuf" == event.resource', 'did you mean "tcpsndbuf"?'],
    ['event.resource in ["tcpsndbuf", "tcprcvbuff"]', 'did you mean "tcprcvbuf"?'],
    ['event.delta', 'must be true or false'],
    ['"x"', 'must be true or false'],
    ['event.delta >', 'ends too early'],
    ['event.delta >= 5 &&& true', 'unexpected'],
    ['event.host.matches("(")', 'not an RE2 pattern'],
    ['event.host.matches("(?<=a)b")', 'RE2 has no look-ahead'],
    ['event.host.matches(site)', 'written out in quotes'],
    ['event.host.rematch("a")', 'there is no function "rematch"'],
    ['cel.bind(x, site + site, x == x)', 'there is no function "bind"'],
    ['["a"].map(x, x + x) == ["aa"]', 'there is no function "map"'],
    ['host.domains.exists(a, host.domains.exists(b, a == b))', 'one loop at a time'],
    ['host.domains.exists(event, event == "x")', 'name the element otherwise'],
    ['timestamp("2026-01-01T00:00:00Z") > timestamp("2025-01-01T00:00:00Z")', 'there is no function "timestamp"'],
    ['{"a": 1}["a"] == 1', 'too large'],
    [`true${' || true'.repeat(150)}`, 'too large'],
    [`${'('.repeat(100)}true${')'.repeat(100)}`, 'too large'],
  ])('%s', (when, why) => expect(refusal(when).toLowerCase()).toContain(why.toLowerCase()));

  test('all unknown fields of a condition are named at once, each where it stands', () => {
    try {
      compileRule(ruleFor('event.detla >= 5 && event.hled > 1'));
      expect.unreachable();
    } catch (error) {
      expect((error as ConditionError).problems.map((p) => p.offset)).toEqual([6, 26]);
    }
  });
});

describe('patterns', () => {
  test('a pattern that would keep a backtracking engine busy for ever takes no time', () => {
    const compiled = compileRule(ruleFor('event.detail.matches("^(a+)+$")', 'host.unreachable'));
    const unreachable = event.parse({
      ...envelope,
      type: 'host.unreachable',
      data: { host: 'dauntless', witness: 'w', path: 'ping', sinceSeconds: 3, detail: `${'a'.repeat(298)}!` },
    });
    const start = performance.now();
    expect(compiled.matches(unreachable, context)).toEqual({ matched: false });
    expect(performance.now() - start).toBeLessThan(200);
  });

  test('two patterns in one condition are not mixed up', () => {
    expect(verdict('event.host.matches("^d") && !event.host.matches("^x") && event.resource.matches("buf$")')).toEqual({ matched: true });
  });

  test('the word in a text is not mistaken for the call', () => {
    expect(verdict('event.host != ".matches(" && event.host.matches("a")')).toEqual({ matched: true });
  });
});

test('an evaluation that fails counts as no match and says why', () => {
  const found = verdict('event.limit / (event.held - event.barrier) > 1');
  expect(found).toEqual({ matched: false, error: 'division by zero in "event.limit / (event.held - event.barrier) > 1"' });
});

test('an element that is not there is an error, not a match', () => {
  expect(verdict('host.domains[7] == "x"')).toMatchObject({ matched: false, error: expect.stringContaining('host.domains[7]') as string });
});

test.each(EVENT_KINDS)('every field of %s can be read', (kind) => {
  const { fields, optional } = fieldsOf(kind);
  for (const [name, field] of Object.entries(fields)) {
    const when = {
      string: `event.${name} != "?"`,
      int: `event.${name} >= 0`,
      double: `event.${name} >= 0.0`,
      bool: `event.${name} || true`,
      list: `size(event.${name}) >= 0`,
      map: 'true',
    }[field.type];
    // A closed list of values does not contain "?": that is refused, which is the point of knowing it.
    const readable = field.type === 'string' && field.values !== undefined ? `size(event.${name}) > 0` : when;
    expect(refusal(optional.has(name) ? `has(event.${name}) && (${readable})` : readable, kind)).toBe('accepted');
    if (optional.has(name)) expect(refusal(readable, kind)).toContain(`write has(event.${name}) && ...`);
  }
});

test('the context of a condition comes from the inventory, and an unknown host has none', () => {
  const inventory = config.parse({
    version: 1,
    site: 'lab',
    rules: [],
    fleet: { domains: { 'rack-1': {} }, hosts: { dauntless: { transport: 'local', domains: ['rack-1'], owners: ['hosting'] } } },
  });
  expect(conditionContext(inventory, 'dauntless')).toEqual({ site: 'lab', host: { name: 'dauntless', domains: ['rack-1'], owners: ['hosting'] } });
  expect(conditionContext(inventory, 'toString')).toBeNull();
});

test('a condition costs microseconds: 500 rules are no burden to an event', () => {
  const compiled = compileRule(ruleFor('event.resource == "tcpsndbuf" && event.delta >= 5 && "rack-1" in host.domains'));
  const start = performance.now();
  for (let i = 0; i < 10_000; i += 1) compiled.matches(spike, context);
  expect((performance.now() - start) / 10_000).toBeLessThan(0.1);
});
