// SPDX-License-Identifier: Apache-2.0
// The mesh as a picture: this node's cluster in the middle, the others on rings around it.

import { age, counted, keyed, milliseconds, pathsUp, roundTrip, say, verdictClass } from "./words.js";

const radius = 11;
const shapes = {
  up: ["M11 0A11 11 0 1 1-11 0A11 11 0 1 1 11 0Z", "M-4.5 .5L-1.5 3.5L5-3.5"],
  suspect: ["M0-13L13 0L0 13L-13 0Z", "M0-5.5V1.5M0 5V5.5"],
  unreachable: ["M-10-10H10V10H-10Z", "M-4-4L4 4M4-4L-4 4"],
  probation: ["M0-12L12.5 10H-12.5Z", "M0 6V-2M-3 1L0-2L3 1"],
  draining: ["M0 12L-12.5-10H12.5Z", "M0-6V2M-3-1L0 2L3-1"],
  unknown: ["M11 0A11 11 0 1 1-11 0A11 11 0 1 1 11 0Z", "M-4 0H-3.9M0 0H.1M4 0H4.1"],
};

function draw(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function put(element, name, value) {
  if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
}

const shapeOf = (verdict) => (Object.hasOwn(shapes, verdict) ? verdict : "unknown");

/** A verdict's shape, to stand beside its word. */
export function mark(verdict) {
  const svg = draw("svg", { viewBox: "-15 -15 30 30", class: "mark", "aria-hidden": "true" });
  svg.append(...outline(verdict));
  return svg;
}

function outline(verdict) {
  const [shape, glyph] = shapes[shapeOf(verdict)];
  return [draw("path", { d: shape, class: "shape" }), draw("path", { d: glyph, class: "glyph" })];
}

/** `count` places at even distances on an ellipse around the origin, from the top. */
function ellipse(a, b, count, shift) {
  const steps = 720;
  const points = Array.from({ length: steps + 1 }, (_, step) => {
    const angle = (step / steps) * 2 * Math.PI - Math.PI / 2;
    return { x: a * Math.cos(angle), y: b * Math.sin(angle) };
  });
  const lengths = [0];
  for (let step = 1; step <= steps; step += 1) {
    const [from, to] = [points[step - 1], points[step]];
    lengths.push(lengths[step - 1] + Math.hypot(to.x - from.x, to.y - from.y));
  }
  let step = 0;
  return Array.from({ length: count }, (_, index) => {
    const wanted = ((index + shift) / count) * lengths[steps];
    while (lengths[step] < wanted) step += 1;
    return points[step];
  });
}

const perimeter = (a, b) => Math.PI * (3 * (a + b) - Math.sqrt((3 * a + b) * (a + 3 * b)));

/** Places for `count` clusters around the origin; labelled while there is room for labels. */
export function layout(count, width) {
  const room = Math.max(width, 300);
  for (const { cell, gap, margin, labelled } of [
    { cell: 96, gap: 74, margin: [52, 44], labelled: true },
    { cell: 34, gap: 36, margin: [24, 32], labelled: false },
  ]) {
    const tallest = labelled ? Math.min(560, room * 1.3) : 10_000;
    const least = count <= 8 ? 330 : count <= 16 ? 400 : 480;
    for (let height = Math.min(least, tallest); height <= tallest; height += 40) {
      const rings = [];
      let left = count;
      let [a, b] = [room / 2 - margin[0], height / 2 - margin[1]];
      while (left > 0 && a >= 64 && b >= 64) {
        const size = Math.floor(perimeter(a, b) / cell);
        rings.push({ a, b, size });
        left -= size;
        a -= labelled ? gap * 1.25 : gap;
        b -= gap;
      }
      if (left > 0) continue;
      const capacity = rings.reduce((sum, ring) => sum + ring.size, 0);
      let rest = count;
      const places = rings.flatMap(({ a, b, size }, index) => {
        const share = index === rings.length - 1
          ? rest : Math.min(rest, Math.round((count * size) / capacity));
        rest -= share;
        return ellipse(a, b, share, index % 2 === 0 ? 0 : 0.5);
      });
      return { width: room, height, labelled, places };
    }
  }
  return { width: room, height: 330, labelled: false, places: [] };
}

const short = (name) => (name.length > 13 ? `${name.slice(0, 12)}…` : name);

export function describe(cluster) {
  const words = [`${cluster.name}`, `${cluster.verdict} for ${age(cluster.sinceSeconds)}`];
  if (cluster.isLocal) words.push("this node's cluster");
  else {
    words.push(`weight ${cluster.weight} of 255`, `${pathsUp(cluster)} paths up`);
    const time = roundTrip(cluster);
    if (Number.isFinite(time)) words.push(`round trip ${milliseconds(time)}`);
  }
  return words.join(", ");
}

/** A link is as good as its paths: `up` with all, `suspect` with some, `unreachable` without any. */
function linkState(cluster) {
  const is = (state) => (path) => path.state === state;
  if (cluster.paths.length === 0) return "unknown";
  if (cluster.paths.every(is("up"))) return "up";
  return cluster.paths.some(is("up")) || cluster.paths.some(is("suspect")) ? "suspect" : "unreachable";
}

/** A list of which one entry is chosen, as assistive technology knows it; one stop of the Tab key. */
export class Picture {
  constructor(parent, { choose, open }) {
    this.links = draw("g", { class: "links" });
    this.nodes = draw("g", { role: "listbox", "aria-labelledby": "mesh-heading" });
    // Over every node, whichever comes first; the nodes say it themselves.
    this.labels = draw("g", { class: "labels", "aria-hidden": "true" });
    this.svg = draw("svg", { class: "picture" }, this.links, this.nodes, this.labels);
    this.parent = parent;
    this.choose = choose;
    this.open = open;
    this.clusters = [];
    parent.append(this.svg);
    new ResizeObserver(() => this.render()).observe(parent);
    // On the parent: with a listener for focus an SVG element would be a stop of the Tab key.
    parent.addEventListener("keydown", (event) => this.key(event));
    parent.addEventListener("click", (event) => {
      const node = event.target.closest("[role=option]");
      if (node) this.go(node);
    });
    parent.addEventListener("focusin", (event) => this.choose(event.target.dataset.key));
  }

  /** `traffic` has bytes a second by cluster, both directions. */
  update(clusters, chosen, traffic) {
    this.clusters = [...clusters].sort((a, b) => b.isLocal - a.isLocal || a.id - b.id);
    this.chosen = chosen;
    this.traffic = traffic;
    this.render();
  }

  focus() { this.nodes.querySelector("[aria-selected=true]")?.focus(); }

  go(node) { node.focus(); this.choose(node.dataset.key); }

  key(event) {
    const all = [...this.nodes.children];
    const index = all.indexOf(event.target);
    const moves = {
      ArrowRight: index + 1, ArrowDown: index + 1, ArrowLeft: index - 1, ArrowUp: index - 1,
      Home: 0, End: all.length - 1,
    };
    if (event.key === "Enter" || event.key === " ") this.open(event.target.dataset.key);
    else if (Object.hasOwn(moves, event.key)) this.go(all.at(moves[event.key] % all.length));
    else return;
    event.preventDefault();
  }

  render() {
    if (this.clusters.length === 0) return;
    const others = this.clusters.filter((cluster) => !cluster.isLocal);
    const plan = layout(others.length, this.parent.clientWidth);
    const { width, height, labelled } = plan;
    put(this.svg, "viewBox", `${-width / 2} ${-height / 2} ${width} ${height}`);
    put(this.svg, "height", height);
    const places = new Map(others.map((cluster, index) => [cluster.name, plan.places[index]]));
    const place = (cluster) => places.get(cluster.name) ?? { x: 0, y: 0 };

    keyed(this.links, others, (cluster) => cluster.name, () => draw("line"), (line, cluster) => {
      const { x, y } = place(cluster);
      const rate = this.traffic.get(cluster.name) ?? 0;
      put(line, "x2", x.toFixed(1));
      put(line, "y2", y.toFixed(1));
      put(line, "class", `link ${verdictClass(linkState(cluster))}`);
      put(line, "stroke-width", (1.2 + Math.min(4, Math.log10(1 + rate / 1000))).toFixed(1));
    });
    const chosen = this.clusters.some((cluster) => cluster.name === this.chosen)
      ? this.chosen : this.clusters[0].name;
    const name = (cluster) => cluster.name;
    const stand = (element, cluster, overhang = 0) => {
      const { x: wanted, y } = place(cluster);
      const most = width / 2 - overhang;
      const x = Math.max(-most, Math.min(most, wanted));
      put(element, "transform", `translate(${x.toFixed(1)} ${y.toFixed(1)})`);
      put(element, "class", `node ${verdictClass(cluster.verdict)}${cluster.isLocal ? " own" : ""}`);
    };
    keyed(this.nodes, this.clusters, name,
      () => draw("g", { role: "option" },
        draw("circle", { r: radius + 7, class: "halo" }), draw("g", { class: "body" })),
      (node, cluster) => {
        stand(node, cluster);
        put(node, "aria-label", describe(cluster));
        put(node, "aria-selected", cluster.name === chosen);
        put(node, "tabindex", cluster.name === chosen ? 0 : -1);
        const body = node.lastChild;
        if (body.dataset.verdict !== cluster.verdict) {
          body.dataset.verdict = cluster.verdict;
          body.replaceChildren(...outline(cluster.verdict));
        }
      });
    keyed(this.labels, this.clusters.filter((cluster) =>
      labelled || cluster.isLocal || cluster.name === chosen || cluster.verdict !== "up"), name,
      () => draw("g", {}, draw("text", { class: "name", y: 27 }), draw("text", { class: "note", y: 41 })),
      (label, cluster) => {
        stand(label, cluster, 46);
        const time = roundTrip(cluster);
        say(label.firstChild, short(cluster.name));
        say(label.lastChild, !labelled ? "" : cluster.isLocal ? "this cluster"
          : cluster.verdict !== "up" ? shapeOf(cluster.verdict)
          : Number.isFinite(time) ? milliseconds(time) : counted(cluster.paths.length, "path", "paths"));
      });
  }
}
