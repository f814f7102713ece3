import type { Msg } from 'nats';
import type { AuditLog } from '../activities/audit-log.js';
import type { NatsConnection } from '../activities/nats.js';
import { formatProblem } from '../config/problem.js';
import type { ReadyConfig } from '../config/load.js';
import type { ConfigChange, ConfigStore } from '../config/store.js';
import type { Log } from './log.js';

/** Answers requests on `subject` with JSON; a handler that throws is answered with its error, and the process goes on. */
export function answer(nc: NatsConnection, subject: string, log: Log, handle: () => Promise<unknown>): void {
  nc.subscribe(subject, {
    callback: (error, msg: Msg) => {
      if (error !== null) return log.error({ subject, error: error.message }, 'requests cannot be heard');
      handle().then(
        (reply) => msg.respond(JSON.stringify(reply)),
        (failure: unknown) => {
          log.error({ subject, error: failure instanceof Error ? failure.stack : String(failure) }, 'a request failed');
          msg.respond(JSON.stringify({ error: failure instanceof Error ? failure.message : String(failure) }));
        },
      );
      return undefined;
    },
  });
}

/** The configuration in force in this process. The site cannot change while it runs: every subject, problem and record is named by it. */
export interface InForce {
  current(): ReadyConfig;
  reload(): Promise<ConfigChange>;
}

export function inForceOf(store: ConfigStore, site: string): InForce {
  let inForce = store.current();
  return {
    current: () => inForce,
    async reload() {
      const change = await store.reload();
      const next = store.current();
      if (next.config.site === site) inForce = next;
      if (!change.accepted || next.config.site === site) return change;
      const message = `the site is ${site} and cannot become ${next.config.site} while the stack runs: start another stack for it`;
      return { accepted: false, version: inForce.version, problems: [{ file: next.file, line: 1, col: 1, path: 'site', message }] };
    },
  };
}

/** Writes down which configuration is in force, and which was refused. */
export async function recordConfig({
  change,
  file,
  audit,
  site,
  by,
  log,
}: {
  change: ConfigChange;
  file: string;
  audit: Pick<AuditLog, 'append'>;
  site: string;
  by: 'engine' | 'effector';
  log: Log;
}): Promise<{ accepted: boolean; version: string; problems: string[] }> {
  const problems = change.problems.map(formatProblem);
  await audit.append({
    v: 1,
    at: new Date().toISOString(),
    site,
    by,
    fact: 'config',
    accepted: change.accepted,
    config: change.version,
    file,
    problems: problems.slice(0, 50),
  });
  if (change.accepted) log.info({ version: change.version }, 'the configuration is in force');
  else log.error({ problems, inForce: change.version }, 'the configuration is refused; the last good one stays in force');
  return { accepted: change.accepted, version: change.version, problems };
}
