/**
 * The agent's figures in Prometheus text form, without a metrics library: this process lives on other people's machines and is to be small.
 * Names that end in `_total` are counters.
 */
export const metricsText = (metrics: Record<string, number>): string =>
  Object.entries(metrics)
    .map(([name, value]) => `# TYPE nightshift_agent_${name} ${name.endsWith('_total') ? 'counter' : 'gauge'}\nnightshift_agent_${name} ${value}\n`)
    .join('');

export const METRICS_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';
