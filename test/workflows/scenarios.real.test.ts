import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SCENARIOS } from './scenarios.js';
import { openTheatre, type Scenario, type Theatre } from './theatre.js';

type Played = ReturnType<Theatre['play']>;
let theatre: Theatre;
const played = new Map<string, Played>();

const kept = SCENARIOS['limit-raised-and-kept'] as Scenario;
const UNDERNEATH: Record<string, Scenario> = { failing: { ...kept, calls: 'failing-first' }, twice: { ...kept, calls: 'twice' } };

// All at once, since most of their time is waiting; each test awaits its own.
beforeAll(async () => {
  theatre = await openTheatre();
  for (const [name, scenario] of Object.entries({ ...SCENARIOS, ...UNDERNEATH })) {
    const play = theatre.play(scenario);
    play.catch(() => {}); // The test that awaits it says so.
    played.set(name, play);
  }
});
afterAll(() => theatre.close());

const timelineOf = (name: string): string => fileURLToPath(new URL(`./scenarios/${name}/expect.log`, import.meta.url));

// A changed line is a changed behaviour: read it, and only then write it anew with `npx vitest run -u` on this file.
describe('a timeline as it must read', () => {
  for (const [name, scenario] of Object.entries(SCENARIOS)) {
    test(`${name}: ${scenario.about}`, async () => {
      const { text } = await (played.get(name) as Played);
      await expect(text).toMatchFileSnapshot(timelineOf(name));
    });
  }
});

describe('whatever goes wrong underneath', () => {
  for (const [name, words] of [
    ['failing', 'each call fails once'],
    ['twice', 'each call is carried out twice'],
  ] as const) {
    test(`${words}: the timeline and what the host did are the same`, async () => {
      const [plain, disturbed] = await Promise.all([played.get('limit-raised-and-kept') as Played, played.get(name) as Played]);
      expect(disturbed.text).toBe(plain.text);
      expect(disturbed.play.container.hostLog).toEqual(plain.play.container.hostLog);
      expect(plain.play.container.hostLog).toEqual(['kill 26', 'restart httpd', 'set 5000000:5375000', 'save 5000000:5375000']);
    });
  }

  test('what was not helpful is taken back: the container ends with the limits that it began with', async () => {
    for (const name of ['ceiling-reached', 'no-effect', 'raise-fails', 'two-unknowns']) {
      const { play } = await (played.get(name) as Played);
      expect(play.container.model).toMatchObject({ barrier: 4_000_000, limit: 4_300_000 });
    }
  });

  test('whatever the playbook may not do, the host has not seen', async () => {
    for (const name of ['blip', 'vetoed', 'needs-approval', 'shadow', 'old-event', 'cannot-be-read', 'domain-storm', 'trigger-gone-twice']) {
      const { play } = await (played.get(name) as Played);
      expect(play.container.hostLog).toEqual([]);
    }
  });
});
