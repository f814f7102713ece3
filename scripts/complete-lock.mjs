// Run after `npm install` has changed package-lock.json. A registry that mirrors only some platforms leaves the others' optional packages out of the
// lock file, and `npm ci` then refuses it everywhere. This adds the entries that are missing: version, os and cpu, as the dependent names them.
import { readFileSync, writeFileSync } from 'node:fs';

const file = new URL('../package-lock.json', import.meta.url);
const lock = JSON.parse(readFileSync(file, 'utf8'));
const OS = {
  darwin: 'darwin',
  linux: 'linux',
  win32: 'win32',
  windows: 'win32',
  freebsd: 'freebsd',
  openbsd: 'openbsd',
  netbsd: 'netbsd',
  android: 'android',
  openharmony: 'openharmony',
  aix: 'aix',
  sunos: 'sunos',
};
const CPU = ['arm64', 'x64', 'ia32', 'arm', 'ppc64', 's390x', 'riscv64', 'loong64', 'mips64el', 'wasm32'];
const added = [];
for (const [where, entry] of Object.entries({ ...lock.packages })) {
  for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
    const known = [`${where}/node_modules/${name}`, `node_modules/${name}`].some((path) => path in lock.packages);
    if (known || !/^\d/.test(version)) continue;
    const words = name.split(/[-/.]/).map((word) => word.replace(/^(gnueabihf|musleabihf|eabi)$/, ''));
    const os = words.map((word) => OS[word]).find((word) => word !== undefined);
    const cpu = CPU.find((word) => words.includes(word)) ?? (words.includes('ppc64le') ? 'ppc64' : words.includes('armv7') ? 'arm' : undefined);
    lock.packages[`node_modules/${name}`] = {
      version,
      ...(cpu === undefined ? {} : { cpu: [cpu] }),
      ...(entry.dev === true ? { dev: true } : {}),
      license: entry.license,
      optional: true,
      ...(os === undefined ? {} : { os: [os] }),
    };
    added.push(name);
  }
}
const [root, ...rest] = Object.entries(lock.packages);
lock.packages = Object.fromEntries([root, ...rest.sort(([a], [b]) => (a < b ? -1 : 1))]);
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
process.stdout.write(added.length === 0 ? 'package-lock.json is complete\n' : `added ${added.length}: ${added.join(' ')}\n`);
