import { randomInt } from 'node:crypto';
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import type { AuditFact } from '../../events/audit.js';
import { inCheckout } from '../../stack/root.js';
import type { Role } from '../../stack/stack-file.js';
import { killInDrill, type KillPoint } from '../chaos/kill-in-drill.js';
import { stackUnderTest } from '../chaos/stack-under-test.js';

/*
 * `npm run campaign [-- --seed N --rounds N]`: what is too long for every day. Each process is killed five times, two in each drill, at points drawn from
 * the seed. Writes docs/campaign.md with every round as it went; ends with 1 when one of them failed. The same seed draws the same points.
 */
const option = (name: string): number | undefined => {
  const at = process.argv.indexOf(`--${name}`);
  const value = at < 0 ? Number.NaN : Number(process.argv[at + 1]);
  if (at >= 0 && !Number.isSafeInteger(value)) throw new Error(`--${name} takes a whole number`);
  return at < 0 ? undefined : value;
};
const seed = option('seed') ?? randomInt(2 ** 31);
const kills = option('rounds') ?? 5;
const chance = mulberry32(seed);
const ROLES: readonly Role[] = ['engine', 'effector', 'agent', 'nats', 'temporal'];
/** Points that every run of the drill comes to, whatever was killed before: with the number of times that it does so at least. */
const POINTS: readonly [AuditFact, number][] = [
  ['opened', 1],
  ['looked', 3],
  ['intent', 4],
  ['outcome', 4],
];

const say = (text: string): void => void process.stderr.write(`campaign: ${text}\n`);
const draw = <T>(from: readonly T[]): T => from[Math.floor(chance() * from.length)] as T;
const point = (role: Role): KillPoint => {
  const [at, times] = draw(POINTS);
  return { role, at, nth: 1 + Math.floor(chance() * times) };
};

const deaths = shuffled(ROLES.flatMap((role) => Array.from({ length: kills }, () => role)));
const rows: string[] = [];
let failed = 0;
const stack = await stackUnderTest();
try {
  for (let i = 0; i < deaths.length; i += 2) {
    const points = deaths.slice(i, i + 2).map(point);
    const words = points.map(({ role, at, nth }) => `${role} at ${at} ${nth}`).join(', ');
    const { result, missed } = await killInDrill(stack, 'relieve-container', points);
    const wrong = [...result.problems, ...missed.map(({ role, at, nth }) => `${role} was not killed: ${at} ${nth} never came`)];
    if (wrong.length > 0) failed += 1;
    rows.push(
      `| ${i / 2 + 1} | ${words} | ${result.state ?? 'open'} | ${Math.round(result.tookMs / 1000)} s | ${wrong.length === 0 ? 'ok' : wrong.join('; ').replaceAll('|', '/')} |`,
    );
    say(`${rows.length} of ${Math.ceil(deaths.length / 2)}: ${words}: ${wrong.length === 0 ? 'ok' : wrong.join('; ')}`);
  }
} finally {
  await stack.remove();
}

const { stdout: commit } = await promisify(execFile)('git', ['-C', inCheckout(), 'rev-parse', '--short', 'HEAD']);
const report = inCheckout('docs', 'campaign.md');
await writeFile(
  report,
  [
    '# The last campaign',
    '',
    `Written by \`npm run campaign -- --seed ${seed} --rounds ${kills}\` on ${new Date().toISOString().slice(0, 10)}, commit ${commit.trim()}, Node ${process.versions.node}.`,
    `Each of ${ROLES.join(', ')} was killed (SIGKILL) ${kills} times in the middle of the drill \`relieve-container\`. A round is ok when the incident ended as resolved and the host's own log and the audit say the same: each effect once.`,
    '',
    '| round | killed | ended | took | |',
    '|---|---|---|---|---|',
    ...rows,
    '',
    `${rows.length - failed} of ${rows.length} rounds ok.`,
    '',
  ].join('\n'),
);
say(`report in ${report}`);
process.stdout.write(`${rows.length - failed} passed, ${failed} failed, 0 skipped\n`);
process.exitCode = failed === 0 ? 0 : 1;

function shuffled<T>(items: readonly T[]): T[] {
  const all = [...items];
  for (let i = all.length - 1; i > 0; i -= 1) {
    const j = Math.floor(chance() * (i + 1));
    [all[i], all[j]] = [all[j] as T, all[i] as T];
  }
  return all;
}

/** mulberry32, a small generator of numbers in [0, 1): the same seed gives the same campaign. */
function mulberry32(from: number): () => number {
  let state = from >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
