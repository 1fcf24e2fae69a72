"use strict";
// The live page: it reads /api/events as it comes, and draws. Whatever comes from the server becomes text, never markup.
(() => {
  const $ = (id) => document.getElementById(id);
  const SVG = "http://www.w3.org/2000/svg";
  /** How long the charts look back, in milliseconds. */
  const SPAN = 300_000;
  /** The server says something every second: after so many milliseconds without a word it is gone. */
  const SILENCE = 6_000;
  /** Events come in order but for the first, which a later one may have overtaken: what is older than that is of another clock. */
  const SET_BACK = 5_000;

  // ---- Making elements -------------------------------------------------------------------------------------------------

  /** An element with attributes and children; strings become text. */
  const h = (name, attributes = {}, ...children) => fill(document.createElement(name), attributes, children);
  const s = (name, attributes = {}, ...children) => fill(document.createElementNS(SVG, name), attributes, children);

  function fill(element, attributes, children) {
    for (const [name, value] of Object.entries(attributes)) {
      if (value === undefined || value === null || value === false) continue;
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else element.setAttribute(name, value === true ? "" : value);
    }
    element.append(...children);
    return element;
  }

  const icon = (name) => s("svg", { "aria-hidden": "true" }, s("use", { href: `#${name}` }));

  /** Sets text and attributes only where they change: less work, and what is selected stays selected. */
  function say(element, text) {
    if (element.textContent !== text) element.textContent = text;
  }
  function mark(element, name, value) {
    if (value === undefined || value === null) element.removeAttribute(name);
    else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
  }

  // ---- Numbers and times -----------------------------------------------------------------------------------------------

  const isNumber = (value) => typeof value === "number" && Number.isFinite(value);

  function count(value) {
    if (!isNumber(value)) return "–";
    for (const [size, letter] of [[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e4, "k"]]) {
      if (value >= size) {
        const part = value / (letter === "k" ? 1e3 : size);
        return part.toFixed(part < 10 ? 2 : part < 100 ? 1 : 0) + letter;
      }
    }
    return Math.round(value).toLocaleString("en");
  }

  function rate(value) {
    if (!isNumber(value)) return "–";
    if (value === 0) return "0";
    return value < 10 ? value.toFixed(1) : count(value);
  }

  /** Milliseconds as a number and its unit. */
  function latencyParts(ms) {
    if (!isNumber(ms)) return ["–", ""];
    if (ms < 1) return [(ms * 1000).toFixed(0), "µs"];
    if (ms < 10) return [ms.toFixed(2), "ms"];
    if (ms < 100) return [ms.toFixed(1), "ms"];
    if (ms < 1000) return [ms.toFixed(0), "ms"];
    return [(ms / 1000).toFixed(ms < 10_000 ? 2 : 1), "s"];
  }
  const latency = (ms) => latencyParts(ms).join(" ").trim();

  function bytes(value) {
    if (!isNumber(value)) return "–";
    let unit = 0;
    while (value >= 1024 && unit < 5) { value /= 1024; unit += 1; }
    return `${value === 0 ? 0 : value < 10 && unit > 0 ? value.toFixed(1) : Math.round(value)} ${["B", "KiB", "MiB", "GiB", "TiB", "PiB"][unit]}`;
  }

  function percent(value) {
    if (!isNumber(value)) return "–";
    return value === 0 ? "0" : value < 0.01 ? "<0.01" : value < 10 ? value.toFixed(2) : value.toFixed(1);
  }

  function duration(seconds) {
    if (!isNumber(seconds)) return "–";
    const t = Math.floor(seconds);
    const [d, hours, m] = [Math.floor(t / 86_400), Math.floor(t / 3600) % 24, Math.floor(t / 60) % 60];
    if (d) return `${d} d ${hours} h`;
    if (hours) return `${hours} h ${m} min`;
    return m ? `${m} min ${t % 60} s` : `${t} s`;
  }

  const clock = (ms) => new Date(ms).toLocaleTimeString("en-GB");

  function ago(ms, now) {
    const seconds = Math.max(0, Math.round((now - ms) / 1000));
    if (seconds < 2) return "now";
    if (seconds < 60) return `${seconds} s ago`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
    return seconds < 86_400 ? `${Math.floor(seconds / 3600)} h ago` : new Date(ms).toLocaleDateString("en-GB");
  }

  // ---- Appearance ------------------------------------------------------------------------------------------------------

  /** Storage may be forbidden; then nothing is kept. */
  const keep = {
    get(store, key) { try { return store().getItem(key); } catch { return null; } },
    set(store, key, value) { try { value === null ? store().removeItem(key) : store().setItem(key, value); } catch { /* not kept */ } },
  };
  const here = () => localStorage;
  const tab = () => sessionStorage;

  function setTheme(theme) {
    mark(document.documentElement, "data-theme", theme === "auto" ? null : theme);
    for (const radio of document.getElementsByName("theme")) radio.checked = radio.value === theme;
  }
  setTheme(keep.get(here, "eproxy-theme") || "auto");
  for (const radio of document.getElementsByName("theme")) {
    radio.addEventListener("change", () => {
      keep.set(here, "eproxy-theme", radio.value === "auto" ? null : radio.value);
      setTheme(radio.value);
    });
  }

  // ---- Asking the server -----------------------------------------------------------------------------------------------

  let token = keep.get(tab, "eproxy-token");

  /** Asks the server; asks for the token first, and again, where one is needed. `begin` is called before each try. */
  async function ask(path, options = {}, begin) {
    for (;;) {
      const headers = { "X-Eproxy-Admin": "1", ...options.headers };
      if (token) headers.Authorization = `Bearer ${token}`;
      const used = token;
      const answer = await fetch(path, { cache: "no-store", credentials: "omit", signal: begin?.(), ...options, headers });
      if (answer.status !== 401) return answer;
      if (used === token) await askForToken(used !== null);
    }
  }

  let tokenAsked = null;
  function askForToken(isWrong) {
    tokenAsked ??= new Promise((given) => {
      const dialog = $("token-dialog");
      if (isWrong) {
        say($("token-why"), "The server does not take this token.");
        mark($("token-why"), "data-state", "bad");
      }
      setLink("wait", "Waiting");
      $("token").value = "";
      // Browsers let nobody be held by a dialog: who presses Escape twice is out of it. There is nothing to be seen behind it.
      dialog.onclose = () => { if (tokenAsked) dialog.showModal(); };
      $("token-form").onsubmit = (event) => {
        event.preventDefault();
        token = $("token").value.trim();
        keep.set(tab, "eproxy-token", token);
        tokenAsked = null;
        dialog.close();
        given();
      };
      if (!dialog.open) dialog.showModal();
    });
    return tokenAsked;
  }

  $("forget-token").addEventListener("click", () => {
    keep.set(tab, "eproxy-token", null);
    location.reload();
  });

  /** What the server says to a change: the JSON of its answer, or an error with its words. */
  async function change(path, method, body) {
    let answer;
    try {
      answer = await ask(path, {
        method,
        headers: body === undefined ? {} : { "Content-Type": "application/json" },
        body: body === undefined ? undefined : JSON.stringify(body),
      });
    } catch {
      throw { message: "the server can't be reached", problems: [] };
    }
    const said = await answer.json().catch(() => ({}));
    if (!answer.ok) throw { message: said.error || `the server answered ${answer.status}`, problems: said.problems || [] };
    return said;
  }

  function toast(text, state, undo) {
    const note = h("div", { class: "toast", "data-state": state }, h("p", {}, text));
    if (undo) note.append(h("button", { type: "button", onclick: () => { note.remove(); undo(); } }, "Undo"));
    $("toasts").replaceChildren(note);
    // Whoever is about to use it is not hurried.
    const leave = () => { note.matches(":hover, :focus-within") ? setTimeout(leave, 1_000) : note.remove(); };
    setTimeout(leave, state === "bad" ? 10_000 : 6_000);
  }

  // ---- The stream of events --------------------------------------------------------------------------------------------

  let retry = 2_000;
  let stopped = null;

  function setLink(state, text) {
    mark($("link"), "data-state", isPaused && state === "live" ? "paused" : state);
    say($("link-text"), isPaused && state === "live" ? "Paused" : text);
    link = [state, text];
  }
  let link = ["wait", "Connecting"];
  let isPaused = false;

  async function follow() {
    for (let failures = 0; ; ) {
      let abort = null;
      let silence = 0;
      let why = "Disconnected";
      const heard = () => {
        clearTimeout(silence);
        silence = setTimeout(() => abort.abort(), SILENCE);
      };
      // A network that swallows everything is noticed as soon as one that falls silent; time for a token is not counted.
      const begin = () => { abort = new AbortController(); heard(); return abort.signal; };
      stopped = () => abort?.abort();
      try {
        const answer = await ask("/api/events", { headers: { Accept: "text/event-stream" } }, begin);
        if (answer.ok) await read(answer.body, () => { failures = 0; heard(); });
        else why = answer.status === 503 ? "Too many pages" : `Refused (${answer.status})`;
      } catch { /* tried again */ }
      failures += 1;
      clearTimeout(silence);
      const wait = Math.min(retry * failures, 10_000);
      setLink("lost", why);
      document.body.classList.add("stale");
      await new Promise((done) => setTimeout(done, wait));
      if (isAway) await new Promise((done) => { wake = done; });
    }
  }

  /** Reads server-sent events (WHATWG HTML §9.2) until they end. */
  async function read(body, heard) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    let data = [];
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      heard();
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines) {
        if (line === "") {
          if (data.length) take(JSON.parse(data.join("\n")));
          data = [];
        } else if (line.startsWith("data:")) {
          data.push(line.slice(5).trimStart());
        } else if (line.startsWith("retry:")) {
          retry = Number(line.slice(6)) || retry;
        }
      }
    }
  }

  // ---- What is known ---------------------------------------------------------------------------------------------------

  /** Rows of the history: [at, 1xx, 2xx, …]; by the names of its columns in `column`. */
  let rows = [];
  let column = {};
  let state = null;
  let before = null;

  function take(next) {
    const names = next.history?.columns || [];
    column = Object.fromEntries(names.map((name, index) => [name, index]));
    // Another process counts from zero, and where a clock was set back, what was is no longer before what is.
    const isAnother = state && next.server.started_at !== state.server.started_at;
    if (isAnother || (state && next.at < state.at - SET_BACK)) { rows = []; before = null; state = null; trends.clear(); rates.clear(); }
    if (isAnother) forgetFailures();
    const last = rows.length ? rows[rows.length - 1][0] : -Infinity;
    rows.push(...(next.history?.rows || []).filter((row) => row[0] > last && row[0] <= next.at));
    const oldest = rows.length ? rows[rows.length - 1][0] - SPAN - 2_000 : 0;
    while (rows.length && rows[0][0] < oldest) rows.shift();
    next.failures ??= state?.failures || [];
    if (!state || next.at > state.at) { before = state; state = next; }
    learn();
    document.body.classList.remove("stale");
    setLink("live", "Live");
    if (!isPaused) draw();
  }

  const cell = (row, name) => { const value = row?.[column[name]]; return isNumber(value) ? value : null; };
  const latest = (name) => cell(rows[rows.length - 1], name);
  /** The last so many values of a column, or of a function of rows. */
  const tail = (of, many) => rows.slice(-many).map((row) => (typeof of === "string" ? cell(row, of) : of(row)));
  function mean(values) {
    const known = values.filter(isNumber);
    return known.length ? known.reduce((sum, value) => sum + value, 0) / known.length : null;
  }
  const lastKnown = (values) => values.findLast(isNumber) ?? null;
  const CLASSES = ["1xx", "2xx", "3xx", "4xx", "5xx"];
  const all = (row) => {
    const known = CLASSES.map((name) => cell(row, name)).filter(isNumber);
    return known.length ? known.reduce((sum, value) => sum + value, 0) : cell(row, "requests");
  };

  /** Requests a second of each endpoint and route, for the last minute. */
  const trends = new Map();
  const rates = new Map();
  function learn() {
    // The first word of the server has what was before.
    for (const group of state.groups) for (const { url, trend } of group.endpoints) if (trend) trends.set(`${group.name} ${url}`, trend);
    if (!before) return;
    // By the server's steady clock: the other may be set.
    const seconds = state.server.uptime_seconds - before.server.uptime_seconds;
    if (seconds < 0.2) return;
    const note = (key, now, then) => {
      const perSecond = isNumber(now) && isNumber(then) ? Math.max(0, now - then) / seconds : null;
      rates.set(key, perSecond);
      return perSecond;
    };
    for (const group of state.groups) {
      const old = before.groups.find((known) => known.name === group.name);
      for (const endpoint of group.endpoints) {
        const then = old?.endpoints.find((known) => known.url === endpoint.url);
        const key = `${group.name} ${endpoint.url}`;
        const perSecond = note(key, endpoint.attempts, then?.attempts);
        if (!endpoint.trend) trends.set(key, [...(trends.get(key) || []), perSecond].slice(-60));
      }
    }
    const old = new Map((before.routes || []).map((route) => [route.route, route]));
    for (const route of state.routes || []) {
      const then = old.get(route.route);
      for (const name of ["requests", "bytes_in", "bytes_out"]) note(`${name} ${route.route}`, route[name], then?.[name]);
    }
  }

  // ---- Tiles -----------------------------------------------------------------------------------------------------------

  const tiles = [
    { title: "Requests per second", of: all, value: () => [rate(mean(tail(all, 3))), ""],
      note: () => `${count(state.totals.requests)} in all` },
    { title: "Latency, p99", of: (row) => cell(row, "p99_ms"), value: () => latencyParts(lastKnown(tail("p99_ms", 10))),
      note: () => `p50 ${latency(lastKnown(tail("p50_ms", 10)))}` },
    { title: "Open connections", of: (row) => cell(row, "open"), value: () => [count(state.totals.open), ""],
      note: () => `${count(state.totals.accepted)} accepted` },
    { title: "5xx answers", of: (row) => cell(row, "5xx"), value: () => [percent(errorRate()), "%"],
      note: () => `${rate(mean(tail("5xx", 10)))} per second`,
      state: () => { const rate = errorRate(); return rate >= 5 ? "bad" : rate >= 0.5 ? "warn" : null; } },
    { title: "At upstreams", of: (row) => cell(row, "at_upstreams"), value: () => [count(latest("at_upstreams")), ""], note: reuse },
    { title: "CPU", of: (row) => cell(row, "cpu"), value: () => [isNumber(mean(tail("cpu", 3))) ? mean(tail("cpu", 3)).toFixed(0) : "–", "%"],
      note: () => `of ${state.process.cpus} ${state.process.cpus === 1 ? "processor" : "processors"}` },
  ];

  function errorRate() {
    const requests = mean(tail(all, 10));
    const failed = mean(tail("5xx", 10));
    return isNumber(requests) && isNumber(failed) ? (requests > 0 ? (100 * failed) / requests : 0) : null;
  }

  function reuse() {
    const { upstream_connects: made, upstream_reused: reused } = state.totals;
    return made + reused > 0 ? `${percent((100 * reused) / (made + reused))} % reused` : "none yet";
  }

  for (const tile of tiles) {
    tile.number = h("span", {}, "–");
    tile.unit = h("small", {}, "");
    tile.remark = h("p", { class: "note" }, " ");
    tile.spark = spark(100, 34);
    tile.element = h("article", { class: "tile" }, h("h3", {}, tile.title), h("p", { class: "value" }, tile.number, tile.unit), tile.remark, tile.spark.element);
    $("tiles").append(tile.element);
  }

  function drawTiles() {
    for (const tile of tiles) {
      const [number, unit] = tile.value();
      say(tile.number, number);
      say(tile.unit, number === "–" ? "" : unit);
      say(tile.remark, tile.note());
      mark(tile.element, "data-state", tile.state?.());
      tile.spark.draw(tail(tile.of, 60), 60);
    }
  }

  /** A line without axes. */
  function spark(width, height) {
    const area = s("path", { class: "area" });
    const stroke = s("path", { class: "stroke" });
    const element = s("svg", { class: "spark", viewBox: `0 0 ${width} ${height}`, preserveAspectRatio: "none", "aria-hidden": "true" }, area, stroke);
    return {
      element,
      draw(values, room) {
        const top = Math.max(1e-9, ...values.filter(isNumber)) * 1.08;
        const start = room - values.length;
        const points = values.map((value, index) => (isNumber(value) ? [((start + index) / (room - 1)) * width, height - 1 - (value / top) * (height - 3)] : null));
        mark(stroke, "d", line(points));
        mark(area, "d", under(points, height));
      },
    };
  }

  const point = ([x, y]) => `${x.toFixed(1)} ${y.toFixed(1)}`;

  /** Runs of points without a gap. */
  function runs(points) {
    const found = [[]];
    for (const one of points) one ? found[found.length - 1].push(one) : found.push([]);
    return found.filter((run) => run.length);
  }
  const line = (points) => runs(points).map((run) => `M${run.map(point).join("L")}${run.length === 1 ? "h.1" : ""}`).join("");
  const under = (points, floor) => runs(points).map((run) => `M${point([run[0][0], floor])}L${run.map(point).join("L")}L${point([run[run.length - 1][0], floor])}Z`).join("");

  // ---- Charts ----------------------------------------------------------------------------------------------------------

  const charts = [
    { title: "Requests", unit: "per second", stacked: true, format: rate, series: [
      { of: "2xx", name: "2xx", ink: "k2" }, { of: "3xx", name: "3xx", ink: "k3" }, { of: "4xx", name: "4xx", ink: "k4" }, { of: "5xx", name: "5xx", ink: "k5" }, { of: "1xx", name: "1xx", ink: "k1" }] },
    { title: "Latency", unit: "to the end of the answer", format: latency, series: [
      { of: "p99_ms", name: "p99", ink: "kp99" }, { of: "p90_ms", name: "p90", ink: "kp90", style: "thin" }, { of: "p50_ms", name: "p50", ink: "kp50", style: "dashed" }] },
    { title: "Open", unit: "at this moment", format: count, series: [
      { of: "open", name: "connections", ink: "kopen", under: true }, { of: "at_upstreams", name: "requests at upstreams", ink: "kup", style: "dashed" }] },
  ];

  /** Where the crosshair of all charts stands: a time, or nowhere. */
  let cross = null;

  for (const chart of charts) {
    chart.svg = s("svg", { "aria-hidden": "true" });
    chart.layers = s("g");
    chart.marks = chart.series.map((one) => {
      const shape = s("path", { class: chart.stacked ? `band ${one.ink}` : `curve ${one.ink} ${one.style || ""}` });
      const ground = one.under ? s("path", { class: `under ${one.ink}` }) : null;
      if (ground) chart.layers.append(ground);
      return { shape, ground };
    });
    // The first of the series is the most important: it is drawn last, unless they are stacked.
    chart.layers.append(...(chart.stacked ? chart.marks : chart.marks.toReversed()).map((one) => one.shape));
    chart.axes = s("g");
    chart.hair = s("g");
    chart.svg.append(chart.axes, chart.layers, chart.hair);
    chart.tip = h("div", { class: "tip", hidden: true });
    chart.plot = h("div", { class: "plot", tabindex: "0", role: "img" }, chart.svg, chart.tip);
    chart.legend = h("ul", { class: "legend" }, ...chart.series.map((one) => h("li", {}, swatch(chart, one), one.name)));
    chart.element = h("figure", { class: "chart" }, h("figcaption", {}, h("h3", {}, chart.title, " ", h("small", {}, chart.unit)), chart.legend), chart.plot);
    $("charts").append(chart.element);
    chart.plot.addEventListener("pointermove", (event) => point_at(chart, event.offsetX));
    chart.plot.addEventListener("pointerdown", (event) => point_at(chart, event.offsetX));
    chart.plot.addEventListener("pointerleave", () => setCross(null));
    chart.plot.addEventListener("blur", () => setCross(null));
    chart.plot.addEventListener("keydown", (event) => walk(chart, event));
    new ResizeObserver(() => { measure(chart); if (state) drawChart(chart); }).observe(chart.plot);
    measure(chart);
  }

  function swatch(chart, one) {
    return h("span", { class: `swatch ${one.ink} ${chart.stacked ? "" : one.style === "dashed" ? "dashed" : "line"}` });
  }

  function measure(chart) {
    chart.width = chart.plot.clientWidth;
    chart.height = chart.plot.clientHeight;
  }

  const LEFT = 44;
  const BOTTOM = 20;
  const TOP = 8;

  function point_at(chart, x) {
    if (!rows.length) return;
    const at = end() - SPAN + ((x - LEFT) / Math.max(1, chart.width - LEFT)) * SPAN;
    setCross({ at: nearest(at)[0], chart });
  }

  function walk(chart, event) {
    const steps = { ArrowLeft: -1, ArrowRight: 1, PageUp: -30, PageDown: 30, Home: -Infinity, End: Infinity };
    if (event.key === "Escape") return setCross(null);
    if (!(event.key in steps) || !rows.length) return;
    event.preventDefault();
    const now = cross ? rows.indexOf(nearest(cross.at)) : rows.length;
    const row = rows[Math.min(rows.length - 1, Math.max(0, now + steps[event.key]))];
    setCross({ at: row[0], chart });
    say($("told"), `${chart.title} at ${clock(row[0])}: ${chart.series.map((one) => `${one.name} ${chart.format(cell(row, one.of))}`).join(", ")}`);
  }

  function setCross(next) {
    cross = next;
    for (const chart of charts) drawCross(chart);
  }

  const end = () => rows[rows.length - 1][0];
  const nearest = (at) => rows.reduce((best, row) => (Math.abs(row[0] - at) < Math.abs(best[0] - at) ? row : best));

  /** A round number that is not below `value`, and how many steps it has. */
  function ceiling(value, least) {
    const most = Math.max(value, least);
    const size = 10 ** Math.floor(Math.log10(most));
    const [step] = [1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10].filter((step) => step * size >= most * 0.999);
    return step * size;
  }

  function drawChart(chart) {
    if (!chart.width || !rows.length) return;
    const { width, height } = chart;
    const floor = height - BOTTOM;
    const from = end() - SPAN;
    const values = chart.series.map((one) => rows.map((row) => cell(row, one.of)));
    const tops = chart.stacked
      ? rows.map((_, index) => values.reduce((sum, column) => sum + (column[index] || 0), 0))
      : values.flat().filter(isNumber);
    const top = ceiling(Math.max(0, ...tops) * 1.04, chart.title === "Latency" ? 1 : 4);
    const x = (row) => LEFT + ((row[0] - from) / SPAN) * (width - LEFT);
    const y = (value) => floor - (value / top) * (floor - TOP);
    chart.x = x;
    chart.y = y;

    const shown = rows.map((row) => row[0] >= from);
    const sums = rows.map(() => 0);
    chart.series.forEach((one, number) => {
      const { shape, ground } = chart.marks[number];
      if (chart.stacked) {
        const lower = rows.map((row, index) => [x(row), y(sums[index])]);
        values[number].forEach((value, index) => { sums[index] += value || 0; });
        const isThere = values[number].some((value) => value > 0);
        const upper = rows.map((row, index) => [x(row), y(sums[index])]);
        const keepShown = (points) => points.filter((_, index) => shown[index]);
        const edge = [...keepShown(upper), ...keepShown(lower).toReversed()];
        mark(shape, "d", isThere && edge.length > 2 ? `M${edge.map(point).join("L")}Z` : "");
      } else {
        const points = rows.map((row, index) => (shown[index] && isNumber(values[number][index]) ? [x(row), y(values[number][index])] : null));
        mark(shape, "d", line(points));
        if (ground) mark(ground, "d", under(points, floor));
      }
    });
    drawAxes(chart, top, floor);
    drawCross(chart);
    if (document.activeElement !== chart.plot) {
      mark(chart.plot, "aria-label", `${chart.title} ${chart.unit}, the last five minutes. Now: ${chart.series.map((one) => `${one.name} ${chart.format(latest(one.of))}`).join(", ")}. Arrow keys read earlier values.`);
    }
  }

  function drawAxes(chart, top, floor) {
    const { width } = chart;
    const parts = [];
    for (let step = 0; step <= 4; step += 1) {
      const value = (top * step) / 4;
      const at = Math.round(chart.y(value)) + 0.5;
      parts.push(s("line", { class: step ? "grid" : "grid base", x1: LEFT, x2: width, y1: at, y2: at }));
      if (step % 2 === 0) parts.push(s("text", { class: "tick", x: LEFT - 8, y: at + 3.5, "text-anchor": "end" }, step ? chart.format(value).replace(".00", "").replace(/\.0(?!\d)/, "") : "0"));
    }
    const minutes = width < 520 ? [5, 3, 1, 0] : [5, 4, 3, 2, 1, 0];
    for (const minute of minutes) {
      const at = LEFT + ((5 - minute) / 5) * (width - LEFT);
      const anchor = minute === 5 ? "start" : minute === 0 ? "end" : "middle";
      parts.push(s("text", { class: "tick", x: at, y: floor + 15, "text-anchor": anchor }, minute ? `−${minute} min` : "now"));
    }
    chart.axes.replaceChildren(...parts);
  }

  function drawCross(chart) {
    const row = cross && rows.length ? nearest(cross.at) : null;
    if (!row || !chart.x || row[0] < end() - SPAN) {
      chart.hair.replaceChildren();
      chart.tip.hidden = true;
      return;
    }
    const x = Math.round(chart.x(row)) + 0.5;
    const parts = [s("line", { class: "hair", x1: x, x2: x, y1: TOP, y2: chart.height - BOTTOM })];
    if (!chart.stacked) {
      for (const one of chart.series) {
        const value = cell(row, one.of);
        if (isNumber(value)) parts.push(s("circle", { class: `dot ${one.ink}`, cx: x, cy: chart.y(value), r: 4 }));
      }
    }
    chart.hair.replaceChildren(...parts);
    const words = chart.series.filter((one) => one.of !== "1xx" || cell(row, "1xx") > 0).map((one) => h("div", {}, swatch(chart, one), h("span", {}, one.name), h("span", {}, chart.format(cell(row, one.of)))));
    const now = Math.round((end() - row[0]) / 1000);
    chart.tip.replaceChildren(h("b", {}, `${clock(row[0])}${now ? ` · ${now} s ago` : ""}`), ...words);
    chart.tip.hidden = false;
    const room = chart.tip.offsetWidth + 12;
    chart.tip.style.left = `${x + room > chart.width ? Math.max(0, x - room) : x + 12}px`;
  }

  // ---- Groups and endpoints --------------------------------------------------------------------------------------------

  const groupBodies = new Map();
  const endpointRows = new Map();

  /** What an endpoint's state is called, and the shape that goes with it. */
  function stateOf(endpoint) {
    const health = { fit: ["up", "up"], down: ["down", "down"], ejected: ["ejected", "ejected"], broken: ["broken", "breaker open"] }[endpoint.health] || ["up", endpoint.health];
    if (endpoint.mode === "draining") return ["draining", "draining", health];
    if (endpoint.mode === "maintenance") return ["maintenance", "maintenance", health];
    return [...health, null];
  }

  function drawGroups() {
    const table = $("groups");
    $("groups-empty").hidden = state.groups.length > 0;
    table.hidden = state.groups.length === 0;
    sync(groupBodies, state.groups, (group) => group.name, (group) => {
      const more = h("span", { class: "more" });
      const title = h("tr", { role: "row" }, h("th", { class: "group-name", colspan: "12", scope: "rowgroup", role: "rowheader" }, group.name, more));
      const body = h("tbody", { role: "rowgroup" }, title);
      return { element: body, more };
    }, table, table.tHead);
    let [fit, every] = [0, 0];
    const keys = new Set(state.groups.flatMap((group) => group.endpoints.map(({ url }) => `${group.name} ${url}`)));
    // Those that are gone go first: where the others stay in their places, whatever has the focus keeps it.
    for (const [key, row] of endpointRows) if (!keys.has(key)) { row.element.remove(); endpointRows.delete(key); trends.delete(key); }
    for (const group of state.groups) {
      const { element, more } = groupBodies.get(group.name);
      const well = group.endpoints.filter((one) => one.health === "fit" && one.mode === "active").length;
      fit += well;
      every += group.endpoints.length;
      const waiting = group.waiting ? `, ${count(group.waiting)} waiting` : "";
      say(more, group.troubles.length ? group.troubles.join("; ") : `${well} of ${group.endpoints.length} up${waiting}`);
      mark(more, "class", group.troubles.length ? "more trouble" : "more");
      let previous = element.firstChild;
      for (const endpoint of group.endpoints) {
        const key = `${group.name} ${endpoint.url}`;
        let row = endpointRows.get(key);
        if (!row) { row = endpointRow(group.name, endpoint); endpointRows.set(key, row); }
        if (previous.nextSibling !== row.element) previous.after(row.element);
        previous = row.element;
        drawEndpoint(row, endpoint, key);
      }
    }
    say($("groups-sum"), every ? `${fit} of ${every} up` : "");
  }

  /** Has the elements of `known` be those of `items`, in their order, behind `first` of the parent's children, or as its first. */
  function sync(known, items, key, make, parent, first = null) {
    const keys = new Set(items.map(key));
    for (const [name, entry] of known) if (!keys.has(name)) { entry.element.remove(); known.delete(name); }
    let there = first ? first.nextElementSibling : parent.firstElementChild;
    for (const item of items) {
      const name = key(item);
      if (!known.has(name)) known.set(name, make(item));
      const { element } = known.get(name);
      if (there === element) there = there.nextElementSibling;
      else parent.insertBefore(element, there);
    }
  }

  function endpointRow(group, endpoint) {
    const one = { group, endpoint };
    const data = (label, ...content) => h("td", { role: "cell", class: "n", "data-label": label }, ...content);
    one.name = h("b", {});
    one.about = h("small", {});
    one.shape = s("use", {});
    one.word = h("span", {});
    one.state = h("span", { class: "state" }, s("svg", { "aria-hidden": "true" }, one.shape), one.word);
    one.weight = h("input", { type: "number", min: "1", max: "1000", step: "1", inputmode: "numeric" });
    one.active = data("Active");
    one.rate = data("Requests/s");
    one.spark = spark(96, 22);
    one.p50 = data("p50");
    one.p99 = data("p99");
    one.errors = data("5xx");
    one.failed = data("Failed");
    one.ejected = data("Ejected");
    one.first = h("button", { type: "button", onclick: () => act(one, one.first.dataset.action) });
    one.second = h("button", { type: "button", onclick: () => act(one, one.second.dataset.action) });
    one.weight.addEventListener("change", () => setWeight(one));
    one.weight.addEventListener("keydown", (event) => { if (event.key === "Escape") { one.weight.value = one.endpoint.weight; } });
    one.element = h("tr", { role: "row" },
      h("th", { scope: "row", role: "rowheader", class: "who" }, one.name, one.about),
      h("td", { role: "cell", class: "statecell" }, one.state),
      data("Weight", one.weight), one.active, one.rate,
      h("td", { role: "cell", class: "trend" }, one.spark.element),
      one.p50, one.p99, one.errors, one.failed, one.ejected,
      h("td", { role: "cell", class: "act" }, one.first, one.second));
    return one;
  }

  function drawEndpoint(row, endpoint, key) {
    row.endpoint = endpoint;
    say(row.name, endpoint.name);
    mark(row.name, "title", endpoint.url);
    const about = [`priority ${endpoint.priority}`];
    if (endpoint.zone) about.unshift(`zone ${endpoint.zone}`);
    say(row.about, endpoint.trouble || about.join(" · "));
    mark(row.about, "class", endpoint.trouble ? "trouble" : null);
    mark(row.about, "title", endpoint.trouble);
    const [name, word, health] = stateOf(endpoint);
    mark(row.state, "data-state", name);
    mark(row.shape, "href", `#s-${name}`);
    const beside = health && health[0] !== "up" ? `, ${health[1]}` : "";
    say(row.word, word + beside);
    if (document.activeElement !== row.weight) row.weight.value = endpoint.weight;
    mark(row.weight, "aria-label", `Weight of ${endpoint.name}`);
    number(row.active, endpoint.active, count);
    number(row.rate, rates.get(key) ?? null, rate);
    row.spark.draw(trends.get(key) || [], 60);
    say(row.p50, latency(endpoint.p50_ms));
    say(row.p99, latency(endpoint.p99_ms));
    number(row.errors, endpoint.server_errors, count, "warm");
    const failed = endpoint.unreached + endpoint.unanswered;
    number(row.failed, failed, count, "hot");
    mark(row.failed, "title", `${endpoint.unreached} not reached, ${endpoint.unanswered} not answered`);
    number(row.ejected, endpoint.ejections, count, "warm");
    const isActive = endpoint.mode === "active";
    button(row.first, isActive ? "drain" : "resume", endpoint.name);
    button(row.second, endpoint.mode === "maintenance" ? "drain" : "maintain", endpoint.name);
  }

  const ACTIONS = { drain: "Drain", resume: "Resume", maintain: "Maintain" };
  const DONE = { drain: "is drained: it gets no new requests", resume: "gets requests again", maintain: "is in maintenance: it gets no requests at all" };

  function button(element, action, name) {
    if (element.dataset.action === action) return;
    element.dataset.action = action;
    say(element, ACTIONS[action]);
    mark(element, "aria-label", `${ACTIONS[action]} ${name}`);
  }

  function number(element, value, format, tone = "") {
    const text = format(value);
    say(element, text);
    mark(element, "class", `n ${value ? tone : "zero"}`.trim());
  }

  async function act(row, action, isUndo) {
    const { name, url, mode } = row.endpoint;
    const back = { active: "resume", draining: "drain", maintenance: "maintain" }[mode];
    try {
      const group = await change(`/api/groups/${encodeURIComponent(row.group)}/endpoints/${action}`, "POST", { endpoint: url });
      replaceGroup(group);
      toast(`${name} ${DONE[action]}.`, "good", isUndo || back === action ? null : () => act(row, back, true));
    } catch (error) {
      toast(`${ACTIONS[action]} ${name}: ${error.message}`, "bad");
    }
  }

  async function setWeight(row) {
    const { name, url, weight: old } = row.endpoint;
    const weight = Number(row.weight.value);
    if (weight === old) return;
    try {
      if (!Number.isInteger(weight) || weight < 1 || weight > 1000) throw { message: "a weight is a whole number from 1 to 1000" };
      replaceGroup(await change(`/api/groups/${encodeURIComponent(row.group)}/endpoints/weight`, "POST", { endpoint: url, weight }));
      toast(`${name} has the weight ${weight}, not ${old}.`, "good");
    } catch (error) {
      row.weight.value = old;
      toast(`${name}: ${error.message}`, "bad");
    }
  }

  /** Shows what a change has brought at once, not with the next event. */
  function replaceGroup(group) {
    const at = state.groups.findIndex((known) => known.name === group.name);
    if (at < 0) return;
    // What it has counted since the last event is counted by the next: rates are of the time between two.
    for (const endpoint of group.endpoints) {
      const known = state.groups[at].endpoints.find(({ url }) => url === endpoint.url);
      endpoint.attempts = known?.attempts ?? endpoint.attempts;
    }
    state.groups[at] = group;
    drawGroups();
  }

  // ---- Routes ----------------------------------------------------------------------------------------------------------

  const routeRows = new Map();
  const total = (route) => CLASSES.reduce((sum, name) => sum + (route[name] || 0), 0);
  const COLUMNS = [
    { name: "Route", key: (route) => route.route, text: true },
    { name: "Requests/s", key: (route) => rates.get(`requests ${route.route}`) ?? 0 },
    { name: "Total", key: (route) => route.requests, less: true },
    { name: "Answers", key: (route) => total(route), mix: true, less: true },
    { name: "4xx", key: (route) => route["4xx"] ?? 0 },
    { name: "5xx", key: (route) => route["5xx"] ?? 0 },
    { name: "p50", key: (route) => route.p50_ms ?? -1, less: true },
    { name: "p99", key: (route) => route.p99_ms ?? -1 },
    { name: "In/s", key: (route) => rates.get(`bytes_in ${route.route}`) ?? 0, less: true },
    { name: "Out/s", key: (route) => rates.get(`bytes_out ${route.route}`) ?? 0, less: true },
  ];
  let sorted = { by: 2, down: true };

  COLUMNS.forEach((one, index) => {
    one.head = h("th", { scope: "col", class: `${one.text || one.mix ? "" : "n"} ${one.less ? "less" : ""}`.trim() },
      h("button", { type: "button", onclick: () => {
        sorted = { by: index, down: sorted.by === index ? !sorted.down : !one.text };
        if (state) drawRoutes();
      } }, one.name));
    $("routes-head").append(one.head);
  });

  function drawRoutes() {
    const routes = (state.routes || []).slice();
    $("routes-empty").hidden = routes.length > 0;
    $("routes").hidden = routes.length === 0;
    say($("routes-sum"), routes.length ? `${routes.length} ${routes.length === 1 ? "route" : "routes"}` : "");
    const { key } = COLUMNS[sorted.by];
    routes.sort((a, b) => {
      const [x, y] = [key(a), key(b)];
      const order = x < y ? -1 : x > y ? 1 : 0;
      return (sorted.down ? -order : order) || (a.route < b.route ? -1 : 1);
    });
    COLUMNS.forEach((one, index) => mark(one.head, "aria-sort", index === sorted.by ? (sorted.down ? "descending" : "ascending") : null));
    sync(routeRows, routes, (route) => route.route, (route) => {
      const cells = COLUMNS.slice(1).map((one) => h("td", { class: `${one.mix ? "" : "n"} ${one.less ? "less" : ""}`.trim() }));
      const mix = CLASSES.map((_, index) => h("i", { class: `k${index + 1}` }));
      cells[2].append(h("span", { class: "mix" }, ...mix));
      return { element: h("tr", {}, h("th", { scope: "row", title: route.route }, route.route || "(none)"), ...cells), cells, mix };
    }, $("routes-body"));
    for (const route of routes) {
      const { cells, mix } = routeRows.get(route.route);
      const perSecond = (name) => rates.get(`${name} ${route.route}`) ?? null;
      const write = (index, text, tone) => {
        say(cells[index], text);
        mark(cells[index], "class", `n ${COLUMNS[index + 1].less ? "less" : ""} ${tone || ""}`.trim());
      };
      write(0, rate(perSecond("requests")), perSecond("requests") ? "" : "zero");
      write(1, count(route.requests));
      const sum = total(route) || 1;
      mix.forEach((part, index) => { part.style.width = `${(100 * (route[CLASSES[index]] || 0)) / sum}%`; });
      mark(cells[2], "title", CLASSES.map((name) => `${name}: ${count(route[name] || 0)}`).join(", "));
      write(3, count(route["4xx"]), route["4xx"] ? "" : "zero");
      write(4, count(route["5xx"]), route["5xx"] ? "hot" : "zero");
      write(5, latency(route.p50_ms));
      write(6, latency(route.p99_ms));
      write(7, bytes(perSecond("bytes_in")), perSecond("bytes_in") ? "" : "zero");
      write(8, bytes(perSecond("bytes_out")), perSecond("bytes_out") ? "" : "zero");
    }
  }

  // ---- Failures --------------------------------------------------------------------------------------------------------

  let side = "";
  const SIDES = { upstream: "upstream", downstream: "client", local: "local" };
  const failureItems = new Map();

  for (const choice of $("sides").children) {
    choice.addEventListener("click", () => {
      side = choice.dataset.side;
      for (const other of $("sides").children) mark(other, "aria-pressed", other === choice);
      if (state) drawFailures();
    });
  }

  /** Another process numbers its failures from one again. */
  function forgetFailures() {
    for (const { element } of failureItems.values()) element.remove();
    failureItems.clear();
  }

  function drawFailures() {
    const shown = state.failures.filter((failure) => !side || failure.side === side);
    $("failures-empty").hidden = shown.length > 0;
    $("failures").hidden = shown.length === 0;
    sync(failureItems, shown, (failure) => failure.number, (failure) => {
      const time = h("time", { datetime: new Date(failure.at).toISOString(), title: new Date(failure.at).toLocaleString("en-GB") });
      const where = [failure.route && `route ${failure.route}`, failure.upstream && `upstream ${failure.upstream}`, failure.peer && `from ${failure.peer}`, failure.attempt].filter(Boolean);
      const element = h("li", {},
        h("span", { class: "name" }, h("span", { class: "side", "data-side": failure.side }, SIDES[failure.side] || failure.side), h("code", {}, failure.name)), time,
        h("p", {}, failure.text), h("p", { class: "where" }, where.join(" · ")));
      return { element, time };
    }, $("failures"));
    for (const failure of shown) say(failureItems.get(failure.number).time, ago(failure.at, state.at));
  }

  // ---- The bar and the menu --------------------------------------------------------------------------------------------

  function drawBar() {
    const { server, process } = state;
    say($("version"), server.version);
    say($("uptime"), duration(server.uptime_seconds));
    say($("workers"), String(server.workers));
    say($("memory"), bytes(process.resident_bytes));
    say($("pid"), String(process.pid));
    say($("listeners"), server.listeners.join(", ") || "–");
    mark($("listeners"), "title", server.listeners.join(", "));
    const phase = $("phase");
    phase.hidden = server.phase === "running";
    say(phase, server.phase === "draining" ? "Draining" : server.phase === "stopped" ? "Stopped" : "");
    mark(phase, "data-state", server.phase === "draining" ? "warn" : "lost");
    say($("updated"), `As of ${clock(state.at)}`);
    const { abilities } = state;
    $("level-field").hidden = !abilities.log_level;
    $("reload-field").hidden = !abilities.reload;
    $("show-config").hidden = !abilities.config;
    $("show-explain").hidden = !abilities.explain;
    $("forget-token").hidden = !token;
    // A link can't bring the token with it.
    $("others").hidden = Boolean(token);
    if (abilities.log_level && document.activeElement !== $("level")) $("level").value = state.log_level;
  }

  $("level").addEventListener("change", async () => {
    try {
      const { level } = await change("/api/log-level", "PUT", { level: $("level").value });
      toast(`The log level is ${level} now.`, "good");
    } catch (error) {
      $("level").value = state.log_level;
      toast(`Log level: ${error.message}`, "bad");
    }
  });

  $("reload").addEventListener("click", async () => {
    const [outcome, problems] = [$("reload-outcome"), $("reload-problems")];
    $("reload").disabled = true;
    say(outcome, "Reloading…");
    mark(outcome, "data-state", null);
    problems.hidden = true;
    try {
      const said = await change("/api/reload", "POST");
      say(outcome, said.outcome || "Reloaded.");
      mark(outcome, "data-state", "good");
    } catch (error) {
      say(outcome, error.message);
      mark(outcome, "data-state", "bad");
      problems.replaceChildren(...error.problems.map((problem) => h("li", {}, problem)));
      problems.hidden = error.problems.length === 0;
    }
    $("reload").disabled = false;
  });

  function showText(title, hasForm) {
    say($("text-title"), title);
    say($("text-body"), "");
    $("explain-form").hidden = !hasForm;
    $("menu").hidePopover?.();
    $("text-dialog").showModal();
  }

  $("show-config").addEventListener("click", async () => {
    showText("Effective configuration", false);
    const answer = await ask("/api/config").catch(() => null);
    say($("text-body"), answer ? await answer.text() : "The server can't be reached.");
  });
  $("show-explain").addEventListener("click", () => showText("Explain a request", true));
  $("explain-form").addEventListener("submit", async (event) => {
    event.preventDefault();
    const query = new URLSearchParams({ method: $("explain-method").value, url: $("explain-url").value });
    const answer = await ask(`/api/explain?${query}`).catch(() => null);
    const text = answer ? await answer.text() : "The server can't be reached.";
    let shown = text;
    try {
      const said = JSON.parse(text);
      shown = said.error || said.text || JSON.stringify(said, null, 2);
    } catch { /* shown as it is */ }
    say($("text-body"), shown);
  });
  $("text-close").addEventListener("click", () => $("text-dialog").close());

  $("pause").addEventListener("click", () => {
    isPaused = !isPaused;
    mark($("pause"), "aria-pressed", isPaused);
    say($("pause").lastElementChild, isPaused ? "Resume" : "Pause");
    mark($("pause").querySelector("use"), "href", isPaused ? "#i-play" : "#i-pause");
    setLink(...link);
    if (!isPaused && state) draw();
  });

  function draw() {
    drawBar();
    drawTiles();
    charts.forEach(drawChart);
    drawGroups();
    drawRoutes();
    drawFailures();
  }

  // A page that nobody sees for a while lets go of its stream; the server keeps the history.
  let hidden = 0;
  let isAway = false;
  let wake = null;
  document.addEventListener("visibilitychange", () => {
    clearTimeout(hidden);
    if (document.hidden) hidden = setTimeout(() => { isAway = true; stopped?.(); }, 60_000);
    else if (isAway) { isAway = false; wake?.(); }
  });

  follow();
})();
