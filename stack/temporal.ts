import { ask } from './answers.js';
import type { StackPorts } from './ports.js';

export const NAMESPACE = 'nightshift';

/**
 * Without the first three the dev server looks at its queues 20 times a second, and every step of every workflow costs a flat 50 ms
 * (100 ms from event to first activity; 28 ms with them). The fourth saves the round trip before a workflow's next activity;
 * the fifth keeps timers of less than a second from being rounded up to one.
 */
export const DYNAMIC_CONFIG = {
  'history.transferProcessorMaxPollRPS': 10_000,
  'history.timerProcessorMaxPollRPS': 10_000,
  'history.visibilityProcessorMaxPollRPS': 10_000,
  'system.enableActivityEagerExecution': true,
  'history.timerProcessorMaxTimeShift': '10ms',
} as const;

/** Write-ahead log, synced at every commit: safe against power loss, at 33 ms instead of 29 from event to first activity. */
export const PRAGMAS = { journal_mode: 'WAL', synchronous: 'FULL' } as const;

/** How long the history of a closed workflow is kept: as long as anyone may ask what it did. The audit is kept for ever. */
export const RETENTION_DAYS = 90;

export function temporalArgv(
  binary: string,
  databaseFile: string,
  ports: Pick<StackPorts, 'temporal' | 'temporalUi' | 'temporalHttp' | 'temporalMetrics'>,
): [string, ...string[]] {
  return [
    binary,
    'server',
    'start-dev',
    '--disable-config-file',
    '--disable-config-env',
    '--db-filename',
    databaseFile,
    ...Object.entries(PRAGMAS).flatMap(([name, value]) => ['--sqlite-pragma', `${name}=${value}`]),
    '--namespace',
    NAMESPACE,
    '--ip',
    '127.0.0.1',
    '--port',
    String(ports.temporal),
    '--ui-ip',
    '127.0.0.1',
    '--ui-port',
    String(ports.temporalUi),
    '--ui-disable-news-fetch',
    '--http-port',
    String(ports.temporalHttp),
    '--metrics-port',
    String(ports.temporalMetrics),
    ...Object.entries(DYNAMIC_CONFIG).flatMap(([key, value]) => ['--dynamic-config-value', `${key}=${JSON.stringify(value)}`]),
    '--log-level',
    'warn',
    '--log-format',
    'json',
    '--color',
    'never',
  ];
}

/** True when the server answers and knows our namespace. */
export const temporalServes = async (httpPort: number): Promise<boolean> => (await ask(httpPort, `/api/v1/namespaces/${NAMESPACE}`)).status === 200;

/** The dev server keeps closed workflows for a day. */
export async function setRetention(httpPort: number): Promise<void> {
  const answer = await ask(httpPort, `/api/v1/namespaces/${NAMESPACE}/update`, { config: { workflowExecutionRetentionTtl: `${RETENTION_DAYS * 86_400}s` } });
  if (answer.status !== 200) throw new Error(`Temporal refuses to keep histories for ${RETENTION_DAYS} days: ${answer.status} ${answer.text.slice(0, 300)}`);
}

/** Makes our namespace on a server that has none yet (the dev server makes it by itself); one that is there stays as it is. */
export async function ensureNamespace(httpPort: number): Promise<void> {
  if (await temporalServes(httpPort)) return;
  const answer = await ask(httpPort, '/api/v1/namespaces', { namespace: NAMESPACE, workflowExecutionRetentionPeriod: `${RETENTION_DAYS * 86_400}s` });
  if (answer.status !== 200 && !(await temporalServes(httpPort)))
    throw new Error(`Temporal does not make the namespace ${NAMESPACE}: ${answer.status} ${answer.text.slice(0, 300)}`);
}
