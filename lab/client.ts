import type { NatsConnection } from '../activities/nats.js';
import type { HostLogLine } from './host-log.js';
import { envelope, labSubject, replies, type LabReply, type LabRequest, type LabState, type LabVerb } from './messages.js';

/** The lab as drills and tests see it. Rejects with an Error that carries the lab's own words. */
export interface LabClient {
  state(): Promise<LabState>;
  reset(): Promise<LabState>;
  play(request: LabRequest<'play'>): Promise<LabState>;
  misbehave(how: LabRequest<'misbehave'>['how']): Promise<LabState>;
  /** The host's own log from `from` (a `logEnd`) to its end. */
  log(from?: number): Promise<HostLogLine[]>;
}

export function labClient(nc: NatsConnection, site: string): LabClient {
  const ask = async <V extends LabVerb>(verb: V, request: LabRequest<V>): Promise<LabReply<V>> => {
    // A reset stops and starts a container: some seconds on a busy machine.
    const message = await nc.request(labSubject(site, verb), JSON.stringify(request), { timeout: 20_000 }).catch((cause: unknown) => {
      throw new Error(`the lab of ${site} does not answer ${verb}`, { cause });
    });
    const answer = envelope.parse(message.json());
    if (!answer.ok) throw new Error(`the lab of ${site} refuses ${verb}: ${answer.error}`);
    return replies[verb].parse(answer.reply) as LabReply<V>;
  };
  return {
    state: () => ask('state', {}),
    reset: () => ask('reset', {}),
    play: (request) => ask('play', request),
    misbehave: (how) => ask('misbehave', { how }),
    log: async (from = 0) => {
      const all: HostLogLine[] = [];
      for (let at = from; ;) {
        const part = await ask('log', { from: at });
        all.push(...part.lines);
        if (part.next === at) return all;
        at = part.next;
      }
    },
  };
}
