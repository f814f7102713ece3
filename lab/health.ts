import { createServer } from 'node:http';
import { Gauge, type Registry } from 'prom-client';
import type { Lab } from './lab.js';

/** `/healthz` and `/metrics` of the lab process on loopback. Of its own, because nothing outside workers/ builds on workers/. */
export async function serveLabHealth({ port, registry, lab }: { port: number; registry: Registry; lab: Lab }): Promise<{ close(): Promise<void> }> {
  const processes = new Gauge({ name: 'nightshift_lab_processes', help: 'Processes of the lab container.', registers: [registry] });
  const failcnt = new Gauge({ name: 'nightshift_lab_tcpsndbuf_failcnt', help: 'Refused send buffers since the container was started.', registers: [registry] });
  const server = createServer((request, response) => {
    const state = lab.kernel.state();
    if (request.url === '/healthz') {
      const checks = { host: { ok: lab.isUp() }, container: { ok: state.running } };
      response.writeHead(lab.isUp() ? 200 : 503, { 'content-type': 'application/json' }).end(`${JSON.stringify({ ok: lab.isUp(), checks })}\n`);
    } else if (request.url === '/metrics') {
      processes.set(state.processes);
      failcnt.set(state.tcpsndbuf.failcnt);
      registry.metrics().then(
        (text) => response.writeHead(200, { 'content-type': registry.contentType }).end(text),
        (error: unknown) => response.writeHead(500).end(String(error)),
      );
    } else {
      response.writeHead(404).end('/healthz or /metrics\n');
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => reject(new Error(`the lab's health cannot be served on 127.0.0.1:${port}`, { cause })));
    server.listen(port, '127.0.0.1', resolve);
  });
  return {
    close: () =>
      new Promise((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}
