/* Small helpers around the DOM. */

/** An element: h('p', { class: 'x', onclick: f }, 'text', child). A property that is null is left out. */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith('on')) {
      element.addEventListener(name.slice(2), value);
    } else if (value !== null && value !== undefined && value !== false) {
      element.setAttribute(name, value === true ? '' : value);
    }
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** One of the symbols in index.html. */
export function icon(name) {
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  const use = document.createElementNS('http://www.w3.org/2000/svg', 'use');
  use.setAttribute('href', `#i-${name}`);
  svg.setAttribute('class', 'icon');
  svg.setAttribute('aria-hidden', 'true');
  svg.append(use);
  return svg;
}

/** Sets an element's text, and touches nothing where it is the same already. */
export function setText(element, text) {
  const node = element.firstChild;
  if (!node) {
    element.append(text);
  } else if (node.data !== text) {
    node.data = text;
  }
}

/** Sets or, with null, removes an attribute. */
export function setAttribute(element, name, value) {
  if (value === null) {
    element.removeAttribute(name);
  } else if (element.getAttribute(name) !== value) {
    element.setAttribute(name, value);
  }
}

/** Tells users of screen readers what others see happen. */
export function announce(text) {
  document.getElementById('announcer').replaceChildren(text);
}
