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
// these; "range": [low, high] of the values

const charts = new WeakMap();

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
}

function shown(value, unit) {
  if (value === null || value === undefined) return "–";
  const digits = Math.abs(value) >= 100 || Number.isInteger(value) ? 0 : Math.abs(value) >= 1 ? 1 : 2;
  return value.toFixed(digits) + (unit ? " " + unit : "");
}

function drawChart(place) {
  const told = JSON.parse(place.dataset.chart);
  const unit = place.dataset.unit || "";
  const axis = { stroke: colour("text-3"), grid: { stroke: colour("line"), width: 1 }, ticks: { show: false }, font: "12px system-ui" };
  const width = Math.max(120, place.clientWidth);
  const height = Number(place.dataset.height || 200);
  const options = {
    width,
    height,
    padding: [8, 8, 0, 0],
    cursor: { y: false, points: { size: 6 } },
    legend: { show: true, live: true },
    scales: { x: { time: !told.numbers }, y: { range: (u, low, high) => told.range || (told.numbers ? [Math.min(low, 0) - 0.2, high * 1.05 + 0.2] : [0, Math.max(high * 1.1, 1)]) } },
    axes: [{ ...axis, space: 80, size: 32 }, { ...axis, size: 44, values: (u, ticks) => ticks.map((tick) => shown(tick, "")) }],
    series: [
      { label: told.numbers || "Time", value: (u, at) => (at === null ? "–" : told.numbers ? String(at) : new Date(at * 1000).toLocaleTimeString()) },
      ...told.lines.map((line) => ({
        label: line.label,
        stroke: colour(line.tone || "accent"),
        fill: told.lines.length === 1 && !told.numbers ? colour((line.tone || "accent") + "-soft") : undefined,
        width: 1.5,
        dash: line.dash ? [5, 4] : undefined,
        points: { show: false },
        value: (u, value) => shown(value, unit),
      })),
    ],
  };
  const old = charts.get(place);
  if (old) old.destroy();
  charts.set(place, new uPlot(options, [told.x, ...told.lines.map((line) => line.values)], place));
}

function drawCharts(root, again) {
  if (!window.uPlot) return;
  for (const place of root.querySelectorAll("[data-chart]")) {
    if (again || !charts.has(place)) drawChart(place);
  }
}

// ---- keys: `/` filters, `g` and a letter go to a page

let went = 0;

function typed(event) {
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

document.addEventListener("click", clicked);
document.addEventListener("keydown", typed);
document.addEventListener("htmx:configRequest", (event) => { event.detail.headers["X-CSRF"] = document.body.dataset.csrf; });
document.addEventListener("htmx:load", (event) => drawCharts(event.detail.elt.parentElement || document, false));
// Nobody looks at a hidden page, so it does not ask.
document.addEventListener("htmx:beforeRequest", (event) => {
  if (document.hidden && event.detail.elt.matches("[data-live]")) event.preventDefault();
});
let resized = 0;
window.addEventListener("resize", () => { clearTimeout(resized); resized = setTimeout(() => drawCharts(document, true), 150); });
showTheme();
drawCharts(document, false);
