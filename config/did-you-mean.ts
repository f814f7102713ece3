/** `did you mean "x"?` for the closest of `known`, or undefined when nothing is close enough to be a slip of the hand. */
export function didYouMean(text: string, known: Iterable<string>): string | undefined {
  const word = text.slice(0, 80).toLowerCase();
  // A third of the letters may be wrong: `lod` finds `load1`, `x` finds nothing.
  let best: { name: string; distance: number } | null = null;
  for (const name of known) {
    const distance = editDistance(word, name.slice(0, 80).toLowerCase());
    const allowed = Math.max(1, Math.floor(Math.min(Math.max(word.length, name.length), 40) / 3));
    if (distance <= allowed && distance < name.length && (best === null || distance < best.distance)) best = { name, distance };
  }
  return best === null ? undefined : `did you mean ${JSON.stringify(best.name)}?`;
}

/** Insertions, deletions, replacements and swaps of neighbours (optimal string alignment) that turn one word into the other. */
export function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const same = a[i - 1] === b[j - 1];
      let cost = Math.min((last[j] ?? 0) + 1, (row[j - 1] ?? 0) + 1, (last[j - 1] ?? 0) + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, (before[j - 2] ?? 0) + 1);
      row.push(cost);
    }
    before = last;
    last = row;
  }
  return last[b.length] ?? 0;
}
