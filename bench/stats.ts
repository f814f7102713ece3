/** The value below which the share `p` (0 to 1) of the samples lies; nearest rank. NaN without samples. */
export function percentile(samples: readonly number[], p: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(p * sorted.length) - 1))] ?? Number.NaN;
}

/** Rounded to `digits` after the point: figures for people, and for JSON that people read. */
export const round = (value: number, digits = 2): number => Math.round(value * 10 ** digits) / 10 ** digits;

export const summary = (samples: readonly number[]): { p50Ms: number; p99Ms: number; n: number } => ({
  p50Ms: round(percentile(samples, 0.5)),
  p99Ms: round(percentile(samples, 0.99)),
  n: samples.length,
});
