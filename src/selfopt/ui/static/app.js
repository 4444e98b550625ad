// What the pages do in the browser: charts, explained words, themes, keys. No page needs it to be read.
"use strict";

// ---- themes: system, light, dark

const THEMES = ["system", "light", "dark"];

function theme() {
  return document.documentElement.dataset.theme || "system";
}

function showTheme() {
  for (const place of document.querySelectorAll("[data-theme-name]")) place.textContent = "Theme: " + theme();
}

function nextTheme() {
  const next = THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length];
  if (next === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = next;
  try {
    if (next === "system") localStorage.removeItem("selfopt-theme");
    else localStorage.setItem("selfopt-theme", next);
  } catch (error) { /* it holds for this page only */ }
  showTheme();
  drawCharts(document, true);
}

// ---- explained words: a link to the list of words, which opens here instead

function explain(word) {
  const tip = document.getElementById("tip");
  if (!tip || !tip.showPopover) return false;
  tip.textContent = word.dataset.tip;
  tip.showPopover();
  const at = word.getBoundingClientRect();
  const size = tip.getBoundingClientRect();
  const left = Math.max(12, Math.min(at.left, window.innerWidth - size.width - 12));
  const below = at.bottom + 8 + size.height < window.innerHeight;
  tip.style.left = left + "px";
  tip.style.top = (below ? at.bottom + 6 : Math.max(8, at.top - size.height - 6)) + "px";
  say(word.dataset.tip);
  return true;
}

function say(text) {
  const note = document.getElementById("live-note");
  if (note) note.textContent = text;
}

// ---- charts: data-chart holds {"x": [...seconds], "lines": [{"label", "values", "tone", "dash"}]}; with "numbers": "trials", x counts
// these; "range": [low, high] of the values;
// "powers": the values are logarithms to the base of ten

const charts = new WeakMap();

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
}

function shown(value, unit) {
  if (value === null || value === undefined) return "–";
  const digits = Math.abs(value) >= 100 || Number.isInteger(value) ? 0 : Math.abs(value) >= 1 ? 1 : 2;
  return value.toFixed(digits) + (unit ? " " + unit : "");
}

function clock(at) {
  return new Date(at * 1000).toISOString().slice(11, 16);
}

function power(value) {
  if (value === null || value === undefined) return "–";
  const told = 10 ** value;
  return Math.abs(value) < 5 ? String(Number(told.toPrecision(3))) : told.toExponential(0).replace("e+", "e");
}

function drawChart(place) {
  const told = JSON.parse(place.dataset.chart);
  const unit = place.dataset.unit || "";
  const axis = { stroke: colour("text-3"), grid: { stroke: colour("line"), width: 1 }, ticks: { show: false }, font: "12px system-ui" };
  const options = {
    width: Math.max(120, place.clientWidth - 32),
    height: Number(place.dataset.height || 200),
    padding: [8, 4, 0, 0],
    tzDate: (at) => uPlot.tzDate(new Date(at * 1000), "Etc/UTC"),
    cursor: { y: false, points: { size: 6 }, drag: { x: false, y: false } },
    scales: { x: { time: !told.numbers }, y: { range: (u, low, high) => told.range || (told.numbers ? [Math.min(low, 0) - 0.2, high * 1.05 + 0.2] : [0, Math.max(high * 1.1, 0.1)]) } },
    axes: [
      { ...axis, space: 80, size: 28, ...(told.numbers ? {} : { values: (u, ticks) => ticks.map(clock) }) },
      { ...axis, size: told.powers ? 52 : 40, gap: 4, incrs: told.powers ? [1, 2, 5, 10, 20, 50, 100] : undefined, values: (u, ticks) => ticks.map((tick) => (told.powers ? power(tick) : shown(tick, ""))) },
    ],
    series: [
      { label: told.numbers || "", value: (u, at) => (at === null ? "" : told.numbers ? String(at) : new Date(at * 1000).toISOString().slice(11, 19)) },
      ...told.lines.map((line) => ({
        label: line.label,
        stroke: colour(line.tone || "accent"),
        fill: line === told.lines[0] && !told.numbers ? colour((line.tone || "accent") + "-soft") : undefined,
        width: 1.5,
        dash: line.dash ? [5, 4] : undefined,
        points: { show: false },
        value: (u, value) => (value === null || value === undefined ? "" : told.powers ? power(value) : shown(value, unit)),
      })),
    ],
  };
  const old = charts.get(place);
  if (old) old.destroy();
  charts.set(place, new uPlot(options, [told.x, ...told.lines.map((line) => line.values)], place));
}

function drawCharts(root, again) {
  if (!window.uPlot) return;
  for (const place of root.querySelectorAll("figure[data-chart]")) {
    if (again || !charts.has(place)) drawChart(place);
  }
}

