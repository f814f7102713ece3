/** Runs work for hosts side by side, a few for each host; what is too much for one host waits for that host alone. */
export type PerHostLimit = <T>(host: string, signal: AbortSignal | undefined, work: () => Promise<T>) => Promise<T>;

/** Too many wait for one host already. */
export class HostBusy extends Error {
  override readonly name = 'HostBusy';
}

/**
 * `atOnce` run for one host at a time and `waiting` more may wait; beyond that HostBusy. There is no limit over all hosts on purpose:
 * dead hosts, each holding its own slots until a timeout, take none from the living.
 */
export function createPerHostLimit({ atOnce, waiting }: { atOnce: number; waiting: number }): PerHostLimit {
  const hosts = new Map<string, { running: number; queue: (() => void)[] }>();
  return async (host, signal, work) => {
    signal?.throwIfAborted();
    const slots = hosts.get(host) ?? { running: 0, queue: [] };
    hosts.set(host, slots);
    if (slots.running < atOnce) {
      slots.running += 1;
    } else {
      if (slots.queue.length >= waiting) throw new HostBusy(`${host}: ${slots.running} requests run and ${slots.queue.length} wait`);
      // Whoever is done hands its slot on: `running` stays as it is.
      await new Promise<void>((resolve, reject) => {
        const go = (): void => {
          signal?.removeEventListener('abort', leave);
          resolve();
        };
        const leave = (): void => {
          slots.queue.splice(slots.queue.indexOf(go), 1);
          reject(signal?.reason as Error);
        };
        slots.queue.push(go);
        signal?.addEventListener('abort', leave, { once: true });
      });
    }
    try {
      return await work();
    } finally {
      const next = slots.queue.shift();
      if (next !== undefined) next();
      else if ((slots.running -= 1) === 0) hosts.delete(host);
    }
  };
}
