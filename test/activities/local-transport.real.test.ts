import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createFarSide } from '../../activities/far-side/create-far-side.js';
import type { FarSide } from '../../activities/far-side/far-side.js';
import { createPerHostLimit } from '../../activities/per-host-limit.js';
import { createLocalTransport } from '../../activities/transports/local.js';
import type { Transport } from '../../activities/transports/transport.js';
import { createVerbs } from '../../activities/verbs/index.js';
import { container, host, type Host } from '../../config/schema.js';
import { until } from '../until.js';
import { helperFile, managedHost, type ManagedHost } from './fixtures/managed-host.js';

const never: Transport = { deliver: () => Promise.reject(new Error('no ssh here')), close: () => Promise.resolve() };
const look = { verb: 'look', target: { engine: 'openvz', container: '204' }, want: ['counters'], enterMs: 500 } as const;

describe('this machine, managed without ssh', () => {
  let managed: ManagedHost;
  let farSide: FarSide;
  let here: Host;
  const shop = container.parse({ engine: 'openvz', service: 'httpd', runaways: ['httpd'], ceilings: {} });
  beforeEach(async () => {
    managed = await managedHost('dash');
    here = host.parse({ transport: 'local', helperConfigFile: managed.conf, containers: { 204: shop } });
    const limits = { reads: createPerHostLimit({ atOnce: 4, waiting: 20 }), effects: createPerHostLimit({ atOnce: 4, waiting: 20 }) };
    farSide = createFarSide({ ssh: never, local: createLocalTransport({ helperFile }), limits });
  });
  afterEach(() => managed.close());

  test('is looked at by the same helper', async () => {
    expect(await farSide.request(here, { ...look, want: ['counters'] }, { timeoutMs: 10_000 })).toMatchObject({ whole: true, running: true });
  });

  test('is refused, by name, without a configuration of the helper', async () => {
    await expect(farSide.request({ ...here, helperConfigFile: undefined }, { ...look, want: [] }, { timeoutMs: 10_000 })).rejects.toMatchObject({
      kind: 'refused',
      message: expect.stringContaining('helperConfigFile'),
    });
    await expect(farSide.request({ ...here, helperConfigFile: '/no/such.conf' }, { ...look, want: [] }, { timeoutMs: 10_000 })).rejects.toMatchObject({
      kind: 'refused',
      message: expect.stringContaining('/no/such.conf'),
    });
    writeFileSync(join(managed.dir, 'odd.conf'), 'path=/bin; touch /tmp/x\n');
    await expect(
      farSide.request({ ...here, helperConfigFile: join(managed.dir, 'odd.conf') }, { ...look, want: [] }, { timeoutMs: 10_000 }),
    ).rejects.toMatchObject({ kind: 'refused' });
  });

  test('ends a look that takes too long, and lets an effect go on whose caller has left', async () => {
    managed.write('restart-hangs', '');
    const verbs = createVerbs({ farSide });
    const ctx = { hostName: 'here', host: here, containerName: '204', container: shop };
    const { incarnation } = await farSide.request(here, { ...look, want: [] }, { timeoutMs: 10_000 });
    const leave = new AbortController();
    const acting = verbs['container.ensure-service-restarted'].act(
      ctx,
      { incarnation: incarnation! },
      { operation: 'i-1.restart', deadlineMs: 5000, signal: leave.signal },
    );
    await until(() => managed.vzctlLog().length === 1, { what: 'the restart has begun' });
    leave.abort(new Error('the effector is told to end'));
    expect(await acting).toMatchObject({ state: 'unknown' });
    expect(await farSide.request(here, { verb: 'journal', op: 'i-1.restart', waitMs: 0 }, { timeoutMs: 5000 })).toMatchObject({
      operation: 'started',
      result: { reason: 'running' },
    });
    expect(existsSync(join(managed.dir, 'state/ops/i-1.restart/result'))).toBe(false);
  });
});
