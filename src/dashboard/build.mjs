/*
 * Builds the dashboard: bundles the page with uPlot (the one library it uses, from npm, pinned by
 * package-lock.json) into a folder of static files.
 *
 *   node build.mjs [--out DIR] [--modules DIR]   the whole page, by default into ../../build/dashboard
 *   node build.mjs --classic DIR                 clowntalk.classic.js alone (`npm pack` does this)
 *
 * --modules names the folder whose node_modules is used; it is filled with `npm ci` where it is not
 * there yet. The default is this folder; a build outside of a read-only source tree names its own.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const source = dirname(fileURLToPath(import.meta.url));

/* Browsers since 2022: dialog, class fields, private methods, ResizeObserver. */
const target = ['chrome105', 'firefox104', 'safari16'];

/* What is served as it stands here. */
const asIs = [
  'index.html', 'nodes.json', 'manifest.webmanifest', 'icon.svg', 'clowntalk.js', 'clowntalk.d.ts',
];

function installed(modules) {
  const wanted = JSON.parse(readFileSync(join(source, 'package.json'), 'utf8')).devDependencies;
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
  if (modules !== source) {
    for (const file of ['package.json', 'package-lock.json']) {
      rmSync(join(modules, file), { force: true }); // may be a read-only copy
      copyFileSync(join(source, file), join(modules, file));
    }
  }
  execFileSync('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'],
    { cwd: modules, stdio: ['ignore', 'ignore', 'inherit'] });
}

/* The library as a classic script: its exports become members of the global `clowntalk`. */
function classic(esbuild, out) {
  return esbuild.build({
    entryPoints: [join(source, 'clowntalk.js')],
    outfile: join(out, 'clowntalk.classic.js'),
    bundle: true,
    format: 'iife',
    globalName: 'clowntalk',
    charset: 'utf8',
    target,
  });
}

function page(esbuild, modules, out) {
  return esbuild.build({
    entryPoints: ['app.js', 'plot.js', 'theme.js', 'style.css'].map((file) => join(source, file)),
    outdir: out,
    bundle: true,
    external: ['./plot.js'], // app.js fetches it when the first plot is opened
    inject: [join(source, 'plain_intl.js')],
    define: { Intl: 'PlainIntl' },
    format: 'esm',
    minify: true,
    charset: 'utf8',
    legalComments: 'none', // LICENSES.txt has them
    nodePaths: [join(modules, 'node_modules')],
    target,
  });
}

function licenses(modules, out) {
  const text = readFileSync(join(modules, 'node_modules/uplot/LICENSE'), 'utf8');
  writeFileSync(join(out, 'LICENSES.txt'), `This page contains uPlot, https://github.com/leeoniya/uPlot\n\n${text}`);
}

const { values: options } = parseArgs({
  options: {
    out: { type: 'string', default: join(source, '../../build/dashboard') },
    modules: { type: 'string', default: source },
    classic: { type: 'string' },
  },
});
const modules = resolve(options.modules);
install(modules);
const esbuild = createRequire(join(modules, 'package.json'))('esbuild');
if (options.classic) {
  await classic(esbuild, resolve(options.classic));
} else {
  const out = resolve(options.out);
  rmSync(out, { recursive: true, force: true });
  mkdirSync(out, { recursive: true });
  await Promise.all([classic(esbuild, out), page(esbuild, modules, out)]);
  for (const file of asIs) {
    writeFileSync(join(out, file), readFileSync(join(source, file)));
  }
  licenses(modules, out);
}
