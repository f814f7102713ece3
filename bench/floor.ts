/** What the floor's two processes are told, as JSON in their first argument. */
export interface FloorArgs {
  nats: { servers: string; credentialsFile?: string; inboxPrefix?: string };
  temporal: { address: string; namespace: string };
}

/** Epoch milliseconds with fractions: comparable between processes of one machine. */
export const now = (): number => performance.timeOrigin + performance.now();
