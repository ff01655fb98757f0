/*
 * What the page knows about each type of device: its name, its picture, its colour and the quantities
 * that it measures. A type that is not here is shown all the same, with what its payload says of itself.
 *
 * To add one: a row in `kinds`; its icon is a symbol in index.html, its colour a class in style.css.
 */

/*
 * decimals: as on the wire (docs/protocol.md). digits: significant ones that are worth showing.
 * span: the least extent of a plot, so that the last digit's noise does not look like a storm.
 */
const quantities = {
  temperature: { title: 'Temperature', decimals: 2, digits: 5, span: 1 },
  'relative-humidity': { title: 'Relative humidity', decimals: 1, digits: 4, span: 3 },
  illuminance: { title: 'Illuminance', decimals: 2, digits: 4, span: 10 },
  pressure: { title: 'Pressure', decimals: 3, digits: 6, span: 0.1 },
  altitude: { title: 'Altitude', decimals: 1, digits: 5, span: 8 },
  concentration: { title: 'Concentration', decimals: 0, digits: 5, span: 60 },
};

const kinds = {
  thermometer: { title: 'Thermometer', icon: 'thermometer', colour: 'warm', group: 'sensor' },
  'humidity-sensor': { title: 'Humidity', icon: 'drop', colour: 'blue', group: 'sensor' },
  'lux-meter': { title: 'Light', icon: 'sun', colour: 'gold', group: 'sensor' },
  barometer: { title: 'Barometer', icon: 'gauge', colour: 'violet', group: 'sensor' },
  'co2-sensor': { title: 'Carbon dioxide', icon: 'air', colour: 'green', group: 'sensor' },
  relay: { title: 'Relay', icon: 'power', colour: 'teal', group: 'switch' },
  led: { title: 'LED', icon: 'bulb', colour: 'gold', group: 'switch' },
  'display-oled': { title: 'Display', icon: 'display', colour: 'plain', group: 'display' },
};

const inWords = (name) => name[0].toUpperCase() + name.slice(1).replaceAll('-', ' ');

/** The kind of a device's topic. */
export function kindOf(topic) {
  const [type, address] = topic.split('/');
  return {
    title: inWords(type), icon: 'chip', colour: 'plain', group: 'sensor', ...kinds[type], type, address,
  };
}

/** What is known about a quantity of any name. */
export function quantityOf(name) {
  return { title: inWords(name), decimals: null, digits: 6, span: 0, ...quantities[name] };
}

/** The members of a payload that are quantities: { name: [value, unit] }. */
export function quantitiesIn(payload) {
  return Object.entries(payload).filter(([, value]) => Array.isArray(value) && value.length === 2
    && (value[0] === null || typeof value[0] === 'number') && typeof value[1] === 'string');
}

const order = Object.keys(kinds);
const rank = (topic) => (order.indexOf(topic.split('/')[0]) + 1) || order.length + 1;

/** The order of devices on the page: by type as above, then by address. */
export function compareTopics(a, b) {
  return rank(a) - rank(b) || (a < b ? -1 : Number(a > b));
}
