import type { FailureKind } from '../looks.js';

/** A host could not be asked, or its answer cannot be used. `kind` says whether asking again can help; RETRIED in looks.ts. */
export class FarSideFailure extends Error {
  override readonly name = 'FarSideFailure';
  /** False only when it is certain that the host never got the request. */
  readonly mayHaveArrived: boolean;
  constructor(
    readonly kind: FailureKind,
    message: string,
    { cause, mayHaveArrived = true }: { cause?: unknown; mayHaveArrived?: boolean } = {},
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.mayHaveArrived = mayHaveArrived;
  }
}
