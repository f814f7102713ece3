import type { ContainerLook, Counter, LookAtContainer } from '../../activities/looks.js';
import type { EffectOutcome } from '../../events/effect.js';
import type { Resource } from '../../events/kinds/container.js';
import { afterRefusal } from '../decide/after-refusal.js';
import { describeCounter, describeEntry, describeLoad, describeProcesses, describeRefusals, evidenceOf } from '../decide/describe-container.js';
import { earlierLife, type EarlierLife, type Limits } from '../decide/earlier-life.js';
import { amount, count, span } from '../decide/figures.js';
import { judgeSymptom } from '../decide/judge-symptom.js';
import { nextLimit } from '../decide/next-limit.js';
import { selectRunaways } from '../decide/select-runaways.js';
import { serviceStuck } from '../decide/service-stuck.js';
import { escalate, refuse, type Kernel, type Playbook, type Seen } from '../kernel.js';
import type { IncidentInput } from '../messages.js';

/** Two runs that changed nothing for the better are enough: then a person must look. */
const MAX_RUNS = 2;
/** How often refusals may come back within the verification window of one run. */
const MAX_RELAPSES = 2;

/**
 * A container is refused a resource, its processes pile up, and soon nobody can enter it.
 * See, then judge whether it is still so; if nobody can enter, end runaways from the host until somebody can; restart the service; raise the limit in steps
 * while that helps; see failcnt flat for the verification window; save what was raised. What does not help is taken back, and a person is asked.
 */
export const relieveContainer: Playbook = {
  measure: {
    want: ['counters', 'enter'],
    mark: (look, input) => {
      const counter = counterOf(look, input);
      if (counter === null || look.incarnation === null) return { mark: null, summary: 'its counters cannot be read' };
      if (look.enteredInMs === null) return { mark: null, summary: describeEntry(look, input.knobs.enterWithinMs) };
      return { mark: `${look.incarnation} ${counter.failcnt}`, summary: `failcnt flat and ${describeLoad(look)}` };
    },
  },

  run: async (kernel) => {
    let again = '';
    const life = earlierLife(kernel.input.before ?? []);
    if (life.tookBack) throw escalate('ineffective', 'what was done before Temporal lost this incident was being taken back');
    const raised: Raised = life.raises;
    for (let nth = 1; nth <= MAX_RUNS; nth += 1) {
      const result = await relieve(kernel, raised, nth === 1 ? life : null);
      if ('resolved' in result) return result.resolved;
      again = result.again;
    }
    throw escalate('ineffective', `${MAX_RUNS} runs did not bring it to rest: ${again}`);
  },
};

