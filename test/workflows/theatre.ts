import { fileURLToPath } from 'node:url';
import { Client, type WorkflowHandle } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { auditRecord, type AuditRecord } from '../../events/audit.js';
import { bundleWorkflows } from '../../workflows/build-bundle.js';
import {
  CLOSE,
  INCIDENT_WORKFLOW,
  OBSERVE,
  QUEUES,
  STORM,
  VIEW,
  type Close,
  type EventBatch,
  type IncidentInput,
  type IncidentView,
  type Storm,
} from '../../workflows/messages.js';
import { temporalServer } from '../servers.js';
import { until } from '../until.js';
import { simulatedContainer, type ContainerModel, type Fate, type SimulatedContainer } from './simulated-container.js';
import { timeline } from './timeline.js';

Runtime.install({ logger: new DefaultLogger('ERROR'), telemetryOptions: { logging: { filter: { core: 'ERROR', other: 'ERROR' }, forward: {} } } });

const here = import.meta.url;
const extension = here.slice(here.lastIndexOf('.'));
/** The same workflows as in the built bundle, from the sources that lie here. */
export const freshBundle = (): Promise<string> => bundleWorkflows(fileURLToPath(new URL(`../../workflows/index${extension}`, here)));

/** Runs longer than the two of the drill: what is measured in test is the order of things, not the clock. */
export const KNOBS: IncidentInput['knobs'] = {
  verifyForMs: 600,
  watchForMs: 300,
  maxKills: 100,
  maxRaises: 5,
  raiseFactor: 1.25,
  enterWithinMs: 1_000,
  runaways: ['httpd'],
  protect: [],
  service: 'httpd',
  ceiling: { barrier: 7_000_000, limit: 8_000_000 },
};

/** 34 workers that each want 130 kB of 4.0 MB: nobody gets in, 42 refusals a tick. */
export const RUNAWAY: ContainerModel = { workers: 34, wantPerWorker: 130_000, traffic: 0, barrier: 4_000_000, limit: 4_300_000 };

export interface Scenario {
  /** What it shows, in a sentence. */
  about: string;
  model: ContainerModel;
  knobs?: Partial<IncidentInput['knobs']>;
  input?: Partial<IncidentInput>;
  fates?: Record<string, Fate>;
  /** Called before a step is carried out (`look` for every look). */
  before?: (step: string, play: Play) => Promise<void> | void;
  /** Called before records are written. */
  writing?: (records: AuditRecord[], play: Play) => Promise<void> | void;
  /** How calls of activities go: `once`; `failing-first`: the first try of each fails; `twice`: each is carried out twice. */
  calls?: 'once' | 'failing-first' | 'twice';
  /** What a person does when it stands still, open. Without it the incident ends by itself. */
  then?: (play: Play) => Promise<unknown>;
}

export interface Play {
  handle: WorkflowHandle;
  input: IncidentInput;
  container: SimulatedContainer;
  records: AuditRecord[];
  spike(seq: number): Promise<void>;
  observe(batch: EventBatch): Promise<void>;
  storm(storm: Storm): Promise<void>;
  close(close: Close): Promise<IncidentView>;
  view(): Promise<IncidentView>;
  /** Resolves when a record says that this state was entered. */
  reached(state: string): Promise<void>;
}

/** Any Temporal server, and a client of it where it needs one of its own. */
export interface Stage {
  address: string;
  namespace: string;
  client?: Client;
  close(): Promise<void>;
}

export interface Theatre {
  client: Client;
  start(scenario: Scenario): Promise<Play>;
  /** Plays it to its end and returns its timeline. */
  play(scenario: Scenario): Promise<{ text: string; play: Play }>;
  close(): Promise<void>;
}

