import type { Host } from '../../config/schema.js';
import type { PerHostLimit } from '../per-host-limit.js';
import { HostBusy } from '../per-host-limit.js';
import type { Transport } from '../transports/transport.js';
import { NotAnAnswer, parseAnswer, type Answer } from './answer.js';
import { FarSideFailure } from './far-side-failure.js';
import type { FarSide, RequestOptions } from './far-side.js';
import { encodeRequest, isEffect, type BeginBy, type FarSideRequest } from './request.js';

export interface FarSideParts {
  ssh: Transport;
  local: Transport;
  /** One for reads and one for effects: what hangs reading must not keep an effect waiting. */
  limits: { reads: PerHostLimit; effects: PerHostLimit };
  /** Milliseconds that only go forward. */
  now?: () => number;
}

/** How long what a host said of its uptime is good for. Two clocks drift apart by less than 50 ms in that time. */
const CLOCK_GOOD_FOR_MS = 5 * 60_000;

const nameOf = (host: Host): string => (host.transport === 'local' ? `local ${host.helperConfigFile}` : `${host.ssh?.user}@${host.address}:${host.ssh?.port}`);

/**
 * Requests to the helpers of all hosts. What is not a whole answer is a failure; only a look may be asked to make do with what came in time.
 *
 * An effect carries the latest uptime of its host at which it may begin, reckoned from the uptime in the host's last answer: however long it lies in a
 * stopped sshd or in a socket of ours, it is refused there when its time has passed.
 */
export function createFarSide({ ssh, local, limits, now = () => performance.now() }: FarSideParts): FarSide {
  const clocks = new Map<string, { uptimeCs: number; heardAt: number }>();

  async function ask(host: Host, request: FarSideRequest, options: RequestOptions, startedAt: number): Promise<Answer> {
    const timeLeft = (): number => {
      const left = options.timeoutMs - (now() - startedAt);
      if (left > 0) return left;
      throw new FarSideFailure('incomplete', `${nameOf(host)}: its turn did not come within ${options.timeoutMs} ms`, { mayHaveArrived: false });
    };
    const beginBy = isEffect(request) ? await latestBegin(host, request.op, options, startedAt, timeLeft) : null;
    const text = encodeRequest(request, beginBy);
    const timeoutMs = timeLeft();
    const transport = host.transport === 'local' ? local : ssh;
    const { text: said, failure } = await transport.deliver(host, text, { signal: options.signal, timeoutMs, effect: isEffect(request) });
    let answer;
    try {
      answer = parseAnswer(said);
    } catch (error) {
      if (!(error instanceof NotAnAnswer)) throw error;
      throw new FarSideFailure('refused', `${nameOf(host)}: what answers there is not our helper: ${error.message}`, { cause: error });
    }
    if (answer.whole && answer.uptimeCs !== null) clocks.set(nameOf(host), { uptimeCs: answer.uptimeCs, heardAt: now() });
    const usable = answer.whole || (options.partial === true && answer.uptimeCs !== null);
    if (!usable) throw failure ?? new FarSideFailure('incomplete', `${nameOf(host)}: its answer ends early`);
    if (!isEffect(request) && answer.result?.word === 'refused' && request.verb !== 'seal' && request.verb !== 'journal') {
      throw new FarSideFailure('refused', `${nameOf(host)} refuses ${request.verb}: ${[answer.result.reason, ...answer.details].join(', ')}`);
    }
    return answer;
  }

  async function latestBegin(host: Host, op: string, options: RequestOptions, startedAt: number, timeLeft: () => number): Promise<BeginBy> {
    if (options.beginWithinMs === undefined) throw new TypeError('an effect needs beginWithinMs');
    const mustBeginAt = startedAt + options.beginWithinMs;
    let clock = clocks.get(nameOf(host));
    if (clock === undefined || now() - clock.heardAt > CLOCK_GOOD_FOR_MS) {
      try {
        await ask(host, { verb: 'journal', op, waitMs: 0 }, { signal: options.signal, timeoutMs: timeLeft() }, now());
      } catch (error) {
        // That was a read: the effect itself has not been sent.
        if (error instanceof FarSideFailure) throw new FarSideFailure(error.kind, error.message, { cause: error, mayHaveArrived: false });
        throw error;
      }
      clock = clocks.get(nameOf(host));
    }
    if (clock === undefined) throw new FarSideFailure('incomplete', `${nameOf(host)} does not tell its uptime`, { mayHaveArrived: false });
    const withinMs = mustBeginAt - now();
    if (withinMs <= 0)
      throw new FarSideFailure('incomplete', `${nameOf(host)}: the time to begin has passed before it could be asked`, { mayHaveArrived: false });
    return { withinMs, notAfterCs: clock.uptimeCs + (mustBeginAt - clock.heardAt) / 10 };
  }

  return {
    async request(host, request, options) {
      const startedAt = now();
      const limit = isEffect(request) ? limits.effects : limits.reads;
      try {
        return await limit(nameOf(host), options.signal, () => ask(host, request, options, startedAt));
      } catch (error) {
        if (error instanceof HostBusy) throw new FarSideFailure('incomplete', `${error.message}: not asked`, { cause: error, mayHaveArrived: false });
        throw error;
      }
    },
    async close() {
      await Promise.all([ssh.close(), local.close()]);
    },
  };
}
