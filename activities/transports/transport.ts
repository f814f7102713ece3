import type { Host } from '../../config/schema.js';
import type { FarSideFailure } from '../far-side/far-side-failure.js';

export interface TransportOptions {
  signal?: AbortSignal | undefined;
  timeoutMs: number;
  /** The request changes something: when time is up its answer is given up, but it is never cut in half from here. */
  effect: boolean;
}

/** What came back. `failure` is null when the far end closed its answer in good order; otherwise `text` is what came before. */
export interface Delivery {
  text: string;
  failure: FarSideFailure | null;
}

/** One way of bringing a request to the helper on a host, and its answer back. Rejects only when aborted. */
export interface Transport {
  deliver(host: Host, text: string, options: TransportOptions): Promise<Delivery>;
  close(): Promise<void>;
}
