import { compareWithHost, effectsIn } from './compare-with-host.js';
import type { Drill } from './drill.js';
import { endedAs } from './relieve-container.js';

export const blip: Drill = {
  name: 'blip',
  about: `A container is refused send buffers three times and then never again. The wrong twin of relieve-container: the same event, and nothing to do. failcnt need not stand at
zero, things cannot always be perfect; whoever kills and restarts at the sight of it makes an outage out of nothing. Looking, waiting and resolving is all that may happen.`,
  expects: { problem: 'lab/dauntless/204/tcpsndbuf/relieve-container', state: 'resolved', effects: [] },
  withinMs: 90_000,
  async play(lab) {
    const { logEnd } = await lab.reset();
    // The agent must have seen the counter of the fresh container once, or there is no rise to be seen.
    await new Promise((resolve) => setTimeout(resolve, 2_500));
    await lab.play({ scene: 'blip' });
    return { logFrom: logEnd };
  },
  verify(seen) {
    const effects = effectsIn(seen.records);
    return [
      ...endedAs(seen.records, 'resolved'),
      ...effects.map(({ verb }) => `${verb} was tried, though nothing was wrong any more`),
      ...compareWithHost(seen),
    ];
  },
};
