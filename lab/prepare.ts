import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { access, chmod, copyFile, mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { delimiter, join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { inCheckout } from '../stack/root.js';
import { factsFile, type LabFacts } from './facts.js';
import { CGROUP_ROOT, usableCgroups } from './kernel/cgroups.js';

const run = promisify(execFile);

const HOST = 'dauntless';
const CONTAINER = '204';
const TOOLS = ['vzctl', 'vzlist', 'vzpid'];

/** The name of the lab's cgroups on this machine: two labs in two directories do not meet. */
export const cgroupName = (labDir: string): string => `nightshift-lab-${createHash('sha256').update(labDir).digest('hex').slice(0, 10)}`;

/**
 * Builds what stands for the lab host's disk below `dir`, its keys included, and finds out what this machine allows. Starts nothing. Done again it
 * brings the fakes up to date and keeps keys, logs and the host's own state.
 */
export async function prepareLab({ dir, sshPort }: { dir: string; sshPort: number }): Promise<LabFacts> {
  const labDir = resolve(dir);
  // As narrow as the helper's own configuration, authorized_keys and a forced command want it.
  if (/[^A-Za-z0-9._/:+@-]/.test(labDir))
    throw new Error(
      `the lab cannot live in ${JSON.stringify(labDir)}: only letters, digits and ._/:+@- survive old shell tools; name another place with --dir`,
    );
  const hostDir = join(labDir, 'hosts', HOST);
  const user = me();
  const root = process.getuid?.() === 0;
  const notes = [
    'OpenVZ is a fake: vzctl, vzlist, vzpid and /proc/user_beancounters stand for a kernel that nobody runs any more. The processes, their signals and their memory are real.',
  ];

  await makeDisk(hostDir);
  const group = root ? (usableCgroups(cgroupName(labDir)) ?? 'session') : 'session';
  notes.push(
    group === 'session'
      ? `${root ? 'no usable cgroups here' : 'no root'}: a POSIX session stands for the container's cgroup; what is entered from outside is not counted in it`
      : `container ${CONTAINER} is a real ${group === 'cgroup1' ? 'cgroup (version 1)' : 'cgroup (version 2)'}`,
  );

  const isolated = root && (await works('unshare', ['--mount', '--uts', '--ipc', '--pid', '--fork', '--kill-child', 'true']));
  const sshd = await usableSshd({ hostDir, sshPort, user, isolated });
  const namespaces = sshd.path !== null && isolated;
  if (sshd.path === null)
    notes.push(`no sshd here (${sshd.why}): local transport, it manages this machine: the runaways it ends are processes of this machine, the lab's own`);
  else if (namespaces)
    notes.push(`the host ${HOST} is a real sshd in pid, mount, uts and ipc namespaces of its own; its network is this machine's loopback, port ${sshPort}`);
  else
    notes.push(
      `the host ${HOST} is a real sshd on 127.0.0.1:${sshPort}, without namespaces of its own${root ? ': unshare does not work here' : ', because they need root'}`,
    );

  const helperFile = join(hostDir, 'usr', 'lib', 'nightshift-helper');
  const helperConfigFile = join(hostDir, 'etc', 'nightshift-helper.conf');
  const beancounters = join(hostDir, 'proc', 'user_beancounters');
  await copyFile(inCheckout('activities', 'far-side', 'nightshift-helper'), helperFile);
  await writeFile(
    helperConfigFile,
    [
      '# The far-side helper of the lab host.',
      `beancounters=${beancounters}`,
      'proc=/proc',
      `state=${join(hostDir, 'var', 'lib', 'nightshift')}`,
      `path=${join(hostDir, 'usr', 'sbin')}:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin`,
      `cgroup=${CGROUP_ROOT}`,
      `vzconf=${join(hostDir, 'etc', 'vz', 'conf')}`,
      '',
    ].join('\n'),
  );

  const keys = sshd.path === null ? null : await makeKeys({ labDir, hostDir, sshPort, helper: `sh ${helperFile} --conf ${helperConfigFile}` });
  const facts: LabFacts = {
    labDir,
    host: HOST,
    container: CONTAINER,
    hostDir,
    group,
    namespaces,
    sshPort,
    user,
    helperFile,
    helperConfigFile,
    notes,
    transport: keys === null ? 'local' : 'ssh',
    address: '127.0.0.1',
    keyFile: keys?.effector ?? null,
    countersKeyFile: keys?.counters ?? null,
    knownHostsFile: keys?.knownHosts ?? null,
    agentSources: { beancounters, cgroup2: null, cgroup1Memory: null, containers: {}, watchAll: false, proc: '/proc' },
  };
  await writeFile(factsFile(labDir), `${JSON.stringify(facts, null, 2)}\n`);
  return facts;
}

async function makeDisk(hostDir: string): Promise<void> {
  const ct = join(hostDir, 'vz', 'private', CONTAINER);
  for (const dir of ['sbin', 'usr/sbin', 'usr/lib', 'etc/ssh', 'etc/vz/conf', 'proc', 'log', 'run', 'var/lib/nightshift'])
    await mkdir(join(hostDir, dir), { recursive: true, mode: 0o755 });
  for (const dir of ['sbin', 'bin', 'usr/sbin', 'etc', 'run']) await mkdir(join(ct, dir), { recursive: true, mode: 0o755 });
  const put = async (name: string, to: string): Promise<void> => {
    await copyFile(inCheckout('lab', 'openvz', name), to);
    await chmod(to, 0o755);
  };
  for (const tool of TOOLS) await put(tool, join(hostDir, 'usr', 'sbin', tool));
  await put('openvz-fake.sh', join(hostDir, 'usr', 'lib', 'openvz-fake.sh'));
  await put('host-init', join(hostDir, 'sbin', 'init'));
  await put('container-init', join(ct, 'sbin', 'init'));
  await put('httpd', join(ct, 'usr', 'sbin', 'httpd'));
  await put('service', join(ct, 'usr', 'sbin', 'service'));
  await writeFile(join(ct, 'etc', 'httpd-arguments'), 'set --\n');
  for (const log of ['host.log', 'sshd.log', 'console.log']) await keepShort(join(hostDir, 'log', log));
}

const LOG_MAX_BYTES = 8 * 1024 * 1024;

/** A log that has grown long begins anew; the old one is kept once. The file is there afterwards. */
async function keepShort(file: string): Promise<void> {
  const size = await stat(file).then(
    (found) => found.size,
    () => 0,
  );
  if (size > LOG_MAX_BYTES) await rename(file, `${file}.1`);
  await writeFile(file, '', { flag: 'a' });
}

/** The account that this runs as; null when the machine knows none (an id without an entry in passwd). */
function account(): { name: string; shell: string } | null {
  try {
    const { username, shell } = userInfo();
    return { name: username, shell: shell ?? '' };
  } catch {
    return null;
  }
}
const me = (): string => account()?.name ?? 'root';

/** An sshd that would really let us in: present, willing to read our configuration, and for a user whose shell runs commands. */
async function usableSshd({
  hostDir,
  sshPort,
  user,
  isolated,
}: {
  hostDir: string;
  sshPort: number;
  user: string;
  isolated: boolean;
}): Promise<{ path: string; why: null } | { path: null; why: string }> {
  const path = await findTool('sshd');
  if (path === null) return { path, why: '`npm run lab:install`, as root, gets one' };
  if ((await findTool('ssh')) === null || (await findTool('ssh-keygen')) === null) return { path: null, why: 'ssh or ssh-keygen is missing' };
  const own = account();
  if (own === null) return { path: null, why: 'this user id has no account: sshd knows no one to let in' };
  // The forced command is run by the account's shell.
  if (/(nologin|false)$/.test(own.shell)) return { path: null, why: `the account ${own.name} has the shell ${own.shell}, which runs no commands` };
  await writeFile(join(hostDir, 'etc', 'ssh', 'sshd_config'), sshdConfig({ hostDir, sshPort, user }), { mode: 0o600 });
  await makeKey(join(hostDir, 'etc', 'ssh', 'host_key'), HOST);
  try {
    await run(path, ['-t', '-f', join(hostDir, 'etc', 'ssh', 'sshd_config')]);
  } catch (error) {
    const said = String((error as { stderr?: string }).stderr ?? error).trim();
    // In namespaces of its own the host makes this directory in a /run of its own.
    if (!(isolated && /privilege separation directory/i.test(said))) return { path: null, why: `sshd refuses our configuration: ${said.slice(0, 200)}` };
  }
  return { path, why: null };
}

const sshdConfig = ({ hostDir, sshPort, user }: { hostDir: string; sshPort: number; user: string }): string =>
  [
    '# The sshd of the lab host. It lets one account in, by key, to forced commands only.',
    `Port ${sshPort}`,
    'ListenAddress 127.0.0.1',
    `HostKey ${join(hostDir, 'etc', 'ssh', 'host_key')}`,
    `AuthorizedKeysFile ${join(hostDir, 'etc', 'ssh', 'authorized_keys')}`,
    '# The files are ours and private; their parents may be /tmp.',
    'StrictModes no',
    `AllowUsers ${user}`,
    'AuthenticationMethods publickey',
    'PasswordAuthentication no',
    'KbdInteractiveAuthentication no',
    'PermitRootLogin forced-commands-only',
    'UsePAM no',
    'UseDNS no',
    'PidFile none',
    'PrintMotd no',
    'PermitUserEnvironment no',
    'DisableForwarding yes',
    'MaxSessions 20',
    'ClientAliveInterval 15',
    'LogLevel INFO',
    '',
  ].join('\n');

async function makeKeys({
  labDir,
  hostDir,
  sshPort,
  helper,
}: {
  labDir: string;
  hostDir: string;
  sshPort: number;
  helper: string;
}): Promise<{ effector: string; counters: string; knownHosts: string }> {
  const dir = join(labDir, 'keys');
  await mkdir(dir, { recursive: true, mode: 0o700 });
  const effector = join(dir, 'effector');
  const counters = join(dir, 'counters');
  const knownHosts = join(dir, 'known_hosts');
  await makeKey(effector, 'nightshift-effector');
  await makeKey(counters, 'nightshift-agent');
  const forced = (command: string, key: string): string => `restrict,command="${command}" ${key.trim()}`;
  await writeFile(
    join(hostDir, 'etc', 'ssh', 'authorized_keys'),
    `${[forced(helper, await readFile(`${effector}.pub`, 'utf8')), forced(`${helper} --counters-only`, await readFile(`${counters}.pub`, 'utf8'))].join(
      '\n',
    )}\n`,
    { mode: 0o600 },
  );
  const [type, key] = (await readFile(join(hostDir, 'etc', 'ssh', 'host_key.pub'), 'utf8')).split(' ');
  await writeFile(knownHosts, `[127.0.0.1]:${sshPort} ${type} ${key}\n`, { mode: 0o600 });
  return { effector, counters, knownHosts };
}

async function makeKey(path: string, comment: string): Promise<void> {
  if (await readable(path)) return;
  await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', comment, '-f', path]);
}

/** Administrators' tools are often not on the PATH of ordinary users. */
export async function findTool(name: string): Promise<string | null> {
  for (const dir of [...(process.env['PATH'] ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin']) {
    if (dir.startsWith('/') && (await readable(join(dir, name), constants.X_OK))) return join(dir, name);
  }
  return null;
}

const readable = (path: string, mode: number = constants.R_OK): Promise<boolean> =>
  access(path, mode).then(
    () => true,
    () => false,
  );
const works = (command: string, args: string[]): Promise<boolean> =>
  run(command, args, { timeout: 5_000 }).then(
    () => true,
    () => false,
  );
