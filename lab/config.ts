import type { LabFacts } from './facts.js';

/** The nightshift.yaml of the lab: the fleet of one host, one rule, and the lab's own short durations. Meant to be read. */
export function labConfig(facts: LabFacts, { site }: { site: string }): string {
  const reach =
    facts.transport === 'ssh'
      ? [
          '      # A real sshd on loopback. The key can do one thing there: run the Nightshift helper.',
          '      transport: ssh',
          `      address: ${facts.address}`,
          '      ssh:',
          `        user: ${facts.user}`,
          `        port: ${facts.sshPort}`,
          `        keyFile: ${facts.keyFile}`,
          `        knownHostsFile: ${facts.knownHostsFile}`,
        ]
      : ['      # No sshd here: the helper is started on this machine itself.', '      transport: local', `      helperConfigFile: ${facts.helperConfigFile}`];
  return `${[
    '# The rehearsal lab. `npm start` writes this file when it is missing; change it and `nightshift config reload`.',
    ...facts.notes.map((note) => `#   ${note}`),
    'version: 1',
    `site: ${site}`,
    '',
    'fleet:',
    '  domains:',
    '    rack-1:',
    '      about: where the lab host stands',
    '  hosts:',
    `    ${facts.host}:`,
    '      domains: [rack-1]',
    ...reach,
    '      containers:',
    `        "${facts.container}":`,
    '          engine: openvz',
    '          # Only processes of this name are ever ended, and this service may be restarted.',
    '          service: httpd',
    '          runaways: [httpd]',
    '          # As far as a playbook may raise the limit by itself.',
    '          ceilings:',
    '            tcpsndbuf: { barrier: 7000000, limit: 8000000 }',
    '',
    'rules:',
    '  - name: failcnt-spike',
    '    on: container.failcnt_spike',
    '    when: event.resource == "tcpsndbuf"',
    '    playbook: relieve-container',
    '    mode: auto',
    '',
    'policy:',
    '  # Short durations, for a lab on this machine only. Production waits minutes where this waits seconds.',
    '  profile: lab',
    '  coalesce: 250ms',
    '  relieveContainer:',
    '    verifyFor: 5s',
    '    watchFor: 2s',
    '    enterWithin: 1s',
    '    raiseFactor: 1.15',
    '',
  ].join('\n')}`;
}
