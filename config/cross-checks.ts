import { EVENT_KINDS } from '../events/event.js';
import { PLAYBOOK_NAMES, PLAYBOOKS, type PlaybookManifest } from '../events/playbooks.js';
import { didYouMean } from './did-you-mean.js';
import { duration, type Policy } from './schema.js';

/** A mistake that no single field shows. `key`: the mistake is the name, not the value. */
export interface Finding {
  path: PropertyKey[];
  message: string;
  hint?: string;
  key?: boolean;
}

/**
 * Everything that must hold between the parts of a configuration. Works on the file's plain data, valid or not, so that all mistakes
 * are reported at once; what the schema reports by itself is passed over here.
 */
export function crossChecks(data: unknown): Finding[] {
  const fleet = asMap(asMap(data)['fleet']);
  const policy = asMap(asMap(data)['policy']);
  const lab = policy['profile'] === 'lab';
  return [
    ...Object.entries(asMap(fleet['hosts'])).flatMap(([name, host]) => [
      ...hostFindings(['fleet', 'hosts', name], asMap(host), Object.keys(asMap(fleet['domains'])), lab),
    ]),
    ...ruleFindings(asList(asMap(data)['rules']).map(asMap)),
    ...policyFindings(policy, lab),
  ];
}

function* hostFindings(path: PropertyKey[], host: Data, domains: string[], lab: boolean): Generator<Finding> {
  const local = host['transport'] === 'local';
  if (!local && host['ssh'] === undefined)
    yield { path, key: true, message: 'a host managed by ssh needs ssh.keyFile and ssh.knownHostsFile', hint: 'or `transport: local` for this machine' };
  if (local && host['ssh'] !== undefined)
    yield { path: [...path, 'ssh'], key: true, message: 'is not used with `transport: local`', hint: 'leave one of them out' };
  // The default address is this machine: right in the lab, and elsewhere a way to operate on the wrong host.
  if (!local && !lab && host['address'] === undefined) yield { path, key: true, message: 'a host managed by ssh needs an address' };
  if (lab && !local && !isLoopback(host['address'] ?? '127.0.0.1')) {
    yield {
      path: host['address'] === undefined ? path : [...path, 'address'],
      message: '`policy.profile: lab` has durations that are only safe for a rehearsal, and this host is not this machine',
      hint: 'use `profile: production`, or a loopback address, or `transport: local`',
    };
  }
  const seen = new Set<unknown>();
  for (const [i, domain] of asList(host['domains']).entries()) {
    if (typeof domain !== 'string') continue;
    if (!domains.includes(domain)) {
      const hint = didYouMean(domain, domains) ?? (domains.length === 0 ? 'fleet.domains is empty' : `fleet.domains has ${domains.slice(0, 10).join(', ')}`);
      yield { path: [...path, 'domains', i], message: `there is no domain ${JSON.stringify(domain)} in fleet.domains`, hint };
    } else if (seen.has(domain)) yield { path: [...path, 'domains', i], message: `${JSON.stringify(domain)} stands here twice` };
    seen.add(domain);
  }
  for (const [id, container] of Object.entries(asMap(host['containers']))) yield* containerFindings([...path, 'containers', id], id, asMap(container));
}

