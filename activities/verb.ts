import type { z } from 'zod';
import type { Container, Host } from '../config/schema.js';
import type { EffectOutcome, Refusal } from '../events/effect.js';
import type { Risk, VerbName } from '../events/playbooks.js';
import type { VerbArgs } from './effects.js';
import type { ContainerLook } from './looks.js';

/** What an effect is done to, as the inventory knows it. Nothing in here comes from an event. */
export interface VerbContext {
  hostName: string;
  host: Host;
  containerName: string;
  container: Container;
}

/** Why an effect must not be begun, in a word from the closed list and in a sentence. */
export interface Objection {
  reason: Refusal;
  summary: string;
}

export interface ActOptions {
  /** Names this one execution on the far side, `<incident>.<step>`: a repeated one is answered with what was recorded, never done again. */
  operation: string;
  /** The act must have begun within this many milliseconds from now. The far side checks it by the host's own clock, right before it acts. */
  deadlineMs: number;
  signal?: AbortSignal | undefined;
}

/** What the far side's journal says of an operation. After `never`, it is not begun and never will be: the far side has noted so. */
export type Recalled = EffectOutcome | { state: 'never' };

/**
 * A verb leaves the world in a named state. The protocol around it (claim, holds, guard, record) is written once, elsewhere, and goes:
 * parse `args`, `read`, `objection`, `isWanted`, `act`, `readBack`.
 */
export interface Verb<V extends VerbName> {
  risk: Risk;
  args: z.ZodType<VerbArgs[V]>;
  /** What the host says now. Throws FarSideFailure. */
  read(ctx: VerbContext, args: VerbArgs[V], signal?: AbortSignal): Promise<ContainerLook>;
  /** Why it must not be done now, by inventory and by what was read; null when nothing speaks against it. */
  objection(ctx: VerbContext, args: VerbArgs[V], now: ContainerLook): Objection | null;
  /** It is already as wanted: record that and touch nothing. */
  isWanted(now: ContainerLook, args: VerbArgs[V]): boolean;
  /** Makes it so. Never throws for a no, nor for a lost answer: that is `unknown`. Takes at most `deadlineMs` plus `limitMs`. */
  act(ctx: VerbContext, args: VerbArgs[V], options: ActOptions): Promise<EffectOutcome>;
  /** The longest an act takes once it has begun; after that and the deadline nothing of it runs any more. */
  limitMs: number;
  /** What became of an act whose answer was lost. Throws FarSideFailure when the host cannot be asked. */
  recall(ctx: VerbContext, operation: string, signal?: AbortSignal): Promise<Recalled>;
  /** How to see afterwards that it is so: read until `isTrue`, at most this long. */
  readBack: {
    isTrue(now: ContainerLook, args: VerbArgs[V]): boolean;
    withinMs: number;
    everyMs: number;
    /** False: a look shows only part of it (not that a restart has happened, not that a limit was saved), so an act whose end is unknown stays unknown. */
    decides?: false;
  };
}

export type Verbs = { [V in VerbName]: Verb<V> };
