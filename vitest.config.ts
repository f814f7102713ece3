import { defineConfig } from 'vitest/config';

/**
 * Three kinds of test, told apart by their file names:
 * `x.test.ts` needs nothing and runs in parallel; `x.real.test.ts` has real servers; `x.drill.test.ts` has a whole stack. The latter two run one file after the
 * other, after everything else, so that what they measure in seconds is not the machine's load.
 */
const project = (name: string, include: string, exclude: string[], order: number, timeoutMs: number, parallel: boolean) => ({
  test: {
    name,
    include: [`test/**/${include}`],
    exclude,
    environment: 'node' as const,
    testTimeout: timeoutMs,
    hookTimeout: timeoutMs,
    teardownTimeout: 30_000,
    fileParallelism: parallel,
    sequence: { groupOrder: order },
  },
});

export default defineConfig({
  test: {
    // A process that is given SIGKILL by a test ends in a fork of its own; threads would share what a worker installs once per process.
    pool: 'forks',
    maxWorkers: 2,
    passWithNoTests: false,
    projects: [
      project('unit', '*.test.ts', ['test/**/*.real.test.ts', 'test/**/*.drill.test.ts'], 0, 20_000, true),
      project('real', '*.real.test.ts', [], 1, 60_000, false),
      project('drill', '*.drill.test.ts', [], 2, 300_000, false),
    ],
  },
});
