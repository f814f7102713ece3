import { InvalidArgumentError } from 'commander';

const UNIT = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** `250ms`, `90s`, `15m`, `3h`, `7d` in milliseconds, as in nightshift.yaml; for commander: throws what it prints. */
export function durationArgument(text: string): number {
  const found = /^([1-9]\d{0,6})(ms|s|m|h|d)$/.exec(text);
  if (found === null) throw new InvalidArgumentError('Give a duration like 250ms, 90s, 15m, 3h or 7d.');
  return Number(found[1]) * UNIT[found[2] as keyof typeof UNIT];
}

/** A whole number within bounds. */
export const countArgument =
  (most: number) =>
  (text: string): number => {
    const n = Number(text);
    if (!/^[1-9]\d*$/.test(text) || n > most) throw new InvalidArgumentError(`Give a whole number from 1 to ${most}.`);
    return n;
  };
