import { isAlive } from '../../stack/process-table.js';
import type { StackFile, StackProcess } from '../../stack/stack-file.js';
import { because, error, ok, type Finding } from './finding.js';

/** Every process that stack.json names: the same one that was started, and what it says of its own health. */
export function processFindings(stack: StackFile, timeoutMs: number): Promise<Finding[]> {
  return Promise.all(stack.processes.filter((p) => p.pid !== undefined).map((p) => processFinding(p, timeoutMs)));
}

async function processFinding({ role, pid, startTicks, ports }: StackProcess, timeoutMs: number): Promise<Finding> {
  const id = `process.${role}`;
  if (pid === undefined || (startTicks === undefined ? !exists(pid) : !isAlive({ pid, startTicks }))) {
    return error(id, `${role}: process ${pid} is gone`, 'the supervisor starts it again with back-off; if it does not come back see its log, DIR/logs');
  }
  const port = ports['health'];
  if (port === undefined) return ok(id, `${role}: process ${pid} runs`);
  try {
    const answer = await fetch(`http://127.0.0.1:${port}/healthz`, { signal: AbortSignal.timeout(timeoutMs) });
    const body = (await answer.text()).slice(0, 20_000);
    return answer.ok
      ? ok(id, `${role}: process ${pid} runs and is healthy`)
      : error(id, `${role}: process ${pid} runs but says ${answer.status}: ${failing(body)}`, `its log: DIR/logs/${role}.log`);
  } catch (cause) {
    return error(id, `${role}: process ${pid} runs but port ${port} does not answer: ${because(cause)}`, `its log: DIR/logs/${role}.log`);
  }
}

/** The checks that fail, in the words of the process. Other servers have other words. */
function failing(body: string): string {
  try {
    const { checks } = JSON.parse(body) as { checks?: Record<string, { ok?: boolean; detail?: string }> };
    const failed = Object.entries(checks ?? {})
      .filter(([, check]) => check.ok !== true)
      .map(([name, { detail }]) => (detail === undefined ? name : `${name} (${detail})`));
    return failed.length > 0 ? failed.join(', ') : body.slice(0, 200);
  } catch {
    return body.slice(0, 200);
  }
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (cause) {
    return (cause as NodeJS.ErrnoException).code === 'EPERM';
  }
}