// A part of a page brings new values for a chart that stands elsewhere.
function takeValues(root) {
  for (const news of root.querySelectorAll("[data-chart-for]")) {
    const place = document.getElementById(news.dataset.chartFor);
    if (!place || place.dataset.chart === news.dataset.chart) continue;
    place.dataset.chart = news.dataset.chart;
    const chart = charts.get(place);
    const told = JSON.parse(news.dataset.chart);
    if (chart) chart.setData([told.x, ...told.lines.map((line) => line.values)]);
  }
}

// Whoever does not see the page hears when things change for better or worse.
let tone = null;

function hearTone() {
  const verdict = document.querySelector("[data-verdict]");
  if (!verdict) return;
  if (tone !== null && tone !== verdict.dataset.verdict) say(verdict.textContent.trim());
  tone = verdict.dataset.verdict;
}

// ---- keys: `/` filters, `g` and a letter go to a page

let went = 0;

function typed(event) {
  const play = event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.closest("[data-play]");
  if (play) { event.preventDefault(); play.requestSubmit(); return; }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const inField = event.target.closest("input, select, textarea, [contenteditable]");
  if (event.key === "Escape" && inField) event.target.blur();
  if (inField) return;
  if (event.key === "/") {
    const filter = document.querySelector("[data-filter]");
    if (filter) { event.preventDefault(); filter.focus(); }
  } else if (event.key === "g") {
    went = event.timeStamp;
  } else if (event.timeStamp - went < 1000) {
    const link = [...document.querySelectorAll("[data-go]")].find((each) => each.dataset.go === event.key);
    if (link) window.location.assign(link.href);
    went = 0;
  }
}

function clicked(event) {
  const word = event.target.closest("[data-tip]");
  if (word && !event.ctrlKey && !event.metaKey && explain(word)) { event.preventDefault(); return; }
  if (event.target.closest("[data-theme-next]")) nextTheme();
  const menu = event.target.closest("[data-menu]");
  if (menu) menu.setAttribute("aria-expanded", menu.getAttribute("aria-expanded") !== "true");
  const copy = event.target.closest("[data-copy]");
  if (copy && navigator.clipboard) navigator.clipboard.writeText(copy.dataset.copy).then(() => say("Copied"), () => say("It could not be copied"));
}

// ---- playground: each side asks by itself, so that a slow one does not hold the other

function askBoth(event) {
  if (!event.target.matches("[data-play]")) return;
  event.preventDefault();
  document.getElementById("play-same").hidden = true;
  for (const side of document.querySelectorAll("[data-play-side]")) htmx.trigger(side, "ask");
  say("Asking both");
}

function compareSides() {
  const note = document.getElementById("play-same");
  const told = [...document.querySelectorAll("[data-play-side] [data-answer]")].map((each) => each.dataset.answer);
  if (!note || told.length < 2) return;
  const text = told.includes("none") ? "" : told[0] !== told[1] ? "They read differently." : told[0] === "[]" ? "Neither calls a tool." : "Both make the same calls.";
  note.hidden = text === "";
  if (note.textContent !== text) note.textContent = text;
}

document.addEventListener("submit", askBoth);
document.addEventListener("click", clicked);
document.addEventListener("keydown", typed);
document.addEventListener("htmx:configRequest", (event) => {
  event.detail.headers["X-CSRF"] = document.body.dataset.csrf;
  if (event.detail.elt.matches("[data-live]")) event.detail.headers["X-Poll-S"] = String(pollS);
});
document.addEventListener("htmx:afterSettle", () => { drawCharts(document, false); takeValues(document); hearTone(); compareSides(); });
// Nobody looks at a hidden page, so it does not ask. A gateway with many readers says how long each of them is to wait.
let pollS = 2;
const polledAt = new Map();
document.addEventListener("htmx:beforeRequest", (event) => {
  if (!event.detail.elt.matches("[data-live]")) return;
  const place = event.detail.elt.getAttribute("hx-get").split("?")[0];
  const now = performance.now();
  if (document.hidden || now - (polledAt.get(place) ?? -Infinity) < (pollS - 1) * 1000) event.preventDefault();
  else polledAt.set(place, now);
});
document.addEventListener("htmx:afterRequest", (event) => {
  const told = Number(event.detail.xhr && event.detail.xhr.getResponseHeader("X-Poll-S"));
  if (told >= 2) pollS = told;
});
let resized = 0;
window.addEventListener("resize", () => { clearTimeout(resized); resized = setTimeout(() => drawCharts(document, true), 150); });
// A filter that was chosen counts at once; a text once it is complete.
document.addEventListener("change", (event) => {
  const form = event.target.closest("[data-filters]");
  if (form && event.target.matches("select, input[type=checkbox]")) form.requestSubmit();
});
document.addEventListener("submit", (event) => {
  if (!event.target.matches("[data-filters]")) return;
  for (const field of event.target.elements) if (field.name && field.value === "") field.disabled = true;
});
showTheme();
drawCharts(document, false);
hearTone();
