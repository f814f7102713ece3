import { condition, defineQuery, defineSignal, setHandler } from '@temporalio/workflow';

/** An incident that only listens: what the bridge has told it, in order, and its end when a test says so. */
export async function incident(input: unknown): Promise<unknown> {
  const told: { what: string; message: unknown }[] = [];
  let over = false;
  setHandler(defineSignal<[unknown]>('observe'), (message) => void told.push({ what: 'observe', message }));
  setHandler(defineSignal<[unknown]>('storm'), (message) => void told.push({ what: 'storm', message }));
  setHandler(defineSignal('finish'), () => {
    over = true;
  });
  setHandler(defineQuery('told'), () => ({ input, told }));
  await condition(() => over);
  return told.length;
}
