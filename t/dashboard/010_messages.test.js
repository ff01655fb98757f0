/* The wire format, and addresses of nodes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ClownTalkError, formatMessage, nodePath, parseMessage } from '../../src/dashboard/clowntalk.js';

test('a message is a JSON array and a line feed', () => {
  assert.equal(formatMessage('clown.talk/-/config/set'), '["clown.talk/-/config/set",{}]\n');
  assert.equal(formatMessage('relay/i2c0-3b/set', { state: true }, 7),
    '["relay/i2c0-3b/set",{"state":true},{"id":7}]\n');
});

test('a message is taken apart, with and without an id', () => {
  assert.deepEqual(parseMessage('["thermometer/i2c0-48", {"temperature": [21.50, "℃"]}]\n'),
    { topic: 'thermometer/i2c0-48', payload: { temperature: [21.5, '℃'] }, id: undefined });
  assert.equal(parseMessage('["a", {}, {"id": "x", "more": 1}]').id, 'x');
});

test('what is no message is refused with a sentence', () => {
  for (const text of ['', '{', 'null', '{}', '[]', '["a"]', '[1, {}]', '["a", []]', '["a", null]',
    '["a", 1]', '["a", {}, {}, {}]']) {
    assert.throws(() => parseMessage(text), (error) =>
      error instanceof ClownTalkError && error.code === 'malformed' && error.message.length > 5, text);
  }
});

test('a node has an address', () => {
  assert.equal(nodePath('nodes/bridge/0'), '/auth/clown-talk-server_nodes_bridge_0');
  assert.equal(nodePath('nodes/bridge/12', '/talk'), '/talk/clown-talk-server_nodes_bridge_12');
});
