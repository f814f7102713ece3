import type { Config } from '../../config/schema.js';
import type { LoadResult } from '../../config/load.js';
import { formatProblem } from '../../config/problem.js';
import type { AuditRecord } from '../../events/audit.js';
import { error, ok, warning, type Finding } from './finding.js';

/** The file as it is now. */
export function fileFinding(file: LoadResult): Finding {
  if (file.ok) return ok('config', `nightshift.yaml is valid, version ${file.loaded.version}`);
  const [first] = file.problems;
  return error(
    'config',
    `nightshift.yaml has ${file.problems.length} problems; the first: ${first === undefined ? '' : formatProblem(first)}`,
    'nightshift config validate',
  );
}

/** What engine and effector hold, by their own word, against each other and against the file. `records`: the audit's `config` records in order. */
export function heldFindings(file: LoadResult, records: readonly AuditRecord[]): Finding[] {
  const { engine, effector } = heldVersions(records);
  const findings: Finding[] = [];
  if (file.ok && engine !== undefined && engine !== file.loaded.version)
    findings.push(warning('config.file', `the file is version ${file.loaded.version}, in force is ${engine}`, 'nightshift config reload'));
  if (engine === undefined || effector === undefined)
    findings.push(
      warning('config.same', `${engine === undefined ? 'the engine' : 'the effector'} has not said which configuration it holds`, 'nightshift config reload'),
    );
  else if (engine !== effector) findings.push(error('config.same', `the engine holds version ${engine}, the effector ${effector}`, 'nightshift config reload'));
  else findings.push(ok('config.same', `engine and effector hold version ${engine}`));
  return findings;
}

/** The last version that each took into force, by its own word. */
function heldVersions(records: readonly AuditRecord[]): { engine?: string; effector?: string } {
  const held: { engine?: string; effector?: string } = {};
  for (const record of records) {
    if (record.fact === 'config' && record.accepted && (record.by === 'engine' || record.by === 'effector')) held[record.by] = record.config;
  }
  return held;
}

/** How each host is reached, and whether enough people own it. Hosts are reached by the effector only, so that is not tried from here. */
export function fleetFindings({ fleet }: Pick<Config, 'fleet'>): Finding[] {
  const hosts = Object.entries(fleet.hosts);
  const by = (transport: 'ssh' | 'local'): string[] => hosts.filter(([, host]) => host.transport === transport).map(([name]) => name);
  const reached = (['ssh', 'local'] as const).filter((transport) => by(transport).length > 0).map((transport) => `${transport}: ${some(by(transport))}`);
  const findings = [
    hosts.length === 0
      ? warning('hosts', 'the inventory has no hosts')
      : ok('hosts', `hosts by ${reached.join('; ')} (reached by the effector, not tried from here)`),
  ];
  // A maintainer on holiday is a service without one.
  const fewOwners = hosts.filter(([, host]) => host.owners.length < 2).map(([name]) => name);
  if (fewOwners.length > 0)
    findings.push(warning('owners', `fewer than two owners: ${some(fewOwners)}`, 'name two in nightshift.yaml, fleet.hosts.<host>.owners'));
  return findings;
}

/** Nothing of ours can wake anybody yet; an escalated incident waits until somebody looks. */
export const pagingFinding = (): Finding => warning('paging', 'nobody is paged: no pager is configured', 'somebody has to look: nightshift incident ls --open');

const some = (names: readonly string[]): string => `${names.slice(0, 8).join(', ')}${names.length > 8 ? ` and ${names.length - 8} more` : ''}`;
