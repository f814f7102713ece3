import { Counter, Gauge, type Registry } from 'prom-client';

export interface BridgeMetrics {
  events: Counter<'kind'>;
  deadLetters: Counter<'reason'>;
  batches: Counter<'what'>;
  storms: Counter;
  pending: Gauge;
}

export function createBridgeMetrics(registry: Registry): BridgeMetrics {
  const registers = [registry];
  return {
    events: new Counter({ name: 'nightshift_events_accepted_total', help: 'Events accepted, by kind', labelNames: ['kind'], registers }),
    deadLetters: new Counter({ name: 'nightshift_dead_letters_total', help: 'Messages put into DLQ, by reason', labelNames: ['reason'], registers }),
    batches: new Counter({
      name: 'nightshift_batches_total',
      help: 'What was handed to Temporal: open, observe, storm, open-domain',
      labelNames: ['what'],
      registers,
    }),
    storms: new Counter({ name: 'nightshift_storms_total', help: 'Incidents promoted to their domain', registers }),
    pending: new Gauge({ name: 'nightshift_events_pending', help: 'Events in EVT that the engine has not been handed yet', registers }),
  };
}