/** A Temporal server with one worker for each queue, and as many containers as there are plays. */
export async function openTheatre(stage?: Stage): Promise<Theatre> {
  const temporal: Stage = stage ?? (await temporalServer());
  const connection = await NativeConnection.connect({ address: temporal.address });
  const client = temporal.client ?? new Client({ connection, namespace: temporal.namespace });
  const plays = new Map<string, { scenario: Scenario; play: Play }>();
  const keys = new Set<string>();
  const tries = new Map<string, number>();

  const of = (id: string): { scenario: Scenario; play: Play } => {
    const found = plays.get(id);
    if (found === undefined) throw ApplicationFailure.nonRetryable(`no play ${id}`);
    return found;
  };
  const calling = async <T>(scenario: Scenario, name: string, run: () => Promise<T>): Promise<T> => {
    const nth = (tries.get(name) ?? 0) + 1;
    tries.set(name, nth);
    if (scenario.calls === 'failing-first' && nth % 2 === 1) throw ApplicationFailure.retryable('the first try of everything fails', 'incomplete');
    if (scenario.calls === 'twice') await run();
    return run();
  };
  const shared = { connection, namespace: temporal.namespace };
  const workers = await Promise.all([
    Worker.create({
      ...shared,
      taskQueue: QUEUES.workflows,
      workflowBundle: { code: await freshBundle() },
      activities: {
        async record(key: string, records: AuditRecord[]): Promise<void> {
          const { scenario, play } = of(records[0]?.site === 'lab' ? incidentOf(records) : '');
          await calling(scenario, key, async () => {
            await scenario.writing?.(records, play);
            for (const [i, record] of records.entries()) {
              if (keys.has(`${key}.${i}`)) continue;
              keys.add(`${key}.${i}`);
              play.records.push(auditRecord.parse(record));
            }
          });
        },
      },
    }),
    Worker.create({
      ...shared,
      taskQueue: QUEUES.looks,
      activities: {
        lookAtContainer: (request: { host: string }) => {
          const { scenario, play } = of(request.host);
          return calling({ ...scenario, calls: scenario.calls === 'twice' ? 'once' : (scenario.calls ?? 'once') }, `${request.host} look`, () =>
            play.container.looks.lookAtContainer(request as never),
          );
        },
      },
    }),
    Worker.create({
      ...shared,
      taskQueue: QUEUES.effects,
      activities: {
        carryOut: (request: { incident: string; step: string }) => {
          const { scenario, play } = of(request.incident);
          return calling(scenario, `${request.incident} ${request.step}`, () => play.container.effects.carryOut(request as never));
        },
      },
    }),
  ]);
  const running = workers.map((worker) => worker.run());

  let nth = 0;
  const start = async (scenario: Scenario): Promise<Play> => {
    nth += 1;
    const incident = `i-${String(nth).padStart(10, '0')}`;
    const host = `host-${nth}`;
    const records: AuditRecord[] = [];
    const trigger: IncidentInput['trigger'] = {
      id: `event-${nth}-0001`,
      type: 'container.failcnt_spike',
      kind: 'container.failcnt_spike',
      host,
      time: new Date().toISOString(),
      seq: 100,
      text: 'tcpsndbuf failcnt +412 in 1 s',
      data: { host, container: '204', resource: 'tcpsndbuf', delta: 412, intervalSeconds: 1, held: 4_000_000, barrier: 4_000_000, limit: 4_300_000 },
    };
    const input: IncidentInput = {
      v: 1,
      incident,
      problem: `lab/${host}/204/tcpsndbuf/relieve-container`,
      site: 'lab',
      playbook: 'relieve-container',
      rule: 'failcnt',
      mode: 'auto',
      config: '000000000000',
      target: { host, container: '204', resource: 'tcpsndbuf', domain: 'rack-1' },
      trigger,
      stale: false,
      knobs: { ...KNOBS, ...scenario.knobs },
      ...scenario.input,
    };
    const handle = client.workflow.getHandle(input.problem);
    const play: Play = {
      handle,
      input,
      records,
      container: simulatedContainer({
        model: structuredClone(scenario.model),
        fates: scenario.fates ?? {},
        audit: (record) => void records.push(auditRecord.parse(record)),
        before: (step) => scenario.before?.(step, play),
      }),
      observe: (batch) => handle.signal(OBSERVE, batch),
      spike: (seq) => handle.signal(OBSERVE, { lastSeq: seq, count: 3, kinds: { 'container.failcnt_spike': 3 }, latest: [] } satisfies EventBatch),
      storm: (storm) => handle.signal(STORM, storm),
      close: (close) => handle.executeUpdate<IncidentView, [Close]>(CLOSE, { args: [close] }),
      view: () => handle.query<IncidentView>(VIEW),
      reached: async (state) =>
        void (await until(() => records.some((r) => r.fact === 'state' && r.to === state), { timeoutMs: 30_000, what: `${incident} ${state}` })),
    };
    plays.set(incident, { scenario, play });
    plays.set(host, { scenario, play });
    await client.workflow.start(INCIDENT_WORKFLOW, {
      workflowId: input.problem,
      taskQueue: QUEUES.workflows,
      args: [input],
      ...(temporal.client === undefined ? { requestEagerStart: true } : {}),
      memo: { incident },
    });
    return play;
  };

  return {
    client,
    start,
    async play(scenario) {
      const play = await start(scenario);
      await scenario.then?.(play);
      await play.handle.result();
      return { text: timeline(play.records), play };
    },
    async close() {
      for (const worker of workers) worker.shutdown();
      await Promise.all(running);
      await connection.close();
      await temporal.close();
    },
  };
}

const incidentOf = (records: AuditRecord[]): string => {
  const first = records[0];
  return first !== undefined && 'incident' in first ? first.incident : '';
};
