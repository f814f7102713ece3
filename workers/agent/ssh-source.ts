import { parseAnswer } from '../../activities/far-side/answer.js';
import { encodeRequest } from '../../activities/far-side/request.js';
import { createSshTransport } from '../../activities/transports/ssh.js';
import type { Transport } from '../../activities/transports/transport.js';
import type { Host } from '../../config/schema.js';
import type { CounterSource } from './raw-sample.js';
import { createSampleOfAnswer } from './sample-of-answer.js';
import type { ViaSsh } from './via-ssh-of.js';

export interface SshSourceOptions {
  viaSsh: ViaSsh;
  /** cgroups to watch: container name -> path below the hierarchy's root. */
  cgroups: Readonly<Record<string, string>>;
  transport?: Transport;
}

/** A host under load answers late; one that takes longer is a missed sample, and the next one is tried. */
const ANSWER_WITHIN_MS = 8_000;

/**
 * Samples a host that cannot run the agent: one SSH connection is kept open and carries one request a second. The key's forced command is the far-side
 * helper with `--counters-only`, so that this key, the only one that an agent ever has, can do nothing but read counters.
 */
export function createSshSource({ viaSsh, cgroups, transport = createSshTransport() }: SshSourceOptions): CounterSource {
  const { address, ...ssh } = viaSsh;
  const host: Host = { address, transport: 'ssh', ssh, domains: [], owners: [], containers: {} };
  const request = encodeRequest({ verb: 'counters', cgroups: Object.values(cgroups) }, null);
  const sampleOfAnswer = createSampleOfAnswer(cgroups);
  return {
    sample: async () => {
      const { text, failure } = await transport.deliver(host, request, { timeoutMs: ANSWER_WITHIN_MS, effect: false });
      if (failure !== null) throw failure;
      const answer = parseAnswer(text);
      if (!answer.whole) throw new Error(`${address}: the answer is not whole`);
      if (answer.result?.word !== 'done') throw new Error(`${address}: the helper refused: ${[answer.result?.reason, ...answer.details].join('; ')}`);
      return sampleOfAnswer(answer);
    },
    close: () => transport.close(),
  };
}
