import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

import { run } from './steps.mjs';

const require = createRequire(process.env.NODE_PATH + '/'); // where npm has put it
const WebSocket = require('ws');
const ca = readFileSync(process.argv[3]);

run(require('ws/package.json').version, (url) => new WebSocket(url, { ca }));
