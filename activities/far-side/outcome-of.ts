import { REFUSALS, type EffectOutcome, type Refusal } from '../../events/effect.js';
import type { Answer } from './answer.js';

const isRefusal = (reason: string): reason is Refusal => (REFUSALS as readonly string[]).includes(reason);

/** What the helper's answer to an effect, or its journal's entry, means to whoever asked for it. */
export function outcomeOf(answer: Answer, summary: (answer: Answer) => string): EffectOutcome {
  const { result } = answer;
  if (result === null) return { state: 'unknown', summary: 'the host does not say how it ended' };
  const said = [...answer.details, ...answer.did.slice(-3).map((d) => `it had begun: ${d}`)].join('; ');
  const inWords = (text: string): string => (said === '' ? text : `${text}: ${said}`).slice(0, 1500);
  switch (result.word) {
    case 'done':
      return { state: 'done', changed: result.reason === 'changed', summary: summary(answer), data: dataOf(answer) };
    case 'refused':
      if (isRefusal(result.reason)) return { state: 'refused', reason: result.reason, summary: inWords(REFUSED[result.reason] ?? result.reason) };
      if (result.reason === 'sealed')
        return { state: 'refused', reason: 'too-late', summary: 'it had not begun when its answer was missed, and cannot begin any more' };
      return { state: 'failed', summary: inWords(`the helper refuses, nothing was touched: ${result.reason}`) };
    case 'failed':
      return { state: 'failed', summary: inWords(`${summary(answer)}; ${FAILED[result.reason] ?? result.reason}`) };
    case 'unknown':
      return { state: 'unknown', summary: inWords(UNKNOWN[result.reason] ?? result.reason) };
  }
}

const REFUSED: Partial<Record<Refusal, string>> = {
  'other-incarnation': 'the container is not the one that was looked at',
  'facts-unreadable': 'the host does not show what must be known first',
  'not-supported': 'this kind of container cannot be treated so',
  'too-late': 'the time to begin had passed',
};
const FAILED: Record<string, string> = {
  'not-enterable': 'it still cannot be entered',
  'nothing-to-kill': 'none of the candidates may be ended, and it cannot be entered',
  'out-of-time': 'its time was up',
  command: 'the command failed',
  'old-processes': 'processes from before the restart are still there',
  'not-running': 'its processes did not come back',
  'not-as-wanted': 'it did not become what was wanted',
};
const UNKNOWN: Record<string, string> = {
  running: 'it has begun and not ended',
  'cut-short': 'it was cut short on the host',
  'out-of-time': 'its time was up before it answered',
  'facts-unreadable': 'it was done, and what became of it cannot be read',
};

function dataOf(answer: Answer): Record<string, string | number | boolean> {
  const data: Record<string, string | number | boolean> = {};
  if (answer.killed.length > 0 || answer.left !== null) {
    data['killed'] = answer.killed.length;
    data['survived'] = answer.survived.length;
    data['spared'] = answer.spared.length;
    data['left'] = answer.left ?? 0;
    data['ended'] = answer.killed
      .map((k) => `${k.pid}:${k.startTicks}:${k.comm}:${k.signal}`)
      .join(' ')
      .slice(0, 20_000);
  }
  if (answer.enteredInMs !== undefined && answer.enteredInMs !== null) data['enteredInMs'] = answer.enteredInMs;
  for (const when of ['was', 'is'] as const) {
    const pair = answer[when];
    if (pair !== null) Object.assign(data, { [`${when}Barrier`]: pair.barrier, [`${when}Limit`]: pair.limit });
  }
  return data;
}
