import { ApplicationFailure } from '@temporalio/common';
import type { LoadedConfig } from '../config/schema.js';
import type { FarSide } from './far-side/far-side.js';
import { FarSideFailure } from './far-side/far-side-failure.js';
import { lookAt } from './far-side/look-at.js';
import { RETRIED, type FailureKind, type Looks } from './looks.js';

export interface LooksParts {
  farSide: FarSide;
  /** The configuration in force. Only what it names is looked at. */
  inventory: () => LoadedConfig;
  /** Ends a look whose activity was cancelled. */
  signal?: () => AbortSignal | undefined;
}

const failure = (kind: FailureKind, message: string, cause?: Error): ApplicationFailure =>
  ApplicationFailure.create({ type: kind, nonRetryable: !RETRIED[kind], message, ...(cause === undefined ? {} : { cause }) });

/** The reads of playbooks. */
export function createLooks({ farSide, inventory, signal }: LooksParts): Looks {
  return {
    async lookAtContainer({ site, host: hostName, container: containerName, want, enterWithinMs }) {
      const { config, version } = inventory();
      const host = site === config.site && Object.hasOwn(config.fleet.hosts, hostName) ? config.fleet.hosts[hostName] : undefined;
      const container = host !== undefined && Object.hasOwn(host.containers, containerName) ? host.containers[containerName] : undefined;
      if (host === undefined || container === undefined)
        throw failure(
          'refused',
          `configuration ${version} of site ${config.site} has no ${host === undefined ? `host ${hostName}` : `container ${containerName} on ${hostName}`}`,
        );
      try {
        return await lookAt(farSide, host, containerName, container, { want, enterWithinMs }, signal?.());
      } catch (error) {
        if (error instanceof FarSideFailure) throw failure(error.kind, `${hostName}: ${error.message}`, error);
        throw error;
      }
    },
  };
}
