import type { Host } from '../../config/schema.js';
import type { Answer } from './answer.js';
import type { FarSideRequest } from './request.js';

export interface RequestOptions {
  signal?: AbortSignal | undefined;
  /** How long to wait for the whole answer. */
  timeoutMs: number;
  /** For effects: the act must have begun within this many milliseconds from now. */
  beginWithinMs?: number | undefined;
  /** For looks: what came in time will do, if anything came. */
  partial?: boolean | undefined;
}

/** The helper on a managed host. Rejects with FarSideFailure, or with the reason of `signal`. */
export interface FarSide {
  request(host: Host, request: FarSideRequest, options: RequestOptions): Promise<Answer>;
  /** Ends the connections that are kept open. */
  close(): Promise<void>;
}
