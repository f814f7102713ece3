import { jetstreamManager, type NatsConnection } from '../../activities/nats.js';
import { BRIDGE_CONSUMER, STREAMS } from '../../events/streams.js';
import { because, error, ok, warning, type Finding } from './finding.js';

// What the engine has not answered for yet. It pulls faster than a host can spike; this many is a storm, or an engine that does not keep up.
const LAG_WARNING = 1000;
const FULL_WARNING = 0.7;
const CLOCK_WARNING_MS = 2000;

/** The four streams, how full they are, how far the engine is behind, and whether the server's clock is ours. */
export async function natsFindings(nc: NatsConnection, timeoutMs: number): Promise<Finding[]> {
  const jsm = await jetstreamManager(nc, { checkAPI: false, timeout: timeoutMs });
  const findings: Finding[] = [ok('nats', `NATS ${nc.info?.version ?? ''} answers at ${nc.getServer()}`)];
  for (const { name, maxBytes } of STREAMS) {
    const id = `stream.${name}`;
    try {
      const { state, config, ts } = await jsm.streams.info(name);
      if (name === 'EVT') findings.push(clockFinding(Date.parse(ts ?? '') - Date.now()));
      if (name === 'EVT' && config.max_bytes < maxBytes)
        findings.push(error(id, `${name}: intake is shut: new events are refused, agents keep them`, 'usually a full disk: make room'));
      else findings.push(fullness(id, name, state.bytes, maxBytes, state.messages));
    } catch (cause) {
      findings.push(error(id, `${name}: ${because(cause)}`, 'npm start provisions the streams'));
    }
  }
  try {
    const { num_pending, num_ack_pending } = await jsm.consumers.info('EVT', BRIDGE_CONSUMER);
    const text = `the engine has ${num_pending} events to read, ${num_ack_pending} in hand`;
    findings.push(num_pending > LAG_WARNING ? warning('lag', text, 'it is catching up, or it does not run') : ok('lag', text));
  } catch (cause) {
    findings.push(error('lag', `consumer ${BRIDGE_CONSUMER}: ${because(cause)}`, 'npm start provisions it'));
  }
  return findings;
}

/** NaN: the server does not say. */
export function clockFinding(aheadMs: number): Finding {
  if (Number.isNaN(aheadMs)) return warning('clock', 'NATS does not say what time it is');
  const text = `the clock of NATS is ${Math.abs(aheadMs) < 500 ? 'ours' : `${(aheadMs / 1000).toFixed(1)} s ${aheadMs > 0 ? 'ahead' : 'behind'}`}`;
  return Math.abs(aheadMs) > CLOCK_WARNING_MS ? warning('clock', text, 'ages and expiries will be wrong: synchronise the clocks') : ok('clock', text);
}

function fullness(id: string, name: string, bytes: number, maxBytes: number, messages: number): Finding {
  const share = bytes / maxBytes;
  const text = `${name}: ${messages} messages, ${Math.round(share * 100)} % full`;
  return share > FULL_WARNING ? warning(id, text, 'a full stream refuses: raise its limit before') : ok(id, text);
}
