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

/** An element of SVG: s('path', { d: 'M0 0h9' }, child). */
export function s(tag, attributes, ...children) {
  const element = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) {
    element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** One of the symbols in index.html. */
export function icon(name) {
  return s('svg', { class: 'icon', 'aria-hidden': 'true' }, s('use', { href: `#i-${name}` }));
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
