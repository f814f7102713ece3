import { pino, stdTimeFunctions, type Logger } from 'pino';

export type Log = Logger;

/** JSON lines on stdout; the supervisor gives each process a file of its own and rotates it. */
export const createLog = ({ role, logLevel }: { role: string; logLevel: 'debug' | 'info' | 'warn' | 'error' }): Log =>
  pino({ level: logLevel, base: { role }, timestamp: stdTimeFunctions.isoTime });
