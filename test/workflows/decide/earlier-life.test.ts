import { expect, test } from 'vitest';
import { earlierLife, namesTaken } from '../../../workflows/decide/earlier-life.js';
import type { DoneBefore } from '../../../workflows/messages.js';

const did = (step: string, verb: DoneBefore['verb'], state: DoneBefore['state'] = 'done', data: DoneBefore['data'] = {}): DoneBefore => ({
  step,
  verb,
  state,
  data,
});
const raise = (step: string, was: number, is: number): DoneBefore =>
  did(step, 'container.ensure-limit', 'done', { wasBarrier: was - 1, wasLimit: was, isBarrier: is - 1, isLimit: is });

test('an incident that never did anything has no earlier life', () => {
  expect(earlierLife([])).toEqual({ endedRunaways: false, restarted: false, raises: { times: 0, from: null, to: null }, tookBack: false });
});

test('raises are counted from what the limit was at first to what it is since', () => {
  const life = earlierLife([did('end-runaways', 'container.ensure-enterable'), raise('raise-limit', 100, 115), raise('raise-limit-2', 115, 132)]);
  expect(life).toMatchObject({
    endedRunaways: true,
    restarted: false,
    raises: { times: 2, from: { barrier: 99, limit: 100 }, to: { barrier: 131, limit: 132 } },
  });
});

test('what was refused has not happened; what nobody knows may have', () => {
  const verb = 'container.ensure-service-restarted';
  expect(earlierLife([did('restart-service', verb, 'refused')]).restarted).toBe(false);
  expect(earlierLife([did('restart-service', verb, 'unknown')]).restarted).toBe(true);
});

test('an incident that was taking things back is not begun anew', () => {
  expect(earlierLife([raise('raise-limit', 100, 115), raise('undo-raise-limit', 115, 100)])).toMatchObject({ tookBack: true, raises: { times: 1 } });
});

test('the names of its steps are taken, in the order in which they were numbered', () => {
  expect(namesTaken([raise('raise-limit', 1, 2), raise('raise-limit-2', 2, 3), did('end-runaways', 'container.ensure-enterable')])).toEqual({
    'raise-limit': 2,
    'end-runaways': 1,
  });
});
