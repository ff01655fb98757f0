/*
 * A reporter for node --test-reporter: plain TAP, flat, with what is wrong as comments. Node's own
 * writes YAML blocks that Perl's TAP::Parser stumbles over.
 */
import { inspect, stripVTControlCharacters } from 'node:util';

const comment = (text) => stripVTControlCharacters(text).replace(/^/gm, '# ').concat('\n');
const escape = (name) => name.replaceAll(/[\\#]/g, '\\$&').replaceAll('\n', ' ');

/* Why an event is no plain pass or failure, as TAP says it. */
function directive({ skip, todo }) {
  if (skip !== undefined && skip !== false) {
    return ` # SKIP ${skip === true ? '' : skip}`;
  }
  return todo !== undefined && todo !== false ? ` # TODO ${todo === true ? '' : todo}` : '';
}

export default async function* tap(source) {
  let count = 0;
  for await (const { type, data } of source) {
    if (type === 'test:pass' || type === 'test:fail') {
      if (data.details?.type === 'suite' && type === 'test:pass') {
        continue; // its tests have been counted
      }
      count += 1;
      yield `${type === 'test:pass' ? 'ok' : 'not ok'} ${count} - ${escape(data.name)}${directive(data)}\n`;
      if (type === 'test:fail') {
        const error = data.details.error;
        yield comment(inspect(error.cause ?? error, { depth: 4 }));
      }
    } else if (type === 'test:stderr') {
      yield comment(data.message.trimEnd());
    }
  }
  yield `1..${count}\n`;
}
