/** Awaits a condition instead of a time: resolves with the first value that is neither false, null nor undefined; throws what it last saw. */
export async function until<T>(
  look: () => T | Promise<T>,
  { timeoutMs = 10_000, everyMs = 25, what = 'the condition' } = {},
): Promise<NonNullable<Exclude<T, false>>> {
  const end = Date.now() + timeoutMs;
  let last: unknown;
  for (;;) {
    try {
      last = await look();
      if (last !== false && last !== null && last !== undefined) return last as NonNullable<Exclude<T, false>>;
    } catch (error) {
      last = error;
    }
    if (Date.now() > end)
      throw new Error(`${what} did not come true within ${timeoutMs} ms; last seen: ${String(last instanceof Error ? last.stack : JSON.stringify(last))}`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}
