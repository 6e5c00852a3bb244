// SPDX-License-Identifier: Apache-2.0
// Asks the agent, follows its news, and shows both. Every text is set as text.

import { Picture, mark } from "./picture.js";
import {
  age, bytes, count, counted, keyed, make, milliseconds, pathsUp, roundTrip, say, verdictClass,
  verdicts,
} from "./words.js";

const pace = { state: 2000, services: 5000, afterNews: 60 };
const rowsMaximum = 200;
const at = (id) => document.getElementById(id);

let state;
let trafficBefore;
let rates = new Map();
let chosen;
let story;
const picture = new Picture(at("mesh"), { choose, open });

async function ask(path) {
  const response = await fetch(path, { signal: AbortSignal.timeout(10_000) });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.message ?? response.statusText);
  return answer;
}

/** Runs `task` every so often while the page is seen, one run at a time; the result runs it now. */
function regularly(milliseconds, task) {
  let timer;
  let isRunning = false;
  let isWanted = false;
  async function run() {
    clearTimeout(timer);
    if (isRunning) { isWanted = true; return; }
    isRunning = true;
    await task();
    isRunning = false;
    if (isWanted) { isWanted = false; run(); }
    else if (!document.hidden) timer = setTimeout(run, milliseconds);
  }
  document.addEventListener("visibilitychange", () => { if (!document.hidden) run(); });
  run();
  return (delay = 0) => { clearTimeout(timer); timer = setTimeout(run, delay); };
}

// MARK: the agent, and the mesh

let answeredAt;
const refresh = regularly(pace.state, async () => {
  try {
    const next = await ask("/v1/page");
    measure(next.traffic ?? []);
    state = next;
    answeredAt = Date.now();
    showAgent();
    showTiles();
    showClusters();
    showTraffic();
    showDrops();
    await tellStory();
    isStale(false);
  } catch (error) {
    isStale(true, error);
  }
});

function isStale(stale, error) {
  document.body.classList.toggle("stale", stale);
  if (!stale) return;
  const since = answeredAt ? `; this was so ${age((Date.now() - answeredAt) / 1000)} ago` : "";
  say(at("live"), `the agent doesn't answer (${error.message})${since}`);
}

function showAgent() {
  const { agent } = state;
  say(at("self"), `${agent.cluster.name} / ${agent.node}`);
  document.title = `${agent.cluster.name}/${agent.node} · Weft`;
  const publisher = agent.publisher.isLocal ? "publishes"
    : agent.publisher.node ? `publisher ${agent.publisher.node}` : "no publisher";
  say(at("about"), [
    `weftd ${agent.version}`, `running for ${age(agent.uptimeSeconds)}`, bytes(agent.memoryBytes),
    publisher, ...(agent.isDraining ? ["draining"] : []),
  ].join(" · "));
  const health = at("health");
  health.hidden = false;
  health.className = `badge ${{ healthy: "v-up", degraded: "v-suspect" }[agent.health.state] ?? "v-unreachable"}`;
  say(health, agent.health.state);
  const problems = agent.manifestProblems.map((problem) =>
    `${problem.file}${problem.line ? `:${problem.line}` : ""}: ${problem.message}`);
  const sentences = [...new Set([...agent.health.reasons, ...agent.warnings, ...problems])];
  at("reasons").hidden = sentences.length === 0;
  keyed(at("reasons"), sentences, (text) => text, () => make("li"), say);
}

