import type { AuditRecord } from '../../events/audit.js';
import type { VerbName } from '../../events/playbooks.js';
import { changedSomething, compareWithHost, effectsIn } from './compare-with-host.js';
import type { Drill } from './drill.js';

const PROBLEM = 'lab/dauntless/204/tcpsndbuf/relieve-container';
const EFFECTS: readonly VerbName[] = [
  'container.ensure-enterable',
  'container.ensure-service-restarted',
  'container.ensure-limit',
  'container.ensure-limit-saved',
];

export const relieveContainer: Drill = {
  name: 'relieve-container',
  about: `A container runs into its limit of send buffers and runs away. It is the outage of 2008-04-16 in the seed: visitors come faster than the web server of container 204 can
answer, so its workers pile up until there are sixty. Each wants 132,943 bytes of send buffer, together three times what tcpsndbuf lets through. Those who are refused do not
take it well: they spin and ask again. failcnt climbs, load runs away, and soon nobody gets into the container, not even by vzctl exec. What helped then must help now: from the
host, end as many of the runaways as it takes to get in; restart the web server; and, because the 24 visitors who come back at once still want more than the limit, raise it step by
step, until failcnt stands still with 3,190,632 bytes held. Then keep the new limit. The container itself is never restarted.`,
  expects: { problem: PROBLEM, state: 'resolved', effects: EFFECTS },
  withinMs: 120_000,
  async play(lab) {
    const { logEnd } = await lab.reset();
    await lab.play({ scene: 'surge' });
    return { logFrom: logEnd };
  },
  verify(seen) {
    const problems = [...endedAs(seen.records, 'resolved'), ...compareWithHost(seen)];
    const done = [
      ...new Set(
        effectsIn(seen.records)
          .filter(changedSomething)
          .map((effect) => effect.verb),
      ),
    ];
    for (const verb of EFFECTS) if (!done.includes(verb)) problems.push(`${verb} was not done`);
    const order = done.filter((verb) => EFFECTS.includes(verb));
    const wanted = EFFECTS.filter((verb) => done.includes(verb));
    if (order.join() !== wanted.join()) problems.push(`the effects came in another order: ${order.join(', ')}`);
    if (seen.hostLog.some((line) => line.what === 'container-stopped')) problems.push('the container itself was restarted');
    return problems;
  },
};

/** The last state that the audit names. */
export function endedAs(records: readonly AuditRecord[], wanted: string): string[] {
  const last = records.findLast((record) => record.fact === 'state');
  return last?.fact === 'state' && last.to === wanted ? [] : [`the incident ended ${last?.fact === 'state' ? last.to : 'without a state'}, not ${wanted}`];
}
