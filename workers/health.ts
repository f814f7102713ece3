import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What one check found. `detail` is for people. */
export interface Check {
  ok: boolean;
  detail?: string;
}

/** A check that does not answer in this time is a failed one: whoever asks wants an answer, not a hanging request. */
const CHECK_MS = 2_000;

/**
 * Serves `/healthz` (200 or 503, with every check by name) and `/metrics` on loopback. A process that merely exists is not healthy:
 * each check looks at something that would stop working before the process does.
 */
export async function serveHealth({
  port,
  checks,
  registry,
}: {
  port: number;
  checks: Record<string, () => Check | Promise<Check>>;
  /** prom-client's, or whatever can say the same. */
  registry: { contentType: string; metrics(): Promise<string> };
}): Promise<{ port: number; close(): Promise<void> }> {
  const server = createServer((request, response) => {
    const answer = (status: number, type: string, body: string): void => {
      response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' }).end(body);
    };
    const work = async (): Promise<void> => {
      if (request.method !== 'GET') return answer(405, 'text/plain', 'GET only\n');
      if (request.url === '/metrics') return answer(200, registry.contentType, await registry.metrics());
      if (request.url !== '/healthz') return answer(404, 'text/plain', '/healthz or /metrics\n');
      const found = Object.fromEntries(await Promise.all(Object.entries(checks).map(async ([name, check]) => [name, await inTime(check)] as const)));
      const ok = Object.values(found).every((one) => one.ok);
      return answer(ok ? 200 : 503, 'application/json', `${JSON.stringify({ ok, checks: found })}\n`);
    };
    work().catch((error: unknown) => answer(500, 'text/plain', `${String(error)}\n`));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => reject(new Error(`health cannot be served on 127.0.0.1:${port}: ${cause.message}`, { cause })));
    server.listen(port, '127.0.0.1', resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

async function inTime(check: () => Check | Promise<Check>): Promise<Check> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<Check>((resolve) => {
    timer = setTimeout(() => resolve({ ok: false, detail: `no answer in ${CHECK_MS} ms` }), CHECK_MS);
  });
  try {
    return await Promise.race([Promise.resolve().then(check), late]);
  } catch (error) {
    return { ok: false, detail: error instanceof Error ? error.message : String(error) };
  } finally {
    clearTimeout(timer);
  }
}