function showTiles() {
  const { clusters, agent } = state;
  const up = clusters.filter((cluster) => cluster.verdict === "up").length;
  const flows = [...rates.values()].reduce((sum, rate) => sum + rate.flows, 0);
  const dropped = state.drops.reduce((sum, drop) => sum + drop.packets, 0);
  const ages = agent.ledgers.filter((ledger) => ledger.cluster.id !== agent.cluster.id)
    .map((ledger) => ledger.ageSeconds ?? Infinity);
  const tiles = [
    ["Clusters up", `${count(up)} of ${count(state.clustersTotal)}`],
    ["Endpoints", count(clusters.reduce((sum, cluster) => sum + cluster.endpoints, 0))],
    ["New flows here", state.traffic ? `${flows < 10 ? flows.toFixed(1) : count(Math.round(flows))} /s` : "off"],
    ["Dropped here", counted(dropped, "packet", "packets")],
    ["Oldest state", ages.length === 0 ? "–" : age(Math.max(...ages))],
  ];
  keyed(at("tiles"), tiles, ([name]) => name,
    ([name]) => make("div", {}, make("dt", {}, name), make("dd")),
    (tile, [, value]) => say(tile.lastChild, value));
}

const trouble = (cluster) => (cluster.verdict === "up" ? 1 : 0);

function showClusters() {
  const { clusters } = state;
  chosen ??= clusters.find((cluster) => cluster.isLocal)?.name;
  picture.update(clusters, chosen, new Map([...rates.values()].map((rate) => [rate.other, rate.bytes])));

  const counts = verdicts.map((verdict) =>
    [verdict, clusters.filter((cluster) => cluster.verdict === verdict).length]);
  keyed(at("legend"), counts.filter(([, number]) => number > 0), ([verdict]) => verdict,
    ([verdict]) => make("li", { class: verdictClass(verdict) }, mark(verdict), make("span")),
    (item, [verdict, number]) => say(item.lastChild, `${count(number)} ${verdict}`));

  const text = at("find-cluster").value.trim().toLowerCase();
  const rows = clusters.filter((cluster) => `${cluster.name} ${cluster.verdict}`.includes(text))
    .sort((a, b) => trouble(a) - trouble(b) || b.isLocal - a.isLocal || a.id - b.id);
  const ages = new Map(state.agent.ledgers.map((ledger) => [ledger.cluster.id, ledger.ageSeconds]));
  keyed(at("clusters"), rows, (cluster) => cluster.name, clusterRow, (row, cluster) => {
    const [, verdict, since, weight, ...cells] = row.children;
    row.classList.toggle("chosen", cluster.name === chosen);
    showVerdict(verdict.firstChild, cluster.verdict);
    say(since, age(cluster.sinceSeconds));
    weight.firstChild.style.setProperty("--share", cluster.weight / 255);
    say(weight.lastChild, `${Math.round((cluster.weight / 255) * 100)} %`);
    [
      pathsUp(cluster), milliseconds(roundTrip(cluster)),
      cluster.isLocal ? "–" : age(ages.get(cluster.id) ?? NaN), count(cluster.nodes),
      count(cluster.services), count(cluster.endpoints),
    ].forEach((value, index) => say(cells[index], value));
  });
  const hidden = state.clustersTotal - clusters.length;
  say(at("clusters-note"), [
    rows.length === 0 ? "No cluster is like that." : "",
    hidden > 0 ? `${counted(hidden, "cluster is", "clusters are")} not shown.` : "",
  ].join(" ").trim());
}

function clusterRow(cluster) {
  const button = make("button", { type: "button" }, cluster.name);
  button.addEventListener("click", () => { choose(cluster.name); open(cluster.name); });
  return make("tr", {}, make("th", { scope: "row" }, button),
    make("td", {}, make("span", { class: "verdict" })), make("td"),
    make("td", { class: "weight" },
      make("span", { class: "gauge", "aria-hidden": "true" }), make("span")),
    make("td"), ...Array.from({ length: 5 }, () => make("td", { class: "number" })));
}

function showVerdict(element, verdict) {
  if (element.dataset.verdict === verdict) return;
  element.dataset.verdict = verdict;
  element.className = `verdict ${verdictClass(verdict)}`;
  element.replaceChildren(mark(verdict), verdict);
}

// MARK: details

function choose(name) {
  if (name === chosen) return;
  chosen = name;
  story = undefined;
  showClusters();
  showDetails();
  tellStory();
}

