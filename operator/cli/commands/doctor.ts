import type { Command } from 'commander';
import { examine } from '../../doctor/examine.js';
import type { Finding } from '../../doctor/finding.js';
import { inert } from '../../inert.js';
import { paint } from '../../paint.js';
import { padded, wrapped } from '../../width.js';
import type { Context } from '../context.js';
import { EXIT, type Exit } from '../exit-codes.js';
import type { Run } from '../run.js';
import type { Session } from '../session.js';

export function addDoctor(program: Command, run: Run): void {
  program
    .command('doctor')
    .description('look at everything that the running stack needs, and say what is wrong')
    .addHelpText('after', '\nExit code 1 when there is an error; warnings alone are 0. Nothing is changed.\n\nExample:\n  nightshift doctor --json')
    .action(() => run((session) => doctor(session)));
}

async function doctor(session: Session): Promise<Exit> {
  const { context } = session;
  const findings = await examine({ stack: await session.stack(), nats: session.nats, temporal: session.temporal, timeoutMs: session.patienceMs });
  if (context.json) context.out.json(findings);
  else for (const line of findingLines(findings, context)) context.out.line(line);
  return findings.some(({ level }) => level === 'error') ? EXIT.failed : EXIT.done;
}

const WORD = { ok: 'ok', warning: 'warn', error: 'ERROR' } as const;
const TONE = { ok: 'good', warning: 'warn', error: 'bad' } as const;
const COLUMNS = 7;

export function findingLines(findings: readonly Finding[], { columns, color }: Pick<Context, 'columns' | 'color'>): string[] {
  const count = (level: Finding['level']): number => findings.filter((finding) => finding.level === level).length;
  const lines = findings.flatMap(({ level, message, hint }) => {
    const text = inert(hint === undefined || level === 'ok' ? message : `${message}; ${hint}`);
    const [first = '', ...rest] = columns === undefined ? [text] : wrapped(text, columns - COLUMNS);
    return [`${paint(padded(WORD[level], COLUMNS), TONE[level], color)}${first}`, ...rest.map((line) => ' '.repeat(COLUMNS) + line)];
  });
  const errors = count('error');
  const warnings = count('warning');
  return [...lines, `${errors} ${errors === 1 ? 'error' : 'errors'}, ${warnings} ${warnings === 1 ? 'warning' : 'warnings'}`];
}
