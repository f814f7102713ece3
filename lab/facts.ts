import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { agentSources } from '../stack/settings.js';

/** What the lab is on this machine: found out once by `prepareLab`, kept in `LABDIR/facts.json`, read by everybody who needs it. */
export const labFacts = z.strictObject({
  /** Holds all of the lab: what `prepareLab` was given. */
  labDir: z.string(),
  host: z.string(),
  container: z.string(),
  /** What stands for the host's disk: its /etc, /var, /proc/user_beancounters and tools are below here. */
  hostDir: z.string(),
  /** How the effector reaches it. `local`: it manages this machine, because there is no sshd to reach the lab by. */
  transport: z.enum(['ssh', 'local']),
  /** The host has a pid, mount, uts and ipc namespace of its own. The network is this machine's. */
  namespaces: z.boolean(),
  /** What stands for the container's resource group. */
  group: z.enum(['cgroup1', 'cgroup2', 'session']),
  address: z.literal('127.0.0.1'),
  sshPort: z.int(),
  user: z.string(),
  /** The effector's key: its forced command is the far-side helper. Null without sshd. */
  keyFile: z.string().nullable(),
  /** A key whose forced command only reads counters, for an agent that samples over ssh. Null without sshd. */
  countersKeyFile: z.string().nullable(),
  knownHostsFile: z.string().nullable(),
  /** The helper as the host has it, and its configuration. */
  helperFile: z.string(),
  helperConfigFile: z.string(),
  /** Where an agent on the host finds what it watches. */
  agentSources,
  /** In plain words: what stands for what here. For the terminal. */
  notes: z.array(z.string()),
});
export type LabFacts = z.infer<typeof labFacts>;

export const factsFile = (labDir: string): string => join(labDir, 'facts.json');

/** Throws an Error that says how to get one when there is no lab below `labDir`. */
export function readLabFacts(labDir: string): LabFacts {
  let text: string;
  try {
    text = readFileSync(factsFile(labDir), 'utf8');
  } catch (cause) {
    throw new Error(`no lab has been prepared below ${labDir}: \`npm start\` does that`, { cause });
  }
  return labFacts.parse(JSON.parse(text));
}