/** Goes to the details; Escape comes back. */
async function open(name) {
  choose(name);
  at("details-heading").focus();
}

at("details").addEventListener("keydown", (event) => {
  if (event.key === "Escape") picture.focus();
});

async function tellStory() {
  const name = chosen;
  if (name === undefined) return;
  try {
    const answer = await ask(`/v1/why/${encodeURIComponent(name)}`);
    if (name === chosen) story = answer;
  } catch (error) {
    if (name === chosen) story = { events: [], hearsay: `its story isn't told: ${error.message}` };
  }
  showDetails();
}

function showDetails() {
  const cluster = state?.clusters.find((cluster) => cluster.name === chosen);
  if (!cluster) return;
  say(at("details-heading"), cluster.name);
  const body = at("details-body");
  if (body.dataset.cluster !== chosen) {
    body.dataset.cluster = chosen;
    body.replaceChildren(make("p", { class: "lead" }, make("span", { class: "verdict" }), make("span")),
      make("dl"), make("ul", { class: "paths", "aria-label": "Paths" }),
      make("p", { class: "hearsay" }), make("h3", {}, "How it came"), make("ol", { class: "story" }));
  }
  const [lead, facts, paths, hearsay, , events] = body.children;
  showVerdict(lead.firstChild, cluster.verdict);
  say(lead.lastChild, ` for ${age(cluster.sinceSeconds)}`);
  const ledger = state.agent.ledgers.find((ledger) => ledger.cluster.id === cluster.id);
  const pairs = [
    ["Weight for new flows", `${cluster.weight} of 255`],
    ["Nodes, services, endpoints", [cluster.nodes, cluster.services, cluster.endpoints].map(count).join(", ")],
    ["State", `${cluster.epoch}.${cluster.revision}`
      + (cluster.isLocal || !ledger ? "" : `, newest ${age(ledger.ageSeconds ?? NaN)} ago`)],
  ];
  if (cluster.capacity) {
    pairs.push(["Capacity to spare", `${Math.round((cluster.capacity.spare / cluster.capacity.capacity) * 100)} %`]);
  }
  if (cluster.isLocal) pairs.push(["This node", state.agent.node]);
  keyed(facts, pairs, ([name]) => name, ([name]) => make("div", {}, make("dt", {}, name), make("dd")),
    (pair, [, value]) => say(pair.lastChild, value));
  keyed(paths, cluster.paths, (path) => `${path.localRelay} ${path.remoteNode}`,
    () => make("li", {}, make("span", { class: "verdict" }), make("span"), make("span", { class: "quiet" })),
    (item, path) => {
      showVerdict(item.children[0], path.state);
      say(item.children[1], `${path.localRelay} → ${path.remoteNode}`);
      say(item.children[2], [
        milliseconds(path.rttMilliseconds), `heard ${age(path.lastBeatSeconds)} ago`,
        ...(path.overlay === "silent" ? ["overlay silent"] : []),
      ].join(", "));
    });
  say(hearsay, story?.hearsay ?? "");
  const now = Date.now();
  keyed(events, (story?.events ?? []).slice(-20).reverse(),
    (event) => `${Math.round((now - event.secondsAgo * 1000) / 1000)} ${event.subject} ${event.text}`,
    (event) => make("li", {}, make("span", { class: "time" }), make("span", {}, `${event.subject}: ${event.text}`)),
    (item, event) => say(item.firstChild, `${age(event.secondsAgo)} ago`));
}

// MARK: services

const refreshServices = regularly(pace.services, async () => {
  try {
    const find = at("find-service").value.trim();
    showServices(await ask(`/v1/page/services?find=${encodeURIComponent(find)}`));
  } catch (error) {
    say(at("services-note"), `The services aren't known: ${error.message}`);
  }
});

