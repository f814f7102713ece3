import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import type { Host } from '../../config/schema.js';
import { MAX_ANSWER_BYTES } from '../far-side/answer.js';
import { FarSideFailure } from '../far-side/far-side-failure.js';
import { classifySshFailure } from './classify-ssh-failure.js';
import { runBounded } from './run-bounded.js';
import type { Delivery, Transport, TransportOptions } from './transport.js';

export interface SshTransportOptions {
  /** Where the sockets of kept connections are made: a directory of ours, 0700. */
  runtimeDir?: string;
  connectTimeoutSeconds?: number;
}

/** sun_path holds 104 bytes on some systems; ssh makes the socket under a name 17 bytes longer first, ours is 16 and a slash. */
const LONGEST_RUNTIME_DIR = 104 - 1 - 17 - 16 - 1;

/** A path in an option of ssh, where `%` begins a token and blanks separate. */
function optionPath(path: string): string {
  if (!isAbsolute(path) || /["\n\r\\]/.test(path))
    throw new FarSideFailure('refused', `ssh: not a path that ssh can be told: ${path}`, { mayHaveArrived: false });
  return `"${path.replaceAll('%', '%%')}"`;
}

/** A directory of this process. Those of processes that were killed before they could clean up are removed on the way. */
function ownRuntimeDir(): string {
  const parent = tmpdir().length > 50 ? '/tmp' : tmpdir();
  for (const name of readdirSync(parent)) {
    const pid = /^ns-ssh-(\d+)-/.exec(name)?.[1];
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue;
    // Another's, or being removed just now by a sibling: neither is ours to care for.
    try {
      rmSync(join(parent, name), { recursive: true, force: true });
    } catch (error) {
      if (!['EACCES', 'EPERM', 'ENOENT', 'ENOTEMPTY'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
    }
  }
  return mkdtempSync(join(parent, `ns-ssh-${process.pid}-`));
}

/**
 * Hosts over OpenSSH: one connection each is kept for a minute (ControlMaster), host keys are pinned, nothing is read from the user's own configuration,
 * and no command is sent: the key's forced command is the helper. A server of another key, or one that wants a password, gets nothing.
 */
export function createSshTransport({ runtimeDir, connectTimeoutSeconds = 5 }: SshTransportOptions = {}): Transport {
  const sockets = runtimeDir ?? ownRuntimeDir();
  if (Buffer.byteLength(sockets) > LONGEST_RUNTIME_DIR)
    throw new Error(`ssh: ${sockets} is too long for a socket; give a runtimeDir of at most ${LONGEST_RUNTIME_DIR} bytes`);
  const masters = new Map<string, string[]>();
  const env = { PATH: process.env['PATH'] ?? '/usr/bin:/bin', LC_ALL: 'C' };

  const argvOf = (host: Host): string[] => {
    if (host.ssh === undefined) throw new FarSideFailure('refused', `ssh: ${host.address} has no ssh section in the configuration`, { mayHaveArrived: false });
    const { user, port, keyFile, knownHostsFile } = host.ssh;
    if (!/^[a-z0-9][a-z0-9.:-]{0,252}$/i.test(host.address) || !/^[a-z_][a-z0-9_-]{0,31}$/.test(user)) {
      throw new FarSideFailure('refused', 'ssh: address or user is not one', { mayHaveArrived: false });
    }
    const name = createHash('sha256')
      .update(JSON.stringify([host.address, port, user, keyFile, knownHostsFile]))
      .digest('hex')
      .slice(0, 16);
    const options = [
      'BatchMode=yes',
      `ControlPath=${optionPath(join(sockets, name))}`,
      'ControlMaster=auto',
      'ControlPersist=60',
      'StrictHostKeyChecking=yes',
      `UserKnownHostsFile=${optionPath(knownHostsFile)}`,
      'GlobalKnownHostsFile=/dev/null',
      'UpdateHostKeys=no',
      'CheckHostIP=no',
      `IdentityFile=${optionPath(keyFile)}`,
      'IdentitiesOnly=yes',
      'IdentityAgent=none',
      'PreferredAuthentications=publickey',
      `ConnectTimeout=${connectTimeoutSeconds}`,
      'ConnectionAttempts=1',
      // A kept connection to a host that died must not be taken for one that is slow.
      'ServerAliveInterval=3',
      'ServerAliveCountMax=3',
      'ClearAllForwardings=yes',
      'PermitLocalCommand=no',
      'RequestTTY=no',
      'LogLevel=ERROR',
    ];
    const argv = ['-F', '/dev/null', '-T', '-a', '-x', ...options.flatMap((o) => ['-o', o]), '-p', String(port), '-l', user];
    masters.set(name, [...argv, '-O', 'exit', '--', host.address]);
    return argv;
  };

  return {
    async deliver(host: Host, text: string, { signal, timeoutMs }: TransportOptions): Promise<Delivery> {
      let argv;
      try {
        argv = argvOf(host);
      } catch (error) {
        if (error instanceof FarSideFailure) return { text: '', failure: error };
        throw error;
      }
      const where = `ssh ${host.ssh?.user}@${host.address}:${host.ssh?.port}`;
      let ran;
      try {
        // Ending our ssh ends no effect: the helper goes on when its connection is gone.
        ran = await runBounded('ssh', [...argv, '--', host.address], { input: text, timeoutMs, maxBytes: MAX_ANSWER_BYTES, env, signal, whenLate: 'end' });
      } catch (error) {
        if (signal?.aborted === true) throw error;
        return {
          text: '',
          failure: new FarSideFailure('incomplete', `${where}: ssh cannot be started: ${String(error)}`, { cause: error, mayHaveArrived: false }),
        };
      }
      if (ran.late) {
        // The next request opens a connection of its own; what still runs over this one keeps it.
        await runBounded('ssh', [...argv, '-O', 'stop', '--', host.address], { input: '', timeoutMs: 1000, maxBytes: 4096, env, whenLate: 'end' }).catch(
          () => undefined,
        );
        return {
          text: ran.stdout,
          failure: new FarSideFailure(ran.stdout === '' ? 'unreachable' : 'incomplete', `${where}: no whole answer within ${timeoutMs} ms`),
        };
      }
      if (ran.tooLong) return { text: ran.stdout, failure: new FarSideFailure('incomplete', `${where}: more than ${MAX_ANSWER_BYTES} bytes of answer`) };
      if (ran.exitCode === 0) return { text: ran.stdout, failure: null };
      const said = ran.stderr
        .trim()
        .replace(/[^\x20-\x7e]+/g, ' ')
        .slice(0, 300);
      if (ran.exitCode === 255 || ran.exitCode === null) {
        const { kind, mayHaveArrived, means } = classifySshFailure(ran.stderr, ran.stdout !== '');
        return { text: ran.stdout, failure: new FarSideFailure(kind, `${where}: ${means}${said === '' ? '' : ` (${said})`}`, { mayHaveArrived }) };
      }
      // Without a word: it is not there, or not configured; asking again helps nothing. Shells say 126 and 127 for what cannot be run, the helper 64.
      const kind = ran.stdout === '' ? 'refused' : 'incomplete';
      return {
        text: ran.stdout,
        failure: new FarSideFailure(kind, `${where}: the helper ended with ${ran.exitCode} (${said})`, {
          mayHaveArrived: ![64, 126, 127].includes(ran.exitCode),
        }),
      };
    },
    async close() {
      await Promise.all(
        [...masters.values()].map((argv) =>
          runBounded('ssh', argv, { input: '', timeoutMs: 2000, maxBytes: 4096, env, whenLate: 'end' }).catch(() => undefined),
        ),
      );
      if (runtimeDir === undefined) await rm(sockets, { recursive: true, force: true });
    },
  };
}
