import type { AuditLog } from '../../activities/audit-log.js';
import { findIncident, type FoundIncident } from '../find-incident.js';
import { clipped, inert } from '../inert.js';
import { CliError, EXIT } from './exit-codes.js';

/** What is said of the argument in every help text. */
export const INCIDENT_ARGUMENT = 'incident id, a prefix that only one has, or @latest';

/** The incident that the argument names, or a failure that says why there is none. */
export async function incidentArgument(audit: AuditLog, word: string): Promise<FoundIncident> {
  const answer = await findIncident(audit, word);
  if (answer.found !== null) return answer;
  const shown = clipped(inert(word), 60);
  switch (answer.reason) {
    case 'none-yet':
      throw new CliError(EXIT.notFound, 'not_found', 'there has been no incident yet', 'rehearse one: nightshift drill run relieve-container');
    case 'unknown':
      throw new CliError(EXIT.notFound, 'not_found', `no incident ${shown}`, 'see which there are: nightshift incident ls --all');
    case 'ambiguous':
      throw new CliError(
        EXIT.usage,
        'ambiguous',
        `${shown} names ${answer.candidates.length} incidents: ${answer.candidates.slice(0, 5).join(', ')}`,
        'give more of the id',
      );
  }
}
