/*
 * Makes what the tests here need, and says where it is, as lines for a shell's eval:
 *
 *   node prepare.js [--work DIR]
 *
 * The npm packages of package-lock.json go into DIR/npm/dashboard-tests, the page into DIR/dashboard
 * (its packages into DIR/npm/dashboard). DIR is the build directory, by default ../../build.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const here = dirname(fileURLToPath(import.meta.url));

function installed(modules) {
  const wanted = JSON.parse(readFileSync(join(here, 'package.json'), 'utf8')).devDependencies;
  return Object.entries(wanted).every(([name, version]) => {
    const manifest = join(modules, 'node_modules', name, 'package.json');
    return existsSync(manifest) && JSON.parse(readFileSync(manifest, 'utf8')).version === version;
  });
}

function install(modules) {
  if (installed(modules)) {
    return;
  }
  mkdirSync(modules, { recursive: true });
  for (const file of ['package.json', 'package-lock.json']) {
    rmSync(join(modules, file), { force: true }); // may be a read-only copy
    copyFileSync(join(here, file), join(modules, file));
  }
  execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'],
    { cwd: modules, stdio: ['ignore', 'ignore', 'inherit'] });
}

const { values: { work } } = parseArgs({ options: { work: { type: 'string', default: join(here, '../../build') } } });
const modules = resolve(work, 'npm/dashboard-tests');
const page = resolve(work, 'dashboard');
install(modules);
execFileSync(process.execPath, [join(here, '../../src/dashboard/build.mjs'), '--out', page,
  '--modules', resolve(work, 'npm/dashboard')], { stdio: ['ignore', 'ignore', 'inherit'] });

const quote = (text) => `'${text.replaceAll('\'', '\'\\\'\'')}'`;
console.log(`NODE_PATH=${quote(join(modules, 'node_modules'))}`);
console.log(`CLOWNTALK_DASHBOARD=${quote(page)}`);
console.log('export NODE_PATH CLOWNTALK_DASHBOARD');
