import { readHostLog } from './host-log.js';
import type { LabFacts } from './facts.js';
import { makeCgroup } from './kernel/cgroups.js';
import { bootHost } from './kernel/host.js';
import { startKernel, type Kernel } from './kernel/kernel.js';
import { createRecorder, endLeftBehind } from './kernel/left-behind.js';
import { requests, type LabReply, type LabVerb } from './messages.js';
import { cgroupName, findTool } from './prepare.js';

/** A lab host that is up. */
export interface Lab {
  /** Answers one request, already as JSON; rejects with an Error for people. */
  answer(verb: LabVerb, request: unknown): Promise<LabReply<LabVerb>>;
  kernel: Kernel;
  /** The host's first process, by this machine's pid. */
  hostPid: number;
  /** True while its first process lives. */
  isUp(): boolean;
  /** How many processes an earlier lab process had left here. */
  leftBehind: number;
  /** Ends everything that it started, and removes its cgroups. */
  close(): Promise<void>;
}

/** Twice the web server's MaxClients: real room for what is entered from outside, and a bound for everything else. */
const MAX_PROCESSES = 130;

/** Boots the prepared host: its sshd, its container, its counters. */
export async function openLab(facts: LabFacts): Promise<Lab> {
  const leftBehind = await endLeftBehind(facts);
  const cgroup = facts.group === 'session' ? null : cgroupName(facts.labDir);
  const group = facts.group;
  const hostGroups = group === 'session' || cgroup === null ? [] : makeCgroup(group, `${cgroup}/host`, { shares: 1024, maxProcesses: 1000 });
  const containerGroups =
    group === 'session' || cgroup === null ? [] : makeCgroup(group, `${cgroup}/${facts.container}`, { shares: 128, maxProcesses: MAX_PROCESSES });
  const record = createRecorder(facts, cgroup);
  const host = await bootHost(facts, hostGroups, record);
  let kernel: Kernel;
  try {
    if (facts.transport === 'ssh') host.orders.tell(`sshd ${await findTool('sshd')}`);
    kernel = await startKernel(facts, host, containerGroups, record);
  } catch (error) {
    await host.close();
    await endLeftBehind(facts);
    throw error;
  }
  return {
    kernel,
    leftBehind,
    hostPid: host.pid,
    isUp: () => host.isUp(),
    answer: async (verb, request) => {
      switch (verb) {
        case 'state':
          requests.state.parse(request);
          return kernel.state();
        case 'reset':
          requests.reset.parse(request);
          await kernel.reset();
          return kernel.state();
        case 'play': {
          const { scene, workerArgs } = requests.play.parse(request);
          kernel.play(scene, workerArgs);
          return kernel.state();
        }
        case 'misbehave':
          kernel.misbehave(requests.misbehave.parse(request).how);
          return kernel.state();
        case 'log':
          return readHostLog(kernel.logFile, requests.log.parse(request).from);
      }
    },
    close: async () => {
      try {
        await kernel.close();
      } finally {
        await host.close();
        await endLeftBehind(facts);
      }
    },
  };
}
