import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MAX_ANSWER_BYTES, parseAnswer, type Answer } from '../../activities/far-side/answer.js';
import { encodeRequest } from '../../activities/far-side/request.js';
import { createSampleOfAnswer } from './sample-of-answer.js';
import type { CounterSource } from './raw-sample.js';
import type { ViaSsh } from './via-ssh-of.js';

export interface SshSourceOptions {
  viaSsh: ViaSsh;
  /** cgroups to watch: container name -> path below the hierarchy's root. */
  cgroups: Readonly<Record<string, string>>;
  /** Where the socket of the kept connection may lie. */
  controlDir: string;
  /** The OpenSSH client. */
  ssh?: string;
}

/** A host under load answers late; one that takes longer is a missed sample, and the next one is tried. */
const ANSWER_WITHIN_MS = 8_000;
/** The kept connection outlives an agent that was killed by this much, and serves the next one. */
const PERSIST_SECONDS = 60;
/** Unix sockets have short names (108 bytes); ssh adds 40 hex digits and a suffix of 17. */
const LONGEST_CONTROL_DIR = 45;

/**
 * Samples a host that cannot run the agent: one SSH connection is kept open and carries one request a second. The key's forced command is the far-side
 * helper with `--counters-only`, so that this key can do nothing else; the request is what it reads on stdin.
 */
export function createSshSource({ viaSsh, cgroups, controlDir, ssh = 'ssh' }: SshSourceOptions): CounterSource {
  const request = encodeRequest({ verb: 'counters', cgroups: Object.values(cgroups) }, null);
  const sampleOfAnswer = createSampleOfAnswer(cgroups);
  let ownDir: string | null = null;
  let options: string[] | null = null;

  async function sshOptions(): Promise<string[]> {
    if (options !== null) return options;
    if (Buffer.byteLength(controlDir) > LONGEST_CONTROL_DIR) ownDir = await mkdtemp(join(tmpdir(), 'ns-'));
    const settings: Record<string, string> = {
      BatchMode: 'yes',
      ControlMaster: 'auto',
      ControlPath: quoted(join(ownDir ?? controlDir, '%C')),
      ControlPersist: `${PERSIST_SECONDS}`,
      StrictHostKeyChecking: 'yes',
      UserKnownHostsFile: quoted(viaSsh.knownHostsFile.replaceAll('%', '%%')),
      GlobalKnownHostsFile: '/dev/null',
      UpdateHostKeys: 'no',
      IdentitiesOnly: 'yes',
      IdentityFile: quoted(viaSsh.keyFile.replaceAll('%', '%%')),
      PreferredAuthentications: 'publickey',
      ClearAllForwardings: 'yes',
      ForwardAgent: 'no',
      ConnectTimeout: '5',
      ServerAliveInterval: '5',
      ServerAliveCountMax: '2',
      LogLevel: 'ERROR',
    };
    // Nobody's own configuration takes part: what connects here is what stands here.
    options = ['-F', '/dev/null', ...Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]), '-T', '-p', `${viaSsh.port}`, '-l', viaSsh.user];
    return options;
  }

  async function ask(): Promise<Answer> {
    const { code, stdout, stderr } = await run(ssh, [...await sshOptions(), '--', viaSsh.address], request);
    const answer = parseAnswer(stdout);
    if (!answer.whole) throw new Error(`ssh ${viaSsh.address}: no whole answer (exit code ${code ?? 'none'}): ${printable(stderr) || 'it said nothing'}`);
    if (answer.result?.word !== 'done') throw new Error(`ssh ${viaSsh.address}: the helper refused: ${answer.result?.reason ?? ''} ${answer.details.join('; ')}`);
    return answer;
  }

  return {
    sample: async () => sampleOfAnswer(await ask()),
    close: async () => {
      // Without a kept connection this fails, which is what is wanted.
      if (options !== null) await run(ssh, ['-O', 'exit', ...options, '--', viaSsh.address], '').catch(() => undefined);
      if (ownDir !== null) await rm(ownDir, { recursive: true, force: true });
    },
  };
}

const quoted = (path: string): string => `"${path}"`;

/** Text of another machine, made fit for one line of a log. */
const printable = (text: string): string => text.replace(/[^\x20-\x7e]+/g, ' ').trim().slice(0, 300);

function run(file: string, argv: readonly string[], input: string): Promise<{ code: number | null; stdout: string; stderr: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, argv, { stdio: ['pipe', 'pipe', 'pipe'] });
    const out: Buffer[] = [];
    let length = 0;
    let err = '';
    let tooMuch = false;
    const timer = setTimeout(() => child.kill('SIGKILL'), ANSWER_WITHIN_MS);
    child.on('error', (cause) => {
      clearTimeout(timer);
      reject(new Error(`${file} cannot be started: ${cause.message}`, { cause }));
    });
    child.stdout.on('data', (chunk: Buffer) => {
      length += chunk.length;
      if (length <= MAX_ANSWER_BYTES) { out.push(chunk); return; }
      tooMuch = true;
      child.kill('SIGKILL');
    });
    child.stderr.on('data', (chunk: Buffer) => { if (err.length < 2000) err += chunk.toString('latin1'); });
    // A far side that does not want the request closes early: its answer says why.
    child.stdin.on('error', () => undefined);
    child.stdin.end(input);
    child.on('close', (code) => {
      clearTimeout(timer);
      if (tooMuch) reject(new Error(`more than ${MAX_ANSWER_BYTES} bytes of answer`));
      else resolve({ code, stdout: Buffer.concat(out).toString('latin1'), stderr: err });
    });
  });
}
