#!/usr/bin/env node
// The command as npm installs it. It has to run before anything is built, so it is plain JavaScript and imports nothing of ours.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const main = new URL('../../build/operator/cli/main.js', import.meta.url);
if (existsSync(fileURLToPath(main))) {
  await import(main.href);
} else {
  process.stderr.write('nightshift: not built yet: run npm start or npm run build first\n');
  process.exitCode = 1;
}
