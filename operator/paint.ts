/** What colour says, never alone: the word beside it says the same. */
export type Tone = 'plain' | 'strong' | 'act' | 'good' | 'warn' | 'bad' | 'faint';

const SGR: Record<Tone, string> = { plain: '', strong: '1', act: '36', good: '32', warn: '33', bad: '31', faint: '2' };

export const paint = (text: string, tone: Tone, color: boolean): string => (color && SGR[tone] !== '' ? `\x1b[${SGR[tone]}m${text}\x1b[0m` : text);

/**
 * Colour only on a terminal that can, and not when somebody has said no: `--no-color`, or NO_COLOR set to anything but the empty string
 * (no-color.org), or TERM=dumb.
 */
export const mayPaint = ({ isTty, noColorFlag, env }: { isTty: boolean; noColorFlag: boolean; env: Readonly<Record<string, string | undefined>> }): boolean =>
  isTty && !noColorFlag && (env['NO_COLOR'] ?? '') === '' && env['TERM'] !== 'dumb';