/** What was done to the limit, in all runs together. */
interface Raised {
  times: number;
  from: Limits | null;
  to: Limits | null;
}
/** One run through all steps. `again`: the container is not what was looked at, or not as it was left; look once more from the top. */
async function relieve(kernel: Kernel, raised: Raised, life: EarlierLife | null): Promise<{ resolved: string } | { again: string }> {
  const { input } = kernel;
  const { knobs } = input;
  const resource = resourceOf(input);

  const before = await see(
    kernel,
    'see',
    ['counters', 'processes'],
    (look) => `${describeProcesses(look.processes, knobs.runaways)}; ${describeCounter(counterOf(look, input), resource)}; ${describeLoad(look)}`,
  );
  const tried = await see(
    kernel,
    'try-to-enter',
    ['counters', 'enter'],
    (look) => `${describeEntry(look, knobs.enterWithinMs)}; ${refusals(before, look, input)}`,
  );
  const { incarnation } = before;
  if (tried.incarnation !== incarnation) return restarted(kernel, raised);
  if (life !== null && raised.from !== null) goOnRaising(kernel, raised, raised.from, tried);

  const symptom = judgeSymptom({
    counter: tried.counter,
    refused: refusedBetween(before, tried),
    enteredInMs: tried.look.enteredInMs ?? null,
    fresh: !input.stale,
  });
  if (!symptom.live) {
    kernel.decide(
      'judge',
      'wait',
      symptom.reason,
      tried.look.enteredInMs === null
        ? 'cannot be entered, but the event is old and nothing is refused now'
        : 'nothing is refused now and it can be entered: a single blip is normal',
    );
  }

  let ended = life?.endedRunaways ?? false;
  if (symptom.live && symptom.reason === 'cannot-enter') {
    const { candidates, reason } = selectRunaways({
      processes: before.look.processes ?? [],
      runaways: knobs.runaways,
      protect: knobs.protect,
      maxKills: knobs.maxKills,
    });
    if (candidates.length === 0) {
      kernel.decide('end-runaways', 'skip', reason, `none of ${count(before.look.processes?.length ?? 0, 'process', 'processes')} may be ended`);
    } else {
      const outcome = await kernel.effect(
        'end-runaways',
        'container.ensure-enterable',
        {
          candidates: candidates.map(({ pid, startTicks }) => ({ pid, startTicks })),
          incarnation,
          maxKills: knobs.maxKills,
          enterWithinMs: knobs.enterWithinMs,
        },
        {
          summary: `end up to ${candidates.length} runaway ${[...new Set(candidates.map((p) => p.comm))].join(', ')} from the host, until the container can be entered`,
        },
      );
      if (outcome.state === 'refused') return refusedWith(outcome);
      if (outcome.state === 'failed') throw escalate('cannot-enter', outcome.summary);
      const after = await see(
        kernel,
        'try-to-enter',
        ['counters', 'enter'],
        (look) => `${describeEntry(look, knobs.enterWithinMs)}; ${refusals(tried, look, input)}`,
      );
      if (after.incarnation !== incarnation) return restarted(kernel, raised);
      if ((after.look.enteredInMs ?? null) === null) {
        // What may have been done must not be done again: a doubtful answer is followed by a look, never by the same act.
        if (outcome.state === 'unknown') throw escalate('unknown-outcome', `${outcome.summary}; ${describeEntry(after.look, knobs.enterWithinMs)}`);
        return { again: describeEntry(after.look, knobs.enterWithinMs) };
      }
      ended = true;
    }
  }

  if (knobs.service !== null && life?.restarted !== true && (ended || (symptom.live && serviceStuck(before.look.processes, knobs.runaways)))) {
    const outcome = await kernel.effect(
      'restart-service',
      'container.ensure-service-restarted',
      { incarnation },
      { summary: `restart ${knobs.service} in the container` },
    );
    if (outcome.state === 'refused') return refusedWith(outcome);
    if (outcome.state === 'failed') throw escalate('restart-failed', outcome.summary);
  }

  let from: Seen & { counter: Counter } = tried;
  let relapses = 0;
  const rates: number[] = [];
  for (;;) {
    const watched = await kernel.watch('watch-failcnt', {
      forMs: knobs.watchForMs,
      everyMs: Math.max(knobs.watchForMs / 3, 100),
      want: ['counters'],
      from,
      until: (look) => look.incarnation !== incarnation,
      say: ({ prior, last }) => ({
        summary: `${describeCounter(counterOf(last.look, input), resource)}; ${refusals(prior, last.look, input, last.at)}; ${describeLoad(last.look)}`,
        evidence: evidenceOf(last.look),
      }),
    });
    const counter = counterOf(watched.last.look, input);
    if (watched.ended === 'unreadable' || counter === null || watched.last.look.counters === null)
      throw escalate('facts-unreadable', 'the counters can no longer be read');
    if (watched.last.look.incarnation !== incarnation) return restarted(kernel, raised);
    if (raised.to !== null && (counter.limit !== raised.to.limit || counter.barrier !== raised.to.barrier)) {
      throw escalate('limit-not-kept', `${resource} was to be ${words(resource, raised.to)} and is ${words(resource, counter)}`);
    }
    rates.push(perSecond(watched.prior, watched.last, input));
    from = { ...watched.last, counter };

    const next = nextLimit({
      resource,
      counters: watched.last.look.counters,
      refusals: rates,
      ceiling: knobs.ceiling,
      raises: raised.times,
      maxRaises: knobs.maxRaises,
      factor: knobs.raiseFactor,
    });
    if (next.raise !== null) {
      const original = raised.from ?? { barrier: counter.barrier, limit: counter.limit };
      const outcome = await kernel.effect(
        'raise-limit',
        'container.ensure-limit',
        { resource, ...next.raise, incarnation },
        {
          summary: `raise ${resource} from ${words(resource, counter)} to ${words(resource, next.raise)}`,
          // One undo takes back all raises: they turn the same knob.
          ...(raised.from === null
            ? {
                undo: {
                  verb: 'container.ensure-limit',
                  args: { resource, ...original, incarnation },
                  summary: `put ${resource} back to ${words(resource, original)}`,
                },
              }
            : {}),
        },
      );
      if (outcome.state === 'refused') return refusedWith(outcome);
      if (outcome.state === 'failed') throw escalate('raise-failed', outcome.summary);
      raised.times += 1;
      raised.from = original;
      raised.to = next.raise;
      continue;
    }
    if (next.reason !== 'flat') {
      throw escalate(
        next.reason,
        `${WHY_NO_RAISE[next.reason]}; ${resource} is ${words(resource, counter)} after ${count(raised.times, 'raise')} and still refused ${Math.ceil(rates.at(-1) ?? 0)} times a second`,
      );
    }
    kernel.decide(
      'choose-limit',
      'no-raise',
      'flat',
      `${raised.times === 0 ? 'raise' : 'raise further'} ${resource}: not needed, failcnt has been flat for ${span(knobs.watchForMs / 3)}`,
    );

    const verified = await kernel.watch('verify', {
      forMs: knobs.verifyForMs,
      everyMs: Math.min(knobs.watchForMs, knobs.verifyForMs),
      want: ['counters', 'enter'],
      from,
      until: (look) => look.incarnation !== incarnation || look.enteredInMs === null || (counterOf(look, input)?.failcnt ?? 0) > counter.failcnt,
      waitingFor: `failcnt must stay flat for ${span(knobs.verifyForMs)}`,
      say: ({ last }) => ({
        summary: `${refusals(from, last.look, input, last.at)}; ${describeEntry(last.look, knobs.enterWithinMs)}; ${describeLoad(last.look)}`,
        evidence: evidenceOf(last.look),
      }),
    });
    const { look } = verified.last;
    if (verified.ended === 'unreadable') throw escalate('facts-unreadable', 'the counters can no longer be read');
    if (look.incarnation !== incarnation) return restarted(kernel, raised);
    if (look.enteredInMs === null) return { again: describeEntry(look, knobs.enterWithinMs) };
    if (verified.ended === 'condition') {
      if ((relapses += 1) > MAX_RELAPSES) throw escalate('does-not-hold', `${relapses} times it was flat for a while and then refused again`);
      from = { ...verified.last, counter: counterOf(look, input) ?? counter };
      rates.length = 0;
      continue;
    }

    kernel.settle();
    const gone = `failcnt flat and ${describeLoad(look)} for ${span(knobs.verifyForMs)}`;
    const wanted = raised.to;
    if (wanted === null) return { resolved: gone };
    const kept = await kernel.effect(
      'keep-limit',
      'container.ensure-limit-saved',
      { resource, ...wanted, incarnation },
      { summary: `save ${resource} ${words(resource, wanted)}` },
    );
    // A limit that holds and cannot be saved is left: taking it back would bring the outage back.
    if (kept.state === 'refused')
      throw refuse(kept.reason, `${gone}, but ${words(resource, wanted)} is not saved, and lost with the container's next restart: ${kept.summary}`);
    if (kept.state !== 'done')
      throw escalate(
        'not-saved',
        `${gone}, but ${words(resource, wanted)} is perhaps not saved, and then lost with the container's next restart: ${kept.summary}`,
      );
    return { resolved: gone };
  }
}

