import type { Exit } from './exit-codes.js';
import type { Session } from './session.js';

/** Runs one command's work with a session of its own, and remembers the exit code it answers with. */
export type Run = (work: (session: Session) => Promise<Exit>) => Promise<void>;
