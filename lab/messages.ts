import { z } from 'zod';
import { hostLogLine } from './host-log.js';

/** Requests to the lab, `lab.<site>.<verb>` on NATS, JSON in and out. They are for drills and tests: nothing that heals ever uses them. */
export const SCENES = ['surge', 'blip'] as const;
export type Scene = (typeof SCENES)[number];

export const requests = {
  state: z.strictObject({}),
  /** Default limits, nothing misbehaves, the container freshly started with six quiet workers. */
  reset: z.strictObject({}),
  play: z.strictObject({
    scene: z.enum(SCENES),
    /** Written behind the workers' command line, for the tests that want to see hostile text reach nothing. */
    workerArgs: z
      .array(
        z
          .string()
          .max(500)
          .refine((text) => !text.includes('\0'), 'an argument cannot hold NUL'),
      )
      .max(20)
      .default([]),
  }),
  /** The host's own log from byte `from` on. */
  log: z.strictObject({ from: z.int().nonnegative().default(0) }),
  /**
   * Lets the fakes lie, hang or fail: keys are a vzctl action (`set`, `status`, `exec2`...), `vzctl` for all of them, or `beancounters`.
   * Values: `slow:SECONDS`, `hang`, `lie` (exit 0, no effect), `locked` (exit 9), `fail:CODE`; for beancounters `half`, `missing`, `stale`. An empty object ends it.
   */
  misbehave: z.strictObject({
    how: z.record(z.string().regex(/^[a-z0-9]{1,20}$/), z.string().regex(/^(slow:\d{1,4}(\.\d{1,3})?|hang|lie|locked|fail:\d{1,3}|half|missing|stale)$/)),
  }),
} as const;
export type LabVerb = keyof typeof requests;
export type LabRequest<V extends LabVerb> = z.input<(typeof requests)[V]>;

export const labState = z.object({
  host: z.string(),
  container: z.string(),
  running: z.boolean(),
  scene: z.string(),
  enterable: z.boolean(),
  workers: z.int(),
  stuck: z.int(),
  processes: z.int(),
  tcpsndbuf: z.object({ held: z.number(), maxheld: z.number(), barrier: z.number(), limit: z.number(), failcnt: z.number() }),
  /** Bytes of the host's log so far: where a drill begins to read. */
  logEnd: z.int(),
  misbehaves: z.record(z.string(), z.string()),
});
export type LabState = z.infer<typeof labState>;

export const replies = {
  state: labState,
  reset: labState,
  play: labState,
  log: z.object({ lines: z.array(hostLogLine), next: z.int() }),
  misbehave: labState,
} as const;
export type LabReply<V extends LabVerb> = z.infer<(typeof replies)[V]>;

/** What travels back: the reply, or why not. */
export const envelope = z.union([z.object({ ok: z.literal(true), reply: z.unknown() }), z.object({ ok: z.literal(false), error: z.string() })]);

export const labSubject = (site: string, verb: LabVerb): string => `lab.${site}.${verb}`;
