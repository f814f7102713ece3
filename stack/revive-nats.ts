import { ask } from './answers.js';

/**
 * A stream of nats-server (2.14) that has met a full disk, or another error of writing, takes nothing more until the server is started again, and its health
 * endpoint says so. Once there is room again, this is the only cure. Returns what the server says, or null when there is nothing to cure.
 */
export async function writeErrorOf(monitorPort: number): Promise<string | null> {
  const { status, text } = await ask(monitorPort, '/healthz');
  if (status === 200) return null;
  return /write error[^"]*/.exec(text)?.[0] ?? null;
}
