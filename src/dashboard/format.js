/* Numbers and times as people read them. Pure. */

const MINUS = '\u2212';
const NARROW_SPACE = '\u202f';

/** A number as text: at most `decimals` decimals, and not more than `digits` digits in all. */
export function formatNumber(value, { decimals = null, digits = 6 } = {}) {
  const whole = Math.max(1, Math.floor(Math.log10(Math.abs(value) || 1)) + 1);
  const shown = Math.max(0, Math.min(decimals ?? digits, digits - whole));
  const text = decimals === null ? String(Number(value.toFixed(shown))) : value.toFixed(shown);
  const [integer, fraction] = text.replace(/^-(?=[0.]*$)/, '').replace('-', MINUS).split('.');
  const grouped = integer.length > 4
    ? integer.replace(/\B(?=(\d{3})+$)/g, NARROW_SPACE) : integer;
  return fraction === undefined ? grouped : `${grouped}.${fraction}`;
}

/** The unit as it should look: U+2103 is one sign, "°C" reads better in every font. */
export function formatUnit(unit) {
  return unit.normalize('NFKC');
}

/** How long ago: "now", "8 s", "3 min", "2 h", "4 d". */
export function formatAge(milliseconds) {
  const seconds = Math.round(milliseconds / 1000);
  const steps = [[86400, 'd'], [3600, 'h'], [60, 'min']];
  for (const [length, unit] of steps) {
    if (seconds >= length) {
      return `${Math.floor(seconds / length)} ${unit} ago`;
    }
  }
  return seconds < 3 ? 'now' : `${seconds} s ago`;
}

/** The time of day. */
export function formatTime(milliseconds, { seconds = true } = {}) {
  const time = new Date(milliseconds);
  const parts = [time.getHours(), time.getMinutes(), ...(seconds ? [time.getSeconds()] : [])];
  return parts.map((part) => String(part).padStart(2, '0')).join(':');
}

/** A span of time: 28 ms, 1.4 s, 12 s. */
export function formatDuration(milliseconds) {
  if (milliseconds < 1000) {
    return `${Math.max(1, Math.round(milliseconds))} ms`;
  }
  return `${(milliseconds / 1000).toFixed(milliseconds < 10_000 ? 1 : 0)} s`;
}