/** The limit was raised before Temporal lost this incident. When it is still as it was left, that is ours to take back; otherwise somebody else, or a restart, has set it since. */
function goOnRaising(kernel: Kernel, raised: Raised, from: Limits, { counter, incarnation }: SeenContainer): void {
  if (raised.to?.limit === counter.limit && raised.to.barrier === counter.barrier) {
    const resource = resourceOf(kernel.input);
    kernel.owe('raise-limit', {
      verb: 'container.ensure-limit',
      args: { resource, ...from, incarnation },
      summary: `put ${resource} back to ${words(resource, from)}`,
    });
  } else {
    Object.assign(raised, { times: 0, from: null, to: null });
  }
}

const WHY_NO_RAISE = {
  ceiling: 'there is no room for a raise below the ceiling',
  'max-raises': 'as many raises as policy allows',
  'no-effect': 'two raises in a row did not help',
  inconsistent: 'a raise would break the formulae of the beancounters, or they cannot be checked',
} as const;

interface SeenContainer extends Seen {
  counter: Counter;
  incarnation: string;
}

/** A look whose counters must be readable: tried twice, then a person must look. What is unknown counts against acting. */
async function see(kernel: Kernel, step: string, want: LookAtContainer['want'], say: (look: ContainerLook) => string): Promise<SeenContainer> {
  for (let nth = 1; nth <= 2; nth += 1) {
    const seen = await kernel.look(step, want, (look) => ({
      summary: look.running === false ? 'the container is not running' : say(look),
      evidence: evidenceOf(look),
    }));
    if (seen === null) continue;
    if (seen.look.running === false) throw escalate('not-running', 'the container is not running');
    const counter = counterOf(seen.look, kernel.input);
    if (counter !== null && seen.look.incarnation !== null) return { ...seen, counter, incarnation: seen.look.incarnation };
  }
  throw escalate('facts-unreadable', 'the container cannot be looked at: its counters or its identity cannot be read');
}