function showServices(answer) {
  const place = ({ service }) =>
    `${service.namespace}/${service.name} ${service.transport} ${service.address} ${service.port}`;
  keyed(at("services"), answer.services, place,
    ({ service }) => make("li", {},
      make("h3", {}, `${service.namespace}/${service.name}`,
        make("span", { class: "quiet" }, ` ${service.address} port ${service.port}/${service.transport}`
          + (service.isGlobal ? ", global" : "") + (service.affinity === "none" ? "" : `, prefers ${service.affinity}`))),
      make("p", { class: "problem" }), make("ul", { class: "slices" })),
    (item, { service, slices, slicesTotal }) => {
      const isServed = slices.some((slice) => slice.live > 0);
      say(item.children[1], [
        service.state === "done" ? "" : [service.state, service.reason].filter(Boolean).join(": "),
        isServed || slices.length < slicesTotal ? "" : "no backend takes connections",
        slices.length < slicesTotal ? `${count(slicesTotal - slices.length)} more clusters` : "",
      ].filter(Boolean).join("; "));
      const tier = Math.min(...slices.filter((slice) => slice.live > 0).map(({ slice }) => slice.tier));
      keyed(item.children[2], slices, ({ slice }) => `${slice.cluster.id} ${slice.tier}`, sliceRow,
        (row, slice) => showSlice(row, slice, tier));
    });
  const hidden = answer.matching - answer.services.length;
  say(at("services-note"), answer.matching === 0
    ? (answer.total === 0 ? "There is no service." : "No service has that in its name.")
    : hidden > 0 ? `${count(hidden)} more: look for a part of NAMESPACE/NAME.` : "");
}

function sliceRow({ slice }) {
  return make("li", {}, make("span", { class: "tier" }), make("span", { class: "cluster" }, slice.cluster.name),
    make("span", { class: "verdict" }), make("span", { class: "quiet" }),
    make("details", {}, make("summary"), make("ul")));
}

function showSlice(row, { slice, backends, live }, tier) {
  const [level, , verdict, weight, details] = row.children;
  say(level, `tier ${slice.tier}`);
  const verdictName = live === 0 ? "unreachable" : slice.tier === tier ? "up" : "unknown";
  const word = live === 0 ? "not live" : slice.tier === tier ? "in use" : "in reserve";
  if (verdict.dataset.word !== word) {
    verdict.dataset.word = word;
    verdict.className = `verdict ${verdictClass(verdictName)}`;
    verdict.replaceChildren(mark(verdictName), word);
  }
  say(weight, `weight ${slice.weight}`);
  say(details.firstChild, `${count(live)} of ${counted(backends, "backend", "backends")} live`);
  const rows = [...slice.backends.map((backend) => {
    const rest = backend.quarantine ? `in quarantine, ${backend.quarantine.reason}`
      : backend.isLive ? "live" : "its node isn't live";
    return [`${backend.address} ${backend.port}`, `${backend.address} port ${backend.port} on ${backend.node}: ${rest}`];
  }), ...(backends > slice.backends.length ? [["more", `and ${count(backends - slice.backends.length)} more`]] : [])];
  keyed(details.lastChild, rows, ([key]) => key, () => make("li"), (item, [, text]) => say(item, text));
}

// MARK: traffic

const nameOf = (end) => end?.name ?? "outside";
const pairOf = (row) => `${nameOf(row.from)} → ${nameOf(row.to)}`;

/** Rates since the last answer, by pair. */
function measure(traffic) {
  const now = performance.now();
  const own = state?.agent.cluster.name;
  const seconds = trafficBefore ? (now - trafficBefore.at) / 1000 : 0;
  rates = new Map(traffic.map((row) => {
    const before = trafficBefore?.rows.get(pairOf(row));
    const rise = (field) => (before && seconds > 0 ? Math.max(0, row[field] - before[field]) / seconds : 0);
    const other = nameOf(row.from) === own ? nameOf(row.to) : nameOf(row.from);
    return [pairOf(row), { flows: rise("opened"), bytes: rise("bytes"), other }];
  }));
  trafficBefore = { at: now, rows: new Map(traffic.map((row) => [pairOf(row), row])) };
}

