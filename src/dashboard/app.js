/* The page: which nodes there are, which one is shown, and what surrounds it. */
import { Details } from './details.js';
import { h, setAttribute, setText } from './dom.js';
import { soon } from './frames.js';
import { NodeView } from './node.js';

const byId = (id) => document.getElementById(id);

const fallback = [{ name: 'nodes/bridge/0', title: 'Bridge 0' }];

/* nodes.json beside the page; without it there is the one node that every server has. */
async function loadNodes() {
  // Not relative to the page's own address, which may hold a name and a password.
  const url = new URL('nodes.json', location.origin + location.pathname);
  const response = await fetch(url);
  if (!response.ok) {
    return fallback;
  }
  const { nodes } = await response.json();
  if (!Array.isArray(nodes) || !nodes.length || nodes.some(({ name }) => typeof name !== 'string')) {
    throw new Error('it must be {"nodes": [{"name": "nodes/bridge/0"}, ...]}');
  }
  return nodes.map((node) => ({ ...node, title: node.title ?? node.name }));
}

class Page {
  #nodes;
  #view = null;

  constructor(nodes) {
    this.#nodes = nodes;
    this.details = new Details();
    if (nodes.length > 1) {
      byId('nodes').append(...nodes.map(({ name, title }) => h('a', { href: `#${name}` }, title)));
      byId('nodes').hidden = false;
    }
    addEventListener('hashchange', () => location.hash !== '#main' && this.#show());
    setInterval(() => this.#tick(), 1000);
    this.#show();
  }

  /** Shows the state of the connection to the node. */
  connection(state, text) {
    byId('connection').dataset.state = state;
    setText(byId('connection-text'), text);
  }

  #show() {
    const wanted = decodeURIComponent(location.hash.slice(1));
    const node = this.#nodes.find(({ name }) => name === wanted) ?? this.#nodes[0];
    this.details.dialog.close();
    this.#view?.destroy();
    byId('title').textContent = this.#nodes.length > 1 ? 'Clown.Talk' : node.title;
    document.title = `${node.title} \u00b7 Clown.Talk`;
    for (const link of byId('nodes').children) {
      setAttribute(link, 'aria-current', link.hash === `#${node.name}` ? 'page' : null);
    }
    this.#view = new NodeView(node, this);
    byId('main').append(this.#view.element);
  }

  #tick() {
    this.#view.tick();
    soon(this.details.tickNow);
  }
}

/* A tablet on the wall: the screen stays on while the button is pressed and the page is seen. */
function offerToStayAwake() {
  const button = byId('awake');
  if (!navigator.wakeLock) {
    return;
  }
  let lock = null;
  const isPressed = () => button.getAttribute('aria-pressed') === 'true';
  const acquire = async () => {
    try {
      lock = await navigator.wakeLock.request('screen');
    } catch {
      button.setAttribute('aria-pressed', 'false'); // low battery, or not allowed
    }
  };
  button.hidden = false;
  button.addEventListener('click', () => {
    button.setAttribute('aria-pressed', String(!isPressed()));
    isPressed() ? acquire() : lock?.release();
  });
  document.addEventListener('visibilitychange', () => {
    if (document.visibilityState === 'visible' && isPressed()) {
      acquire();
    }
  });
}

function complain(error) {
  byId('main').append(h('div', { class: 'panel' }, h('h2', {}, 'nodes.json cannot be used'),
    h('p', {}, String(error.message))));
  byId('connection').dataset.state = 'closed';
  byId('connection-text').textContent = 'Not connected';
}

offerToStayAwake();
loadNodes().then((nodes) => new Page(nodes)).catch(complain);
