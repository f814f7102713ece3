import type { FailureKind } from '../looks.js';

/** A host could not be asked, or its answer cannot be used. `kind` says whether asking again can help; RETRIED in looks.ts. */
export class FarSideFailure extends Error {
  override readonly name = 'FarSideFailure';
  constructor(readonly kind: FailureKind, message: string, options?: { cause?: unknown }) {
    super(message, options);
  }
}
