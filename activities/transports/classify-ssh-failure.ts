import type { FailureKind } from '../looks.js';

/**
 * What OpenSSH says when it ends with 255, and what it means. Exit code 255 alone cannot tell a dead host from a wrong key.
 * Measured with OpenSSH 9.2; the texts are not translated and have been the same for years. The first match decides.
 */
const TEXTS: { says: RegExp; kind: FailureKind; connected: boolean; means: string }[] = [
  // Never try again, and tell a person: either somebody sits in between, or the host was rebuilt without its key being pinned anew.
  {
    says: /REMOTE HOST IDENTIFICATION HAS CHANGED|Host key verification failed|host key is known for|IDENTIFICATION .* DIFFERS/i,
    kind: 'unauthorized',
    connected: false,
    means: 'the host key is not the pinned one: check ssh.knownHostsFile, and whether the host was rebuilt',
  },
  {
    says: /Permission denied|Too many authentication failures|No supported authentication methods/i,
    kind: 'unauthorized',
    connected: false,
    means: 'the host does not take our key: check ssh.keyFile, ssh.user and authorized_keys there',
  },
  {
    says: /UNPROTECTED PRIVATE KEY|Load key .*:|Identity file .* not accessible|no such identity/i,
    kind: 'unauthorized',
    connected: false,
    means: 'our key cannot be used: check ssh.keyFile',
  },
  {
    says: /Bad configuration option|command-line line \d+|unix_listener: path .* too long/i,
    kind: 'refused',
    connected: false,
    means: 'ssh does not take its options: is it older than OpenSSH 7.6?',
  },
  { says: /Could not resolve hostname/i, kind: 'unreachable', connected: false, means: 'its name does not resolve' },
  { says: /connect to host .*: Connection refused/i, kind: 'unreachable', connected: false, means: 'it is up, but no sshd listens' },
  {
    says: /connect to host .*: No route to host|Network is unreachable/i,
    kind: 'unreachable',
    connected: false,
    means: 'no route: it is down, or a firewall rejects us',
  },
  {
    says: /timed out during banner exchange|banner exchange: .*timed out/i,
    kind: 'unreachable',
    connected: false,
    means: 'it takes the connection and says nothing: it hangs',
  },
  { says: /connect to host .*timed out/i, kind: 'unreachable', connected: false, means: 'no answer at all: it is down, or a firewall drops us' },
  {
    says: /kex_exchange_identification|banner exchange|no matching (host key|key exchange|cipher|MAC)/i,
    kind: 'unreachable',
    connected: false,
    means: 'something answers there that is no sshd we can speak with',
  },
  {
    says: /Connection (closed|reset) by|Broken pipe|Timeout, server .* not responding|send disconnect|closed by remote host/i,
    kind: 'unreachable',
    connected: true,
    means: 'the connection was lost',
  },
];

export interface SshFailure {
  kind: FailureKind;
  /** The request may have reached the host. */
  mayHaveArrived: boolean;
  means: string;
}

export function classifySshFailure(stderr: string, anythingCame: boolean): SshFailure {
  const match = TEXTS.find(({ says }) => says.test(stderr));
  if (anythingCame) return { kind: 'incomplete', mayHaveArrived: true, means: 'the connection was lost in mid-answer' };
  if (match === undefined) return { kind: 'unreachable', mayHaveArrived: true, means: 'ssh failed' };
  return { kind: match.kind, mayHaveArrived: match.connected, means: match.means };
}
