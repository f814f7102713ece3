import { z } from 'zod';
import { containerId, token } from '../events/envelope.js';
import { resource } from '../events/kinds/container.js';
import { EVENT_KINDS } from '../events/event.js';
import { PLAYBOOK_NAMES, VERB_NAMES } from '../events/playbooks.js';

/** `250ms`, `90s`, `15m`, `3h`, `7d`; inside Nightshift always milliseconds. */
export const duration = z
  .string()
  .regex(/^[1-9]\d{0,6}(ms|s|m|h|d)$/, 'a duration like 250ms, 90s, 15m, 3h or 7d')
  .transform((text) => {
    const unit = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }[text.replace(/^\d+/, '') as 'ms' | 's' | 'm' | 'h' | 'd'];
    return Number.parseInt(text, 10) * unit;
  });

/** A path of a file; relative ones are taken from the directory of nightshift.yaml. Secrets are only ever named so. */
const file = z.string().min(1).max(1024);

/** The name of a service as its init script is called. It reaches a remote argv, so it is narrow. */
const serviceName = z.string().regex(/^[a-z0-9][a-z0-9@._-]{0,62}$/i, 'letters, digits, "@", ".", "_", "-"');
/** A process name as in /proc/PID/stat, at most 15 bytes. */
const processName = z.string().regex(/^[a-z0-9][a-z0-9._+:-]{0,14}$/i, 'a process name as `ps -o comm` shows it');

const veto = z.strictObject({
  verb: z.enum(VERB_NAMES),
  owner: z.string().min(1).max(80),
  reason: z.string().min(1).max(300),
  /** RFC 3339; the veto ends by itself. */
  until: z.iso.datetime({ offset: true }),
});

const limits = z.strictObject({ barrier: z.int().nonnegative(), limit: z.int().nonnegative() });

export const container = z.strictObject({
  /** How it is managed: OpenVZ by vzctl, or a plain cgroup. */
  engine: z.enum(['openvz', 'cgroup']),
  /** For `cgroup`: its path below the hierarchy's root, such as `lab/shop`. */
  cgroup: z
    .string()
    .regex(/^[a-zA-Z0-9][a-zA-Z0-9._/-]{0,200}$/)
    .refine((p) => !p.includes('..'), 'no ".."')
    .optional(),
  /** The service whose runaway processes may be ended and which may be restarted. Without it only the limit may be touched. */
  service: serviceName.optional(),
  /** Process names of that service: only these are ever ended. */
  runaways: z.array(processName).max(20).default([]),
  owners: z.array(z.string().min(1).max(80)).max(10).default([]),
  /** Never ended, beside the built-in list (init, sshd, cron, agents, databases...). */
  protect: z.array(processName).max(50).default([]),
  /** The highest barrier and limit that a playbook may set, per resource. Without an entry the resource's limit is never raised. */
  ceilings: z.partialRecord(resource, limits).default({}),
  vetoes: z.array(veto).max(20).default([]),
});
export type Container = z.infer<typeof container>;

const ssh = z.strictObject({
  user: z
    .string()
    .regex(/^[a-z_][a-z0-9_-]{0,31}$/)
    .default('root'),
  port: z.int().min(1).max(65535).default(22),
  /** Private key whose forced command is the Nightshift helper. */
  keyFile: file,
  /** known_hosts with the host's key pinned. There is no other way to trust a host. */
  knownHostsFile: file,
});

/** What one field cannot know about another (an ssh host needs keys, a domain must exist) is in cross-checks.ts, so that one mistake does not hide the next. */
export const host = z.strictObject({
  /** Name or address that OpenSSH connects to. */
  address: z
    .string()
    .regex(/^[a-z0-9][a-z0-9.:-]{0,252}$/i, 'a host name or an IP address')
    .default('127.0.0.1'),
  /** `local`: the machine the effector runs on. */
  transport: z.enum(['ssh', 'local']).default('ssh'),
  ssh: ssh.optional(),
  /** For `local`: the helper's configuration file on this machine. */
  helperConfigFile: file.optional(),
  domains: z.array(token).max(10).default([]),
  owners: z.array(z.string().min(1).max(80)).max(10).default([]),
  containers: z.record(containerId, container).default({}),
});
export type Host = z.infer<typeof host>;

export const rule = z.strictObject({
  name: token,
  on: z.enum(EVENT_KINDS),
  /** CEL over `event` (the data of the event), `host` and `site`; type-checked when the file is loaded. True when absent. */
  when: z.string().min(1).max(2000).optional(),
  playbook: z.enum(PLAYBOOK_NAMES),
  /** `auto`: acts by itself within policy. `approve`: a person decides each effect. `shadow`: writes what it would do. */
  mode: z.enum(['auto', 'approve', 'shadow']).default('approve'),
});
export type Rule = z.infer<typeof rule>;

/** Each duration has a production default; `profile: lab` may shorten them, and is refused for any fleet that is not this machine. */
export const policy = z.strictObject({
  profile: z.enum(['production', 'lab']).default('production'),
  /** Events of one problem that arrive within this time are handed on together. */
  coalesce: duration.prefault('250ms'),
  /** Older events start a fresh look, not an act. */
  eventMaxAge: duration.prefault('10m'),
  stormBrake: z
    .strictObject({
      window: duration.prefault('5m'),
      /** The brake trips at max(minHosts, share of the domain). */
      minHosts: z.int().min(2).default(2),
      share: z.number().positive().max(1).default(0.2),
    })
    .prefault({}),
  relieveContainer: z
    .strictObject({
      /** The symptom must stay away this long before the incident counts as resolved. */
      verifyFor: duration.prefault('2m'),
      /** How long each change is watched before the next is decided. */
      watchFor: duration.prefault('15s'),
      /** At most this many processes are ended in one incident. */
      maxKills: z.int().min(1).max(500).default(100),
      /** At most this many raises of the limit, each by `raiseFactor`. */
      maxRaises: z.int().min(0).max(10).default(5),
      raiseFactor: z.number().min(1.05).max(2).default(1.25),
      /** A container that answers within this time can be entered. */
      enterWithin: duration.prefault('5s'),
    })
    .prefault({}),
});
export type Policy = z.infer<typeof policy>;

export const config = z.strictObject({
  version: z.literal(1),
  site: token,
  fleet: z.strictObject({
    /** Failure domains: rack, power feed, replica set, cluster. The site itself is one, always. */
    domains: z.record(token, z.strictObject({ about: z.string().max(300).optional() })).default({}),
    hosts: z.record(token, host),
  }),
  rules: z.array(rule).max(500),
  policy: policy.prefault({}),
});
export type Config = z.infer<typeof config>;

/** A configuration in force: the parsed file and the hash that names this version of it everywhere (first 12 hex digits of SHA-256 over the file). */
export interface LoadedConfig {
  config: Config;
  version: string;
  file: string;
}
