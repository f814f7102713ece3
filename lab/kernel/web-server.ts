import type { Scene } from '../messages.js';
import type { Bean } from './beancounters.js';

/**
 * The container's web server and its clients: who asks for how much send buffer, and who is refused. It decides; the processes are real and do as told.
 *
 * The outage, as the seed tells it: a surge of clients lets workers pile up to MaxClients. All of them want to send, 20 of 60 buffers fit below the
 * limit, and who is refused does not handle it well: it spins and asks again, each time in vain. With that many spinning nobody gets into the container.
 * A worker that was ended from outside is replaced slowly. A restart drops the queue: 24 clients come back, four buffers too many until the limit is
 * raised. For a stuck worker's client a new worker is started every 3 s; the stuck one does not notice, and spins until there is room for its write.
 */
export interface WebServerPorts {
  /** Start a process in that slot; `worker` is false for the master. */
  spawn(slot: number, worker: boolean): void;
  /** `refused` lets the worker spin and ask again, `granted` ends that. */
  tell(slot: number, word: 'refused' | 'granted'): void;
  /** End these processes: the server does it itself. */
  end(slots: readonly number[]): void;
  /** The row that send buffers are charged to. */
  sendBuffers(): Bean;
}

/** 24 of them are 3,190,632 bytes: the seed's maxheld. */
const BUFFER_BYTES = 132_943;
export const MAX_CLIENTS = 60;
const QUIET_WORKERS = 6;
const CLIENTS_AFTER_RESTART = 24;
/** Workers started in one tick while a surge comes in. */
const PILE_UP = 5;
const REPLACED_EVERY_MS = 3_000;
/** A stuck worker's write is tried again this often, by the kernel's own timer, even if the worker gets no processor time to ask. */
const TRIED_EVERY_MS = 500;
/** Asking more often than this is not even a try: TCP backs off. So refusals per second speak of how many are stuck, not of how fast the machine is. */
const NOT_TRIED_WITHIN_MS = 400;
/** From a client's request to the first byte of the answer. */
const ANSWER_AFTER_MS = 500;
const SURGE_ENDS_AFTER_MS = 10 * 60_000;
/** From so many stuck workers on nobody gets in, until there are no more than so many again. */
const SHUT_AT = 30;
const OPEN_AT = 24;
/** How often the workers are refused in a blip. */
const BLIP = 3;

interface Worker {
  slot: number;
  /** `coming`: ordered, no process yet. */
  state: 'coming' | 'idle' | 'preparing' | 'sending' | 'stuck';
  /** Somebody waits for its answer. */
  client: boolean;
  bytes: number;
  /** When it wants to send, or last tried to. */
  at: number;
}

export interface WebServer {
  /** Once a tick, and whenever something has changed. */
  step(now: number): void;
  start(now: number): void;
  /** Everything is told to end; `isDown` says when it has. */
  stop(): void;
  isDown(): boolean;
  isUp(): boolean;
  play(scene: Scene, now: number): void;
  /** A worker's own word that it tries again. */
  again(slot: number, now: number): void;
  /** The process in that slot runs. */
  came(slot: number): void;
  /** The process in that slot has ended. */
  gone(slot: number): void;
  /** When the surge that still goes on began; null without one. */
  surgeSince(): number | null;
  view(): { scene: string; workers: number; stuck: number; sockets: number; sendBytes: number; shut: boolean };
}

