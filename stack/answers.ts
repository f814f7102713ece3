import { request } from 'node:http';

/** GET (or POST with a body) on this machine. Rejects when nobody answers within two seconds. */
export function ask(port: number, path: string, body?: object): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const asked = request(
      {
        host: '127.0.0.1',
        port,
        path,
        agent: false,
        timeout: 2_000,
        method: body === undefined ? 'GET' : 'POST',
        headers: body === undefined ? {} : { 'content-type': 'application/json' },
      },
      (answer) => {
        let text = '';
        answer.setEncoding('utf8');
        answer.on('data', (part: string) => {
          if (text.length < 100_000) text += part;
        });
        answer.once('end', () => resolve({ status: answer.statusCode ?? 0, text }));
        answer.once('error', reject);
      },
    );
    asked.once('timeout', () => asked.destroy(new Error(`no answer from 127.0.0.1:${port}${path} within 2 s`)));
    asked.once('error', reject);
    asked.end(body === undefined ? undefined : JSON.stringify(body));
  });
}

/** Does a health endpoint of this machine say yes? */
export const isHealthy = async (port: number, path = '/healthz'): Promise<boolean> => (await ask(port, path)).status === 200;
