import { ApplicationFailure } from '@temporalio/common';
import type { EffectRequest, Effects, VerbArgs } from '../../activities/effects.js';
import type { ContainerLook, Counter, Looks, ProcessFact } from '../../activities/looks.js';
import type { AuditRecord } from '../../events/audit.js';
import type { EffectOutcome, Refusal } from '../../events/effect.js';

/**
 * A container as it matters here, stepped by looks at its counters (one look, one tick) so that figures do not depend on how busy the test machine is:
 * each worker of the service wants some send buffer; what is wanted above the barrier is refused; more than `ENTERABLE` workers and nobody gets in.
 */
export interface ContainerModel {
  workers: number;
  wantPerWorker: number;
  /** Wanted by honest traffic, whatever the workers do. May grow with each tick. */
  traffic: number;
  trafficGrowsBy?: number;
  barrier: number;
  limit: number;
  /** Looks that cannot be answered at all. */
  silent?: boolean;
}

/** What becomes of an effect, by step name. `unknown-done` and `unknown-not-done`: the answer is lost, after or before it happened. */
export type Fate = 'failed' | 'unknown-done' | 'unknown-not-done' | Refusal;

export interface SimulatedContainer {
  looks: Looks;
  effects: Effects;
  model: ContainerModel;
  /** What the host did, in order: the world's own record, to be compared with the audit's. */
  hostLog: string[];
  failcnt(): number;
  /** Restarts it, as a person at the host would. */
  restart(): void;
}

const ENTERABLE = 8;
const NUMTCPSOCK = 100;
const unlimited = 2 ** 63;

