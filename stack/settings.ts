import { readFileSync } from 'node:fs';
import { z } from 'zod';

/**
 * What one process of ours is told when it starts: `DIR/run/<role>.json`, written by the supervisor, read once by the entry point.
 * Nothing else reads the environment. Secrets are paths.
 */
const common = z.object({
  site: z.string(),
  /** The stack's directory. */
  dir: z.string(),
  /** What this process keeps between restarts. */
  dataDir: z.string(),
  healthPort: z.int(),
  logLevel: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
  nats: z.object({ servers: z.string(), credentialsFile: z.string().optional(), inboxPrefix: z.string().default('_INBOX') }),
});
const temporal = z.object({ address: z.string(), namespace: z.string() });

export const engineSettings = common.extend({
  role: z.literal('engine'),
  temporal,
  /** The nightshift.yaml to load, and to load again on request. */
  configFile: z.string(),
  /** The workflow bundle made at build time. */
  bundleFile: z.string(),
});
export const effectorSettings = common.extend({
  role: z.literal('effector'),
  temporal,
  configFile: z.string(),
  helperFile: z.string(),
  /** For rehearsals only, refused unless the policy's profile is `lab`: a file that says at which arrow of the effect protocol to crash or to stall. */
  failpoints: z.string().optional(),
});

/** Where an agent finds the counters of its host; null: this host has none of that kind. */
export const agentSources = z.object({
  beancounters: z.string().nullable().default('/proc/user_beancounters'),
  /** cgroup v2 hierarchy root, or null. */
  cgroup2: z.string().nullable().default(null),
  /** cgroup v1 memory hierarchy root, or null. */
  cgroup1Memory: z.string().nullable().default(null),
  /** cgroups to watch, below those roots: container name -> path. */
  containers: z.record(z.string(), z.string()).default({}),
  /** Each direct child of those roots is a container, by its own name; `containers` is not read then. */
  watchAll: z.boolean().default(false),
  proc: z.string().default('/proc'),
});
export const agentSettings = common.extend({
  role: z.literal('agent'),
  host: z.string(),
  sampleEveryMs: z.int().min(100).default(1000),
  /** A standing condition is said again this often. */
  reassertEveryMs: z.int().min(1000).default(60_000),
  /** No refusals for this long: the spike is over. */
  quietAfterMs: z.int().min(1000).default(10_000),
  /** The spool refuses new samples, aloud, beyond this. */
  spoolMaxBytes: z
    .int()
    .positive()
    .default(64 * 1024 * 1024),
  sources: agentSources,
  /** Sample another host over SSH with a read-only key instead of reading this machine. */
  viaSsh: z.object({ address: z.string(), port: z.int(), user: z.string(), keyFile: z.string(), knownHostsFile: z.string() }).optional(),
});
export const labSettings = common.extend({ role: z.literal('lab'), host: z.string(), sshPort: z.int(), labDir: z.string() });

export const settings = z.discriminatedUnion('role', [engineSettings, effectorSettings, agentSettings, labSettings]);
export type Settings = z.infer<typeof settings>;
export type SettingsOf<R extends Settings['role']> = Extract<Settings, { role: R }>;

/** Reads the file named by `--settings` in `argv` for a process of that role. Throws an Error that names the file and what is wrong in it. */
export function readSettings<R extends Settings['role']>(role: R, argv: readonly string[]): SettingsOf<R> {
  const at = argv.indexOf('--settings');
  const file = at >= 0 ? argv[at + 1] : undefined;
  if (file === undefined) throw new Error(`${role}: usage: --settings FILE`);
  const parsed = settings.safeParse(JSON.parse(readFileSync(file, 'utf8')));
  if (!parsed.success) throw new Error(`${file}: ${z.prettifyError(parsed.error)}`);
  if (parsed.data.role !== role) throw new Error(`${file} is for ${parsed.data.role}, not for ${role}`);
  return parsed.data as SettingsOf<R>;
}