function showTraffic() {
  const rows = state.traffic ?? [];
  keyed(at("traffic"), rows, pairOf,
    (row) => make("tr", {}, make("th", { scope: "row" }, nameOf(row.from)), make("td", {}, nameOf(row.to)),
      ...Array.from({ length: 4 }, () => make("td", { class: "number" }))),
    (element, row) => {
      const rate = rates.get(pairOf(row));
      [count(row.opened), rate.flows.toFixed(1), bytes(row.bytes), count(row.refused)]
        .forEach((value, index) => say(element.children[index + 2], value));
    });
  const hidden = state.trafficTotal - rows.length;
  say(at("traffic-note"), state.traffic === undefined ? "Flow events are off: flowEvents in the configuration."
    : rows.length === 0 ? "No flow has been seen."
    : `Flows of this node since its agent's start; bytes of closed ones.${hidden > 0 ? ` ${count(hidden)} more pairs.` : ""}`);
}

function showDrops() {
  keyed(at("drops"), [...state.drops].sort((a, b) => b.packets - a.packets), (drop) => drop.label,
    (drop) => make("tr", {}, make("th", { scope: "row" }, drop.sentence), make("td", { class: "number" })),
    (row, drop) => say(row.lastChild, counted(drop.packets, "packet", "packets")));
}

// MARK: news

const clock = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const endName = (end) => (end.name ? `${end.cluster ?? ""}:${end.namespace}/${end.name}` : end.address)
  + (end.port ? ` port ${end.port}` : "");
let lost;

function follow() {
  const source = new EventSource("/v1/page/news");
  let isFirst = true;
  source.addEventListener("open", () => { isFirst = true; say(at("live"), "live"); });
  source.addEventListener("error", () => {
    say(at("live"), "the agent's news are interrupted; trying again");
    // Refused, rather than interrupted: the browser doesn't try again by itself.
    if (source.readyState === EventSource.CLOSED) setTimeout(follow, 5000);
  });
  source.addEventListener("news", (event) => {
    const news = JSON.parse(event.data);
    if (isFirst) {
      lost = { beliefs: 0, refusals: 0 };
      at("news").replaceChildren();
      at("refused").replaceChildren();
    }
    lost.beliefs += news.beliefsLost;
    lost.refusals += news.refusalsLost;
    const now = Date.now();
    append(at("news"), news.beliefs.map((belief) =>
      entry(now - belief.secondsAgo * 1000, belief.subject, belief.text)));
    append(at("refused"), news.refusals.map((flow) => entry(flow.timeUnixMilliseconds, flow.type,
      `${flow.transport} ${endName(flow.source)} → ${endName(flow.destination)}`
      + [flow.reason, flow.policy].filter(Boolean).map((text) => `, ${text}`).join(""))));
    const missed = (number) => (number > 0 ? `${count(number)} came too fast to be shown.` : "");
    say(at("news-note"), missed(lost.beliefs) || (at("news").firstChild ? "" : "Nothing yet."));
    say(at("refused-note"), missed(lost.refusals) || (at("refused").firstChild ? "" : "Nothing yet."));
    if (!isFirst && news.beliefs.length > 0) {
      const last = news.beliefs.at(-1);
      say(at("announcement"), `${last.subject}: ${last.text}`);
      refresh(pace.afterNews);
      refreshServices(pace.afterNews);
    }
    isFirst = false;
  });
}

function entry(time, subject, text) {
  return make("li", {}, make("time", { class: "time" }, clock.format(time)), make("strong", {}, subject),
    make("span", {}, text));
}

/** Newest on top, a bounded number. */
function append(list, entries) {
  list.prepend(...entries.reverse());
  while (list.childElementCount > rowsMaximum) list.lastElementChild.remove();
}

at("find-cluster").addEventListener("input", () => { if (state) showClusters(); });
at("find-service").addEventListener("input", () => refreshServices(200));
follow();
