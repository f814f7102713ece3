import type { SettingsOf } from '../../stack/settings.js';

export type ViaSsh = NonNullable<SettingsOf<'agent'>['viaSsh']>;

/**
 * Which host to sample over SSH, or null to sample this machine. `--via-ssh HOST` on the command line names the address; the key and the pinned host
 * key are named in the settings, for there is no other way to trust a host.
 */
export function viaSshOf(settings: Pick<SettingsOf<'agent'>, 'viaSsh'>, argv: readonly string[]): ViaSsh | null {
  const at = argv.indexOf('--via-ssh');
  if (at < 0) return settings.viaSsh ?? null;
  const address = argv[at + 1];
  if (address === undefined || !/^[a-z0-9][a-z0-9.:-]{0,252}$/i.test(address))
    throw new Error('agent: usage: --settings FILE [--via-ssh HOST], a host name or an address');
  if (settings.viaSsh === undefined)
    throw new Error(`agent: to sample ${address} over SSH, name viaSsh.user, .port, .keyFile and .knownHostsFile in the settings file`);
  return { ...settings.viaSsh, address };
}
