import type { Container, Host } from '../../config/schema.js';
import type { ContainerLook, LookAtContainer } from '../looks.js';
import type { FarSide } from './far-side.js';
import { FarSideFailure } from './far-side-failure.js';
import type { FarSideTarget } from './request.js';

/** How a container is called on its host. */
export function targetOf(containerName: string, container: Container): FarSideTarget {
  if (container.engine === 'openvz') return { engine: 'openvz', container: containerName };
  if (container.cgroup === undefined)
    throw new FarSideFailure('refused', `container ${containerName} has engine cgroup and no cgroup in the configuration`, { mayHaveArrived: false });
  return { engine: 'cgroup', cgroup: container.cgroup };
}

/** A look is over in this time, whatever came until then; only a longer wish to enter makes it longer. */
const LOOK_MS = 5000;

/** One look at a container from its host. What did not come in time is null. */
export async function lookAt(
  farSide: FarSide,
  host: Host,
  containerName: string,
  container: Container,
  { want, enterWithinMs }: Pick<LookAtContainer, 'want' | 'enterWithinMs'>,
  signal?: AbortSignal,
): Promise<ContainerLook> {
  const startedAt = performance.now();
  const target = targetOf(containerName, container);
  const timeoutMs = want.includes('enter') ? Math.max(LOOK_MS, enterWithinMs + 1500) : LOOK_MS;
  const answer = await farSide.request(host, { verb: 'look', target, want, enterMs: enterWithinMs }, { signal, timeoutMs, partial: true });
  return {
    running: answer.running,
    incarnation: answer.incarnation,
    ...(want.includes('enter') ? { enteredInMs: answer.enteredInMs ?? null } : {}),
    counters: answer.counters,
    processes: answer.processes,
    load1: answer.load1,
    bootId: answer.bootId,
    tookMs: Math.round(performance.now() - startedAt),
  };
}
