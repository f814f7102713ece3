import { z } from 'zod';
import type { NatsConnection } from '../activities/nats.js';

/** Who holds a configuration. The effector first: it is the one that refuses, so a rule must not be in force before those who guard it know it. */
export const HOLDERS = ['effector', 'engine'] as const;
export type Holder = (typeof HOLDERS)[number];

const answer = z.object({ accepted: z.boolean(), version: z.string(), problems: z.array(z.string()) });
export type Reloaded = z.infer<typeof answer>;
/** `silent`: it did not answer; what it holds is unknown. */
export type ReloadAnswers = Record<Holder, Reloaded | { silent: string } | { notAsked: true }>;

/** Asks each holder to read its file again. The second is not asked when the first says no or nothing: better one old version than two different ones. */
export async function reloadConfig(nc: NatsConnection, site: string, timeoutMs: number): Promise<ReloadAnswers> {
  const answers: ReloadAnswers = { effector: { notAsked: true }, engine: { notAsked: true } };
  for (const holder of HOLDERS) {
    let said: Reloaded | { silent: string };
    try {
      said = answer.parse((await nc.request(`ctl.${site}.reload.${holder}`, '{}', { timeout: timeoutMs })).json());
    } catch (error) {
      said = {
        silent:
          error instanceof Error && error.name === 'NoRespondersError'
            ? 'nobody listens: it is not running'
            : error instanceof Error
              ? error.message
              : String(error),
      };
    }
    answers[holder] = said;
    if (!('accepted' in said) || !said.accepted) break;
  }
  return answers;
}