function* containerFindings(path: PropertyKey[], id: string, container: Data): Generator<Finding> {
  if (container['engine'] === 'openvz') {
    // CTID 0 is the host itself: vzctl would act on everything.
    if (!/^([1-9]\d{0,9}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$/i.test(id))
      yield { path, key: true, message: `${JSON.stringify(id)} is not an OpenVZ container id: a number from 1, or a UUID` };
    if (container['cgroup'] !== undefined)
      yield { path: [...path, 'cgroup'], key: true, message: 'is for `engine: cgroup`', hint: 'leave it out, or change the engine' };
  }
  if (container['engine'] === 'cgroup' && container['cgroup'] === undefined)
    yield { path, key: true, message: 'a container with `engine: cgroup` needs `cgroup`, its path below the root of the hierarchy' };
  const runaways = asList(container['runaways']);
  if (runaways.length > 0 && container['service'] === undefined)
    yield {
      path: [...path, 'runaways'],
      key: true,
      message: 'is never used without `service`: only processes of a service that can be restarted are ended',
      hint: 'name the service',
    };
  const protect = asList(container['protect']);
  for (const [i, name] of runaways.entries()) {
    if (protect.includes(name)) yield { path: [...path, 'runaways', i], message: `${JSON.stringify(name)} is also in protect: it cannot be both` };
  }
  for (const [resource, ceiling] of Object.entries(asMap(container['ceilings']))) {
    const { barrier, limit } = asMap(ceiling);
    if (typeof barrier === 'number' && typeof limit === 'number' && barrier > limit)
      yield { path: [...path, 'ceilings', resource, 'limit'], message: `the limit ${limit} is below the barrier ${barrier}` };
  }
}

function* ruleFindings(rules: Data[]): Generator<Finding> {
  const names = new Map<unknown, number>();
  for (const [i, rule] of rules.entries()) {
    const { name, on, playbook } = rule;
    if (typeof name === 'string') {
      const first = names.get(name);
      if (first !== undefined)
        yield { path: ['rules', i, 'name'], message: `rules[${first}] has the name ${JSON.stringify(name)} already: the audit could not tell them apart` };
      else names.set(name, i);
    }
    if (!isPlaybook(playbook) || !EVENT_KINDS.some((kind) => kind === on)) continue;
    const startedBy: readonly string[] = (PLAYBOOKS[playbook] as PlaybookManifest).startedBy;
    if (!startedBy.includes(String(on))) {
      const fitting = PLAYBOOK_NAMES.filter((p) => (PLAYBOOKS[p] as PlaybookManifest).startedBy.some((kind) => kind === on));
      yield {
        path: ['rules', i, 'playbook'],
        message: `${playbook} cannot be started by ${String(on)}, only by ${startedBy.join(', ')}`,
        ...(fitting.length === 0 ? {} : { hint: `${String(on)} can start ${fitting.join(', ')}` }),
      };
    }
  }
}

/**
 * Bounds of each duration, in milliseconds, and what goes wrong outside of them. `profile: lab` is freed from the lower bound only:
 * a rehearsal may be quick, it may not be endless.
 */
const BOUNDS: { path: [keyof Policy, ...string[]]; floor: number; ceiling: number; below: string }[] = [
  { path: ['coalesce'], floor: 100, ceiling: 2_000, below: 'each event of a burst would become a signal of its own' },
  { path: ['eventMaxAge'], floor: 60_000, ceiling: 86_400_000, below: 'events that waited for a restart would all count as stale' },
  { path: ['stormBrake', 'window'], floor: 60_000, ceiling: 3_600_000, below: 'hosts that fail one after the other would not be seen as one storm' },
  { path: ['relieveContainer', 'verifyFor'], floor: 60_000, ceiling: 3_600_000, below: 'a symptom that comes back every minute would count as resolved' },
  { path: ['relieveContainer', 'watchFor'], floor: 5_000, ceiling: 600_000, below: 'a change would be judged before it can work' },
  {
    path: ['relieveContainer', 'enterWithin'],
    floor: 1_000,
    ceiling: 30_000,
    below: 'a container that is merely busy would be taken for one that cannot be entered',
  },
];

function* policyFindings(policy: Data, lab: boolean): Generator<Finding> {
  for (const { path, floor, ceiling, below } of BOUNDS) {
    const written = path.reduce<unknown>((at, part) => asMap(at)[part], policy);
    const parsed = duration.safeParse(written);
    if (!parsed.success) continue;
    if (!lab && parsed.data < floor) {
      yield {
        path: ['policy', ...path],
        message: `${String(written)} is below the floor of ${inWords(floor)} in production: ${below}`,
        hint: `write ${inWords(floor)} or more, or \`profile: lab\` for a fleet that is only this machine`,
      };
    }
    if (parsed.data > ceiling) yield { path: ['policy', ...path], message: `${String(written)} is above the limit of ${inWords(ceiling)}` };
  }
}

type Data = Readonly<Record<string, unknown>>;
const asMap = (value: unknown): Data => (typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Data) : {});
const asList = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const isPlaybook = (name: unknown): name is (typeof PLAYBOOK_NAMES)[number] => PLAYBOOK_NAMES.some((p) => p === name);

/** This machine by name or address. A name is not resolved: what it means may change after the check. */
export const isLoopback = (address: unknown): boolean =>
  typeof address === 'string' && (address.toLowerCase() === 'localhost' || address === '::1' || /^127(\.(25[0-5]|2[0-4]\d|1?\d?\d)){3}$/.test(address));

function inWords(ms: number): string {
  for (const [unit, size] of [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1000],
  ] as const)
    if (ms % size === 0) return `${ms / size}${unit}`;
  return `${ms}ms`;
}
