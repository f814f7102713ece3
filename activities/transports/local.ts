import type { Host } from '../../config/schema.js';
import { MAX_ANSWER_BYTES } from '../far-side/answer.js';
import { FarSideFailure } from '../far-side/far-side-failure.js';
import { runBounded } from './run-bounded.js';
import type { Delivery, Transport, TransportOptions } from './transport.js';

/** This machine: the helper is started here, with the configuration file that the host's entry names. */
export function createLocalTransport({ helperFile, shell = 'sh' }: { helperFile: string; shell?: string }): Transport {
  return {
    async deliver(host: Host, text: string, { signal, timeoutMs, effect }: TransportOptions): Promise<Delivery> {
      const not = (kind: 'refused' | 'incomplete', why: string, cause?: unknown): Delivery => ({
        text: '',
        failure: new FarSideFailure(kind, `local: ${why}`, { cause, mayHaveArrived: false }),
      });
      if (host.helperConfigFile === undefined)
        return not('refused', 'a host with transport local needs helperConfigFile: the configuration of the helper on this machine');
      // PATH only finds the shell; the helper takes its own from its configuration.
      const env = { PATH: process.env['PATH'] ?? '/usr/bin:/bin' };
      let ran;
      try {
        ran = await runBounded(shell, [helperFile, '--conf', host.helperConfigFile], {
          input: text,
          timeoutMs,
          maxBytes: MAX_ANSWER_BYTES,
          env,
          signal,
          whenLate: effect ? 'leave' : 'end',
        });
      } catch (error) {
        if (signal?.aborted === true) throw error;
        return not('incomplete', `the helper cannot be started: ${String(error)}`, error);
      }
      if (ran.late) return { text: ran.stdout, failure: new FarSideFailure('incomplete', `local: no whole answer within ${timeoutMs} ms`) };
      if (ran.tooLong) return { text: ran.stdout, failure: new FarSideFailure('incomplete', `local: more than ${MAX_ANSWER_BYTES} bytes of answer`) };
      if (ran.exitCode === 0) return { text: ran.stdout, failure: null };
      const said = ran.stderr.trim().slice(0, 300);
      // 64: the helper's own complaint about how it was started. It has read nothing then.
      if (ran.exitCode === 64) return { text: ran.stdout, failure: new FarSideFailure('refused', `local: ${said}`, { mayHaveArrived: false }) };
      return { text: ran.stdout, failure: new FarSideFailure('incomplete', `local: the helper ended with ${ran.exitCode ?? 'a signal'}: ${said}`) };
    },
    close: () => Promise.resolve(),
  };
}
