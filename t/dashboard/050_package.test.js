/* What is given away: the npm package, its types, the classic script, and the size of the page. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { createContext, runInContext } from 'node:vm';
import { gzipSync } from 'node:zlib';
import { require } from './modules.js';

const source = fileURLToPath(new URL('../../src/dashboard', import.meta.url));
const built = process.env.CLOWNTALK_DASHBOARD
  ?? fileURLToPath(new URL('../../build/dashboard', import.meta.url));

/* Where build.mjs has put its packages: beside the page in a build directory, or in the source. */
const modules = [join(built, '../npm/dashboard/node_modules'), join(source, 'node_modules')].find(existsSync);

let work;

before(() => { work = mkdtempSync(join(tmpdir(), 'clowntalk-package-')); });
after(() => rmSync(work, { recursive: true, force: true }));

/* npm pack in a copy of the source, whose packages are those that are installed. */
function pack() {
  const copy = join(work, 'source');
  mkdirSync(copy);
  for (const file of readdirSync(source, { withFileTypes: true })) {
    if (file.isFile() && !/\.tgz$|\.classic\.js$/.test(file.name)) {
      copyFileSync(join(source, file.name), join(copy, file.name));
    }
  }
  symlinkSync(modules, join(copy, 'node_modules'));
  const [{ filename, files }] = JSON.parse(execFileSync('npm', ['pack', '--json', '--pack-destination', work],
    { cwd: copy, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }));
  return { archive: join(work, filename), files: files.map(({ path }) => path).sort() };
}

test('npm pack takes the library along, and nothing of the page', () => {
  const { archive, files } = pack();
  assert.deepEqual(files, ['README.md', 'clowntalk.classic.js', 'clowntalk.d.ts', 'clowntalk.js', 'package.json']);
  const home = join(work, 'node_modules/clowntalk');
  mkdirSync(home, { recursive: true });
  execFileSync('tar', ['-xzf', archive, '-C', home, '--strip-components=1']);
  writeFileSync(join(work, 'user.mjs'), 'import * as all from "clowntalk"; console.log(Object.keys(all).sort().join())');
  const names = execFileSync(process.execPath, [join(work, 'user.mjs')], { encoding: 'utf8' }).trim();
  assert.equal(names, 'ClownTalk,ClownTalkError,ReconnectingSocket,formatMessage,nodePath,parseMessage,wsConnect');
});

test('the types agree with themselves, and with how the library is used', () => {
  const types = mkdtempSync(join(work, 'types-'));
  copyFileSync(join(source, 'clowntalk.d.ts'), join(types, 'clowntalk.d.ts'));
  writeFileSync(join(types, 'use.ts'), `
    import { ClownTalk, ClownTalkError, wsConnect, nodePath, type Quantity } from './clowntalk.js';
    async function use(): Promise<void> {
      const talk = new ClownTalk(nodePath('nodes/bridge/0'), { reconnect: false });
      const off: () => void = talk.subscribe('thermometer/+', ({ temperature }, topic, { initial }) => {
        const [value]: Quantity = temperature;
        console.log(topic.length, initial === true, value?.toFixed(2));
      });
      talk.on('devices', ({ sensors }) => sensors.map((topic) => topic.split('/')));
      talk.on('state', (state) => state === 'ready');
      // @ts-expect-error there is no such event
      talk.on('nonsense', () => {});
      // @ts-expect-error there is no such state
      talk.on('state', (state) => state === 'nonsense');
      try {
        const { state } = await talk.set('relay/i2c0-3b', { state: true });
        console.log(state, (await talk.history('thermometer/i2c0-48')).step);
      } catch (error) {
        if (error instanceof ClownTalkError && error.code === 'forbidden') off();
      }
      wsConnect('wss://localhost/', { onMessage: (event) => console.log(event.data) }).close();
    }
    use();
  `);
  const compiler = join(dirname(require.resolve('typescript/package.json')), 'bin/tsc');
  const { stdout } = spawnSync(process.execPath, [compiler, '--strict', '--noEmit', '--target', 'es2022', '--module',
    'nodenext', '--lib', 'es2022,dom', join(types, 'use.ts')], { cwd: types, encoding: 'utf8' });
  assert.equal(stdout, '');
});

test('the types name what the module exports, and the members of its classes', async () => {
  const module = await import(join(source, 'clowntalk.js'));
  const types = readFileSync(join(source, 'clowntalk.d.ts'), 'utf8');
  for (const [name, value] of Object.entries(module)) {
    assert.match(types, new RegExp(`export (class|function) ${name}\\b`));
    for (const member of Object.getOwnPropertyNames(value.prototype ?? {})) {
      assert.match(types, new RegExp(`\\b${member}\\b`), `${name}.${member}`);
    }
  }
});

test('the classic script makes one global', () => {
  const context = createContext({ URL });
  const before = Object.keys(context);
  runInContext(readFileSync(join(built, 'clowntalk.classic.js'), 'utf8'), context);
  assert.equal(runInContext('typeof clowntalk.wsConnect + typeof clowntalk.ClownTalk', context), 'functionfunction');
  assert.deepEqual(Object.keys(context).filter((name) => !before.includes(name)), ['clowntalk']);
});

test('the page is under 100 KB, compressed, all of it', () => {
  const page = readdirSync(built).filter((name) => !/^clowntalk\.|^LICENSES/.test(name));
  const size = page.reduce((sum, name) => sum + gzipSync(readFileSync(join(built, name))).length, 0);
  assert.ok(size < 100_000, `${size} bytes`);
});

test('no script, style or address of another server in the page', () => {
  const html = readFileSync(join(built, 'index.html'), 'utf8');
  assert.doesNotMatch(html, /<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)|https?:/);
  for (const name of ['app.js', 'plot.js', 'theme.js', 'style.css']) {
    const text = readFileSync(join(built, name), 'utf8').replaceAll('http://www.w3.org/', '');
    assert.doesNotMatch(text, /https?:\/\/[a-z]/, name);
  }
});

test('lock files pin what is installed, and name no registry', () => {
  for (const folder of [source, fileURLToPath(new URL('.', import.meta.url))]) {
    const lock = JSON.parse(readFileSync(join(folder, 'package-lock.json'), 'utf8'));
    for (const [name, { integrity, resolved }] of Object.entries(lock.packages)) {
      assert.ok(name === '' || integrity, `${name} has no integrity`);
      assert.equal(resolved, undefined, name);
    }
  }
});

test('the licence of what the page contains is served with it', () => {
  assert.match(readFileSync(join(built, 'LICENSES.txt'), 'utf8'), /uPlot[^]*MIT License[^]*Leon Sorokin/);
});
