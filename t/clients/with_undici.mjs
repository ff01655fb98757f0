import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

import { run } from './steps.mjs';

const require = createRequire(process.env.NODE_PATH + '/'); // where npm has put it
const { Agent, WebSocket } = require('undici');
const dispatcher = new Agent({ connect: { ca: readFileSync(process.argv[3]) } });

run(require('undici/package.json').version, (url) => new WebSocket(url, { dispatcher }));