/** `surgeSince`: the clients of a surge that began then are still there, though the container is another. */
export function createWebServer(ports: WebServerPorts, surgeSince: number | null): WebServer {
  const workers = new Map<number, Worker>();
  let master: 'none' | 'coming' | 'up' = 'none';
  let scene: 'quiet' | 'pile-up' | 'surge' = surgeSince === null ? 'quiet' : 'surge';
  let clients = 0;
  let since = surgeSince ?? 0;
  let lastStart = 0;
  let shut = false;
  let ending = false;

  const all = (): Worker[] => [...workers.values()];
  const stuck = (): Worker[] => all().filter((worker) => worker.state === 'stuck');
  const served = (): number => all().filter((worker) => worker.client).length;

  function startWorker(now: number, client: boolean): void {
    for (let slot = 1; slot <= MAX_CLIENTS; slot += 1) {
      if (workers.has(slot)) continue;
      workers.set(slot, { slot, state: 'coming', client, bytes: 0, at: now + ANSWER_AFTER_MS });
      lastStart = now;
      ports.spawn(slot, true);
      return;
    }
  }

  /** Refused, and counted, when `wanted` does not fit below the limit; else `taken` is held. */
  function charge(wanted: number, taken: number): boolean {
    const bean = ports.sendBuffers();
    if (BigInt(bean.held + wanted) > bean.limit) {
      bean.failcnt += 1;
      return false;
    }
    bean.held += taken;
    bean.maxheld = Math.max(bean.maxheld, bean.held);
    return true;
  }

  function release(worker: Worker): void {
    ports.sendBuffers().held -= worker.bytes;
    worker.bytes = 0;
  }

  function trySend(worker: Worker, now: number): void {
    worker.at = now;
    const was = worker.state;
    // A client that has long gone to another worker: with room the write fails at once and holds nothing.
    const bytes = worker.client ? BUFFER_BYTES : 0;
    if (!charge(BUFFER_BYTES, bytes)) {
      worker.state = 'stuck';
      if (was !== 'stuck') ports.tell(worker.slot, 'refused');
      return;
    }
    worker.bytes = bytes;
    worker.state = worker.client ? 'sending' : 'idle';
    if (was === 'stuck') ports.tell(worker.slot, 'granted');
  }

  function endSurge(): void {
    scene = 'quiet';
    clients = 0;
    for (const worker of all()) {
      worker.client = false;
      release(worker);
      if (worker.state === 'stuck') ports.tell(worker.slot, 'granted');
      if (worker.state !== 'coming') worker.state = 'idle';
    }
    const spare = all()
      .slice(QUIET_WORKERS)
      .map((worker) => worker.slot);
    if (spare.length > 0) ports.end(spare);
  }

  /** More workers than there are clients to answer are not started; a client whose worker hangs counts as unanswered. */
  function replace(now: number): void {
    if (now - lastStart < REPLACED_EVERY_MS || workers.size >= MAX_CLIENTS) return;
    if (served() < clients) return startWorker(now, true);
    const hanging = stuck().find((worker) => worker.client);
    if (hanging !== undefined) {
      hanging.client = false;
      return startWorker(now, true);
    }
    if (workers.size < QUIET_WORKERS) startWorker(now, false);
  }

  function pileUp(now: number): void {
    for (let i = 0; i < PILE_UP && workers.size < MAX_CLIENTS; i += 1) startWorker(now, true);
    const ready = all().filter((worker) => worker.state !== 'coming').length;
    if (ready < MAX_CLIENTS && now - since < 8_000) return;
    // All answers are ready in the same moment: what does not fit, does not fit at once.
    scene = 'surge';
    for (const worker of all()) worker.at = now;
  }

  return {
    step: (now) => {
      if (scene !== 'quiet' && now - since > SURGE_ENDS_AFTER_MS) endSurge();
      if (master === 'up' && !ending) {
        if (scene === 'pile-up') pileUp(now);
        else replace(now);
      }
      if (scene === 'surge') {
        for (const worker of all()) {
          if (worker.state === 'idle' && worker.client) Object.assign(worker, { state: 'preparing', at: now + ANSWER_AFTER_MS });
          if (worker.state === 'preparing' && worker.at <= now) trySend(worker, now);
          else if (worker.state === 'stuck' && now - worker.at >= TRIED_EVERY_MS) trySend(worker, now);
        }
      }
      const many = stuck().length;
      shut = shut ? many > OPEN_AT : many >= SHUT_AT;
    },
    start: (now) => {
      ending = false;
      if (master !== 'none') return;
      master = 'coming';
      ports.spawn(0, false);
      if (scene === 'quiet') {
        for (let i = 0; i < QUIET_WORKERS; i += 1) startWorker(now, false);
        return;
      }
      scene = 'surge';
      clients = CLIENTS_AFTER_RESTART;
      for (let i = 0; i < CLIENTS_AFTER_RESTART; i += 1) startWorker(now, true);
    },
    stop: () => {
      ending = true;
      ports.end([0, ...workers.keys()]);
    },
    isDown: () => master === 'none' && workers.size === 0,
    isUp: () => master === 'up' && all().every((worker) => worker.state !== 'coming'),
    play: (wanted, now) => {
      if (scene !== 'quiet') throw new Error(`a ${scene} is being played: reset the lab first`);
      if (master !== 'up') throw new Error('the web server is down: reset the lab first');
      if (wanted === 'blip') {
        // One answer larger than all there is: refused a few times, then sent in pieces.
        const bean = ports.sendBuffers();
        bean.failcnt += BLIP;
        bean.maxheld = Math.max(bean.maxheld, Number(bean.limit));
        return;
      }
      scene = 'pile-up';
      since = now;
      clients = MAX_CLIENTS;
      for (const worker of all()) Object.assign(worker, { client: true, state: worker.state === 'idle' ? 'preparing' : worker.state });
    },
    again: (slot, now) => {
      const worker = workers.get(slot);
      if (worker?.state === 'stuck') {
        if (now - worker.at >= NOT_TRIED_WITHIN_MS) trySend(worker, now);
        if (worker.state === 'stuck') ports.tell(slot, 'refused');
      } else {
        // Granted meanwhile; the word may have been lost.
        ports.tell(slot, 'granted');
      }
    },
    came: (slot) => {
      if (slot === 0) master = 'up';
      const worker = workers.get(slot);
      if (worker?.state === 'coming') worker.state = worker.client ? 'preparing' : 'idle';
    },
    gone: (slot) => {
      if (slot === 0) master = 'none';
      const worker = workers.get(slot);
      if (worker === undefined) return;
      release(worker);
      workers.delete(slot);
    },
    surgeSince: () => (scene === 'quiet' ? null : since),
    view: () => ({
      scene,
      workers: workers.size,
      stuck: stuck().length,
      shut,
      // It listens on one socket, and has one per client that is being answered.
      sockets: (master === 'up' ? 1 : 0) + served(),
      sendBytes: all().reduce((sum, worker) => sum + worker.bytes, 0),
    }),
  };
}