export function simulatedContainer({
  model,
  fates = {},
  audit,
  before,
}: {
  model: ContainerModel;
  fates?: Record<string, Fate>;
  /** Where the effector writes what it does. */
  audit: (record: AuditRecord) => void;
  /** Called when a step is asked for, before anything is done about it. */
  before?: (step: string) => Promise<void> | void;
}): SimulatedContainer {
  let failcnt = 90_000;
  let maxheld = 0;
  let boots = 1;
  let serviceAge = 6 * 60;
  let nextPid = 5_000;
  let pids = Array.from({ length: model.workers }, () => (nextPid += 1));
  const saved = { barrier: model.barrier, limit: model.limit };
  const outcomes = new Map<string, EffectOutcome>();
  const hostLog: string[] = [];

  const wanted = (): number => pids.length * model.wantPerWorker + model.traffic;
  const incarnation = (): string => `${boots}00`;
  const tick = (): void => {
    model.traffic += model.trafficGrowsBy ?? 0;
    maxheld = Math.max(maxheld, Math.min(wanted(), model.limit));
    failcnt += Math.max(0, Math.ceil((wanted() - model.barrier) / 10_000));
  };
  const counters = (): Counter[] => [
    { resource: 'numtcpsock', held: 40, maxheld: 60, barrier: NUMTCPSOCK, limit: NUMTCPSOCK, failcnt: 0 },
    { resource: 'numproc', held: pids.length + 3, maxheld: 60, barrier: unlimited, limit: unlimited, failcnt: 0 },
    { resource: 'tcpsndbuf', held: Math.min(wanted(), model.barrier), maxheld, barrier: model.barrier, limit: model.limit, failcnt },
  ];
  const process = (pid: number, ppid: number, comm: string, uid: number, cpuSeconds: number): ProcessFact => ({
    pid,
    ppid,
    comm,
    uid,
    startTicks: pid * 10 + boots,
    args: `${comm} -k "$(reboot)"; -oProxyCommand=x`,
    state: 'R',
    ageSeconds: serviceAge,
    cpuSeconds,
    rssKb: 9_000,
  });
  const processes = (): ProcessFact[] => [
    process(4_000, 1, 'init', 0, 1),
    process(4_001, 4_000, 'sshd', 0, 1),
    process(4_002, 4_000, 'cron', 0, 1),
    ...pids.map((pid, i) => process(pid, i === 0 ? 4_000 : (pids[0] as number), 'httpd', 33, i * 2)),
  ];

  const act: { [V in EffectRequest['verb']]: (args: VerbArgs[V]) => string } = {
    'container.ensure-enterable': ({ candidates }) => {
      const had = pids.length;
      const killed: number[] = [];
      for (const { pid } of candidates) {
        if (pids.length <= ENTERABLE) break;
        pids = pids.filter((p) => p !== pid);
        killed.push(pid);
      }
      hostLog.push(`kill ${killed.length}`);
      return `killed ${killed.length} of ${had} httpd from the host`;
    },
    'container.ensure-service-restarted': () => {
      pids = [(nextPid += 1), (nextPid += 1)];
      serviceAge = 1;
      hostLog.push('restart httpd');
      return 'httpd restarted in the container';
    },
    'container.ensure-limit': ({ barrier, limit }) => {
      Object.assign(model, { barrier, limit });
      hostLog.push(`set ${barrier}:${limit}`);
      return `tcpsndbuf is ${barrier}:${limit}`;
    },
    'container.ensure-limit-saved': ({ barrier, limit }) => {
      Object.assign(saved, { barrier, limit });
      hostLog.push(`save ${barrier}:${limit}`);
      return `tcpsndbuf ${barrier}:${limit} saved`;
    },
  };

  return {
    model,
    hostLog,
    failcnt: () => failcnt,
    restart() {
      boots += 1;
      failcnt = 0;
      pids = [(nextPid += 1), (nextPid += 1)];
      Object.assign(model, saved, { traffic: 0, trafficGrowsBy: 0 });
      hostLog.push('container restarted by somebody');
    },
    looks: {
      async lookAtContainer({ want, enterWithinMs }): Promise<ContainerLook> {
        await before?.('look');
        if (model.silent === true) throw ApplicationFailure.nonRetryable('h1 does not answer', 'refused');
        if (want.includes('counters')) tick();
        return {
          running: true,
          incarnation: incarnation(),
          counters: want.includes('counters') ? counters() : null,
          processes: want.includes('processes') ? processes() : null,
          load1: pids.length > ENTERABLE ? 3.1 : 0.4,
          bootId: null,
          tookMs: 20,
          ...(want.includes('enter') ? { enteredInMs: pids.length > ENTERABLE ? null : Math.min(80, enterWithinMs) } : {}),
        };
      },
    },
    effects: {
      async carryOut(request): Promise<EffectOutcome> {
        const { incident, step, verb, risk, target, args, summary, site } = request;
        const told = outcomes.get(`${incident}.${step}`);
        if (told !== undefined) return told;
        await before?.(step);
        const common = { v: 1, at: new Date().toISOString(), site, by: 'effector', incident, step, verb, operation: `${incident}.${step}` } as const;
        audit({ ...common, fact: 'intent', risk, target, args: { ...args }, plan: '0', summary });
        const fate = fates[step];
        const outcome = ((): EffectOutcome => {
          if (fate === undefined && 'incarnation' in args && args.incarnation !== incarnation())
            return { state: 'refused', reason: 'other-incarnation', summary: 'it was restarted since it was looked at' };
          if (fate === undefined || fate === 'unknown-done') {
            const done = (act[verb] as (a: typeof args) => string)(args);
            return fate === undefined
              ? { state: 'done', changed: true, summary: done, data: {} }
              : { state: 'unknown', summary: 'the connection broke after it was asked for' };
          }
          if (fate === 'unknown-not-done') return { state: 'unknown', summary: 'the connection broke before an answer' };
          return fate === 'failed'
            ? { state: 'failed', summary: `${verb}: exit code 9, already locked` }
            : { state: 'refused', reason: fate, summary: `not done: ${fate}` };
        })();
        outcomes.set(`${incident}.${step}`, outcome);
        audit({
          ...common,
          fact: 'outcome',
          state: outcome.state,
          changed: outcome.state === 'done',
          ...(outcome.state === 'refused' ? { reason: outcome.reason } : {}),
          tookMs: 30,
          summary: outcome.summary,
          data: {},
        });
        return outcome;
      },
    },
  };
}
