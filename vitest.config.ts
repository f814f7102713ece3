import { defineConfig } from 'vitest/config';

/**
 * Three kinds of test, told apart by their file names:
 * `x.test.ts` needs nothing and runs in parallel; `x.real.test.ts` has real servers; `x.drill.test.ts` has a whole stack. Each file brings servers of its own, so
 * that two may run side by side; stacks run one after the other, after everything else: a lab host's runaways fill the machine.
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
      project('real', '*.real.test.ts', [], 1, 60_000, true),
      project('drill', '*.drill.test.ts', [], 2, 300_000, false),
    ],
  },
});
