// SPDX-License-Identifier: Apache-2.0
// Numbers in words, and elements. Whatever a name says, it goes in as text.

export const verdicts = ["up", "probation", "draining", "suspect", "unreachable", "unknown"];
const known = new Set(verdicts);

/** A verdict as part of a class name: one of ours, whatever was sent. */
export const verdictClass = (verdict) => `v-${known.has(verdict) ? verdict : "unknown"}`;

/** `0.4 s`, `12 s`, `3 min 5 s`, `2 h 4 min`, `5 d 3 h`. */
export function age(seconds) {
  if (!Number.isFinite(seconds)) return "–";
  if (seconds < 1) return `${Math.max(0, seconds).toFixed(1)} s`;
  const units = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];
  const first = units.findIndex(([, size]) => seconds >= size);
  let left = Math.floor(seconds);
  return units.slice(first, first + 2).flatMap(([name, size]) => {
    const count = Math.floor(left / size);
    left -= count * size;
    return count > 0 ? [`${count} ${name}`] : [];
  }).join(" ");
}

export function milliseconds(value) {
  if (!Number.isFinite(value)) return "–";
  return `${value < 10 ? value.toFixed(value < 1 ? 2 : 1) : Math.round(value)} ms`;
}

export function bytes(value) {
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) { value /= 1000; unit += 1; }
  return `${unit > 0 && value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`;
}

const plain = new Intl.NumberFormat("en");
export const count = (value) => plain.format(value);
export const counted = (value, one, many) => `${count(value)} ${value === 1 ? one : many}`;

/** The middle of the round trips of a cluster's paths, in milliseconds. */
export function roundTrip(cluster) {
  const times = cluster.paths.map((path) => path.rttMilliseconds).filter(Number.isFinite);
  return times.sort((a, b) => a - b)[times.length >> 1];
}

export function pathsUp(cluster) {
  if (cluster.isLocal) return "–";
  return `${cluster.paths.filter((path) => path.state === "up").length} of ${cluster.paths.length}`;
}

/** An element; `properties` are attributes, `children` elements or text. */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Sets a text only where it is another: nothing is laid out again, nothing announced. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
  return element;
}

/**
 * Makes `parent`'s children those of `items`, in order. A child stays with its key, and with it
 * the focus, what is open, and what is selected.
 */
export function keyed(parent, items, key, create, update) {
  const before = new Map([...parent.children].map((child) => [child.dataset.key, child]));
  let place = parent.firstElementChild;
  for (const item of items) {
    const name = key(item);
    let child = before.get(name);
    before.delete(name);
    if (!child) {
      child = create(item);
      child.dataset.key = name;
    }
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
    update(child, item);
  }
  for (const child of before.values()) child.remove();
}
