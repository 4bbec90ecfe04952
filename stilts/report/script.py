"""The script of the report: draws charts when they come into view, sorts and filters tables, opens all to print."""

SCRIPT = """
"use strict";
const dark = matchMedia("screen and (prefers-color-scheme: dark)");
const onDark = new Map(Object.entries(JSON.parse(document.getElementById("on-dark").textContent)));
const shown = new Map();

// Charts over a number are as wide as the page lets them be; those over names keep their width and scroll.
function fit(view, room) {
  const x = [view, ...(view.layer ?? [])].map((v) => v.encoding?.x).find((v) => v);
  if (view.width > 0 && x?.type === "quantitative") view.width = Math.max(200, Math.min(room - 110, 780));
  for (const inner of view.vconcat ?? []) fit(inner, room);
}

function specOf(box) {
  const text = box.querySelector("script").textContent;
  const room = box.clientWidth;
  const narrow = Math.max(1, Math.floor(room / 120));
  const spec = JSON.parse(text, (key, value) =>
    key === "columns" && value > narrow ? narrow
    : !dark.matches ? value
    : key === "stroke" && value === "white" ? "#1c2226"
    : onDark.get(value) ?? value);
  const ink = getComputedStyle(document.body).color;
  delete spec.title;
  fit(spec, room);
  const words = {labelColor: ink, titleColor: ink};
  spec.config = {...spec.config, background: "transparent", axis: {...spec.config?.axis, ...words, titleLimit: room},
    legend: {...spec.config?.legend, ...words}, header: words};
  return spec;
}

async function draw(box) {
  const before = shown.get(box);
  const spec = specOf(box);
  const live = box.querySelector(".live"), bind = box.previousElementSibling;
  if (before) bind.replaceChildren();
  const result = await vegaEmbed(live, spec, {mode: "vega-lite", renderer: "svg", ast: true, actions: false, bind,
    tooltip: {theme: dark.matches ? "dark" : "custom"}});
  const chosen = (spec.params ?? []).filter((p) => p.bind?.input);
  for (const p of before ? chosen : []) result.view.signal(p.name, before.view.signal(p.name));
  await result.view.runAsync();
  before?.view.finalize();
  shown.set(box, result);
  box.classList.add("drawn");
}

const seen = new IntersectionObserver((entries) => {
  for (const {isIntersecting, target} of entries) {
    if (isIntersecting && !shown.has(target)) { shown.set(target, null); draw(target); }
  }
}, {rootMargin: "500px"});
for (const box of document.querySelectorAll(".chart")) seen.observe(box);

const again = () => { for (const [box, result] of shown) if (result) draw(box); };
dark.addEventListener("change", again);
let width = innerWidth, timer;
addEventListener("resize", () => {
  clearTimeout(timer);
  timer = setTimeout(() => { if (innerWidth !== width) { width = innerWidth; again(); } }, 200);
});

// Tables: a click on a heading sorts, a field filters; the baseline stays on top.
const number = (text) => parseFloat((text.replace(/,/g, "").match(/[+−-]?\\d+(\\.\\d+)?(e[+-]?\\d+)?/i) ?? [""])[0]
  .replace("−", "-"));
const compare = (a, b) => {
  const [x, y] = [number(a), number(b)];
  return isNaN(x) || isNaN(y) ? isNaN(x) - isNaN(y) || a.localeCompare(b) : y - x;
};
for (const table of document.querySelectorAll("table.sort")) {
  const body = table.tBodies[0];
  const rows = [...body.rows].filter((row) => !row.classList.contains("base"));
  if (rows.length < 3) continue;
  [...table.tHead.rows[0].cells].forEach((head, place) => {
    const button = document.createElement("button");
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") === "descending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const cell = (row) => row.cells[place].innerText;
      rows.sort((a, b) => (place ? compare(cell(a), cell(b)) : cell(a).localeCompare(cell(b))) * (up ? -1 : 1));
      body.append(...rows);
    });
  });
  if (rows.length < 12) continue;
  const label = document.createElement("label");
  const field = Object.assign(document.createElement("input"), {type: "search"});
  label.className = "filter";
  label.append("Show rows with ", field);
  table.parentElement.before(label);
  field.addEventListener("input", () => {
    const wanted = field.value.toLowerCase();
    for (const row of rows) row.hidden = !row.textContent.toLowerCase().includes(wanted);
  });
}

// Paper has no clicks.
let closed = [];
addEventListener("beforeprint", () => {
  closed = [...document.querySelectorAll("details:not([open])")];
  for (const part of closed) part.open = true;
});
addEventListener("afterprint", () => { for (const part of closed) part.open = false; });
"""
