import { readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Resource } from '../../events/kinds/container.js';
import type { HostLogEntry } from '../host-log.js';
import { isRow, type Beans } from './beancounters.js';
import { saveLimit } from './container-conf.js';
import type { Container } from './container.js';

interface Reply {
  code: number;
  text: string;
}

export interface ToolPorts {
  requestDir: string;
  replyDir: string;
  id: string;
  conf: string;
  log(entry: HostLogEntry): void;
  beans(): Beans;
  container: Container;
  start(surgeSince: number | null): Promise<void>;
  tick(): void;
}

/** What the fake tools ask the kernel for: a file with one word a line, answered by a file with the exit code and the text. */
export function serveTools(ports: ToolPorts): { serve(): void } {
  const { container, id } = ports;

  async function answer([verb, ct, ...words]: readonly string[]): Promise<Reply> {
    if (ct !== id) return verb === 'set' ? { code: 0, text: '' } : { code: 14, text: '' };
    switch (verb) {
      case 'set':
        return container.isBusy() ? { code: 9, text: '' } : set(words);
      case 'start':
      case 'stop':
        if (container.isBusy()) return { code: 9, text: '' };
        await container.exclusively(async () => {
          if (verb === 'stop') await container.stop(ports.tick);
          else await ports.start(container.surgeSince());
        });
        return { code: 0, text: '' };
      case 'service':
        return service(words[1] ?? '');
      default:
        return { code: 20, text: '' };
    }
  }

  function set([save, ...wanted]: readonly string[]): Reply {
    for (let i = 0; i + 2 < wanted.length; i += 3) {
      const [name = '', barrier = '', limit = ''] = wanted.slice(i, i + 3);
      if (!isRow(name) || !/^\d{1,19}$/.test(barrier) || !/^\d{1,19}$/.test(limit)) return { code: 21, text: '' };
      change(name, BigInt(barrier), BigInt(limit), save === '1');
    }
    ports.tick();
    return { code: 0, text: '' };
  }

  function change(resource: Resource, barrier: bigint, limit: bigint, save: boolean): void {
    const row = { container: id, resource, barrier: Number(barrier), limit: Number(limit) };
    const bean = ports.beans().get(resource);
    if (container.isRunning() && bean !== undefined && (bean.barrier !== barrier || bean.limit !== limit)) {
      Object.assign(bean, { barrier, limit });
      ports.log({ what: 'limit', ...row });
    }
    if (save) {
      saveLimit(ports.conf, resource, barrier, limit);
      ports.log({ what: 'saved', ...row });
    }
  }

  async function service(action: string): Promise<Reply> {
    if (!container.isRunning()) return { code: 1, text: 'httpd: the container is not running\n' };
    const up = container.serviceIsUp();
    if (action === 'status') return up ? { code: 0, text: 'httpd is running...\n' } : { code: 3, text: 'httpd is stopped\n' };
    if (action !== 'start' && action !== 'stop' && action !== 'restart') return { code: 2, text: '' };
    const lines: string[] = [];
    if (action !== 'start') {
      const stopped = await container.stopService(ports.tick);
      lines.push(`Stopping httpd: ${stopped ? '[  OK  ]' : '[FAILED]'}`);
      if (!stopped) return { code: 1, text: `${lines.join('\n')}\n` };
    }
    if (action !== 'stop') {
      const started = await container.startService(ports.tick);
      lines.push(`Starting httpd: ${started ? '[  OK  ]' : '[FAILED]'}`);
      if (!started) return { code: 1, text: `${lines.join('\n')}\n` };
    }
    ports.log({ what: 'service', container: id, service: 'httpd', action });
    return { code: 0, text: `${lines.join('\n')}\n` };
  }

  function reply(name: string, { code, text }: Reply): void {
    const file = join(ports.replyDir, name);
    writeFileSync(`${ports.replyDir}/.${name}`, `${code}\n${text}`);
    renameSync(`${ports.replyDir}/.${name}`, file);
  }

  return {
    serve: () => {
      // Names that begin with a dot are still being written.
      for (const name of readdirSync(ports.requestDir)
        .filter((one) => !one.startsWith('.'))
        .sort()) {
        const file = join(ports.requestDir, name);
        const words = readFileSync(file, 'utf8').split('\n').slice(0, -1);
        rmSync(file);
        answer(words).then(
          (answered) => reply(name, answered),
          (error: unknown) => reply(name, { code: 3, text: `${String(error)}\n` }),
        );
      }
    },
  };
}