/** A container that was restarted has the limits of its configuration: there is nothing to take back, and all that was seen is void. */
function restarted(kernel: Kernel, raised: Raised): { again: string } {
  kernel.settle();
  Object.assign(raised, { times: 0, from: null, to: null });
  return { again: 'the container was restarted meanwhile' };
}

function refusedWith({ reason, summary }: Extract<EffectOutcome, { state: 'refused' }>): { again: string } {
  const then = afterRefusal(reason);
  if (then === 'refused') throw refuse(reason, summary);
  if (then === 'escalated') throw escalate(reason, summary);
  return { again: `${reason}: ${summary}` };
}

/** The engine starts this playbook only for an event that names container and resource. */
const resourceOf = (input: IncidentInput): Resource => input.target.resource as Resource;
const counterOf = (look: ContainerLook, input: IncidentInput): Counter | null => look.counters?.find((c) => c.resource === input.target.resource) ?? null;
const words = (resource: Resource, { barrier, limit }: { barrier: number; limit: number }): string => `${amount(resource, barrier)}:${amount(resource, limit)}`;

/** A counter that went back began anew: what it shows now is all that was refused since. */
const refusedBetween = (a: { counter: Counter }, b: { counter: Counter }): number =>
  b.counter.failcnt >= a.counter.failcnt ? b.counter.failcnt - a.counter.failcnt : b.counter.failcnt;

function refusals(from: Seen, look: ContainerLook, input: IncidentInput, at = Date.now()): string {
  const [a, b] = [counterOf(from.look, input), counterOf(look, input)];
  if (a === null || b === null) return 'failcnt could not be read';
  return describeRefusals(refusedBetween({ counter: a }, { counter: b }), at - from.at);
}

function perSecond(from: Seen, to: Seen, input: IncidentInput): number {
  const [a, b] = [counterOf(from.look, input), counterOf(to.look, input)];
  if (a === null || b === null) return 0;
  return refusedBetween({ counter: a }, { counter: b }) / Math.max((to.at - from.at) / 1000, 0.001);
}
