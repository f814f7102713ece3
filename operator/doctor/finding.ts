/** One thing that the doctor looked at. `id` is stable: programs and people ask for it by that name. */
export interface Finding {
  id: string;
  level: 'ok' | 'warning' | 'error';
  message: string;
  hint?: string;
}

export const ok = (id: string, message: string): Finding => ({ id, level: 'ok', message });
export const warning = (id: string, message: string, hint?: string): Finding => ({ id, level: 'warning', message, ...(hint === undefined ? {} : { hint }) });
export const error = (id: string, message: string, hint?: string): Finding => ({ id, level: 'error', message, ...(hint === undefined ? {} : { hint }) });

export const because = (cause: unknown): string => (cause instanceof Error ? cause.message : String(cause));
