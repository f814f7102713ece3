import type { Stored } from '../../activities/audit-log.js';
import type { AuditFact } from '../../events/audit.js';
import type { DrillResult } from '../../operator/drill.js';
import type { Role } from '../../stack/stack-file.js';
import type { StackUnderTest } from './stack-under-test.js';

/** Where in a drill a process dies: at the `nth` record of that fact that the drill's incident writes. */
export interface KillPoint {
  role: Role;
  at: AuditFact;
  nth: number;
}

/** Plays the drill and kills (SIGKILL) each process at its point; the supervisor starts it again. `missed`: points that were never reached. */
export async function killInDrill(
  stack: StackUnderTest,
  drill: string,
  points: readonly KillPoint[],
): Promise<{ result: DrillResult & { lines: string[] }; missed: KillPoint[] }> {
  const waiting = new Set(points);
  const seen = new Map<AuditFact, number>();
  const kills: Promise<void>[] = [];
  const onRecord = ({ record: { fact } }: Stored): void => {
    const nth = (seen.get(fact) ?? 0) + 1;
    seen.set(fact, nth);
    for (const point of waiting) {
      if (point.at !== fact || point.nth !== nth) continue;
      waiting.delete(point);
      kills.push(stack.killAndAwait(point.role));
    }
  };
  const result = await stack.drill(drill, onRecord);
  await Promise.all(kills);
  return { result, missed: [...waiting] };
}
