/** `/proc/loadavg`, such as `0.12 0.11 0.28 1/112 15046`: the load of the last minute. Null for text that is not that. */
export function parseLoadavg(text: string): number | null {
  const found = /^(\d{1,6}\.\d{2}) \d+\.\d{2} \d+\.\d{2} \d+\/\d+ \d+\n$/.exec(text)?.[1];
  return found === undefined ? null : Number(found);
}

/** `/proc/sys/kernel/random/boot_id`: another value is another life of the host. */
export function parseBootId(text: string): string | null {
  const found = /^([0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})\n?$/.exec(text)?.[1];
  return found ?? null;
}
