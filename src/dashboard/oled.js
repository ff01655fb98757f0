/* What a 128x64 display shows: lines of text, or an image as the controller's memory holds it. */
import { h } from './dom.js';

export const LINES = 8;
export const COLUMNS = 21;

const WIDTH = 128;
const PAGES = 8; // of 8 rows each; a byte is a column of 8 pixels, the lowest bit on top

function canvas(raw) {
  const element = h('canvas', { width: WIDTH, height: PAGES * 8, role: 'img', 'aria-label': 'An image' });
  const context = element.getContext('2d');
  const image = context.createImageData(WIDTH, PAGES * 8);
  for (let i = 0; i < Math.min(raw.length, WIDTH * PAGES); i += 1) {
    for (let bit = 0; bit < 8; bit += 1) {
      const row = (i / WIDTH | 0) * 8 + bit;
      const isLit = (raw.charCodeAt(i) >> bit) & 1;
      image.data.set(isLit ? [190, 226, 255, 255] : [0, 0, 0, 0], (row * WIDTH + (i % WIDTH)) * 4);
    }
  }
  context.putImageData(image, 0, 0);
  return element;
}

export function linesOf(payload) {
  return Array.from({ length: LINES }, (_, i) => String(payload?.[`line-${i}`] ?? ''));
}

/** Fills `screen` with what a display publishes. */
export function showScreen(screen, payload) {
  if (typeof payload.raw === 'string') {
    try {
      screen.replaceChildren(canvas(atob(payload.raw)));
      return;
    } catch {
      // not base64: shown as no text
    }
  }
  screen.replaceChildren(...linesOf(payload).map((line) => h('span', {}, line || '\u00a0')));
}
