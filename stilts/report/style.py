"""The style sheet of the report: light and dark, wide and narrow screens, paper."""

CSS = """
:root { color-scheme: light dark;
  --page: #fbfaf7; --card: #ffffff; --ink: #1d2327; --soft: #566068; --line: #dcdad3; --accent: #0b5c86;
  --up: #dcefe3; --up-ink: #0d5a33; --down: #fbe3dc; --down-ink: #8e2a12; --flat: #efeee9; --note: #fff3d1;
    --note-line: #c08a00; }
@media screen and (prefers-color-scheme: dark) { :root {
  --page: #14181b; --card: #1c2226; --ink: #e8e6e1; --soft: #a7b0b6; --line: #384148; --accent: #7cc4ec;
  --up: #173c29; --up-ink: #9be0b8; --down: #4a2218; --down-ink: #ffb9a3; --flat: #262d32; --note: #3a3014;
    --note-line: #d6a524; } }
* { box-sizing: border-box; }
html { scroll-behavior: smooth; -webkit-text-size-adjust: 100%; }
body { margin: 0; overflow-wrap: anywhere; background: var(--page); color: var(--ink);
  font: 1rem/1.55 system-ui, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif; }
main, header, footer { max-width: 66rem; margin: 0 auto; padding: 0 1.25rem; }
header { padding-top: 2.2rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .3rem; text-wrap: balance; }
h2 { font-size: 1.3rem; line-height: 1.25; margin: 2.8rem 0 .6rem; padding-top: .9rem;
  border-top: 1px solid var(--line); }
h3 { font-size: 1.05rem; margin: 1.8rem 0 .5rem; }
p, ul, ol { max-width: 46rem; margin: .5rem 0 .9rem; }
li { margin: .3rem 0; }
a { color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.skip { position: absolute; left: .6rem; top: -4rem; background: var(--card); padding: .5rem 1rem; z-index: 2; }
.skip:focus { top: .6rem; }
code { font-size: .92em; }
.soft, .meta, caption { color: var(--soft); }
.meta { margin: 0 0 1.4rem; }
.question { color: var(--soft); margin-bottom: 1.1rem; }
.note { background: var(--note); border-left: .35rem solid var(--note-line); padding: .6rem 1rem; margin: 0;
  border-radius: .3rem; max-width: none; }
.answer { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: .6rem 1.4rem;
  margin: 1rem 0; display: grid; grid-template-columns: minmax(0, 1fr); column-gap: 2.2rem; align-items: center; }
.answer h2 { border: 0; margin: .3rem 0 0; padding: 0; font-size: .95rem; color: var(--soft); font-weight: 600; }
.answer .headline { font-size: 1.5rem; line-height: 1.25; font-weight: 700; margin: .1rem 0 .6rem; text-wrap: balance; }
.answer ul { padding-left: 1.1rem; font-size: .95rem; }
.answer figure { margin: .4rem 0; }
.answer figcaption { font-size: .85rem; }
@media (min-width: 62rem) { .answer { grid-template-columns: minmax(0, 1.25fr) minmax(0, 1fr); }
  .answer > :only-child { grid-column: 1 / -1; } }
nav { margin: 1.4rem 0 0; }
nav ul { list-style: none; display: flex; flex-wrap: wrap; gap: .3rem 1.1rem; padding: 0; margin: 0; max-width: none; }
nav li { margin: 0; }
.scroll { overflow-x: auto; background: var(--card); border: 1px solid var(--line); border-radius: .5rem;
  margin: .7rem 0 1.1rem;
  max-width: 100%; width: fit-content; }
table { border-collapse: separate; border-spacing: 0; font-variant-numeric: tabular-nums; font-size: .93rem; }
caption { text-align: left; padding: .6rem .8rem .5rem; font-size: .9rem; caption-side: top; }
th, td { padding: .38rem .8rem; border-top: 1px solid var(--line); text-align: right; vertical-align: top;
  white-space: nowrap; }
thead th { border-top: 0; color: var(--soft); font-weight: 600; vertical-align: bottom; }
caption + thead th { border-top: 1px solid var(--line); }
th[scope=row], .text { text-align: left; }
th[scope=row] { position: sticky; left: 0; background: var(--card); font-weight: 600;
  box-shadow: 1px 0 0 var(--line); }
td.wide { white-space: normal; min-width: 11rem; text-align: left; } td.small { font-size: .86em; color: var(--soft); }
.columns { columns: 26rem; column-gap: 2.5rem; } .columns h3 { break-after: avoid; margin-top: 0; }
td small, th small { display: block; color: var(--soft); font-weight: 400; font-size: .86em; }
td.up { background: var(--up); } td.up b, .yes { color: var(--up-ink); }
td.down { background: var(--down); } td.down b, .no { color: var(--down-ink); }
td.flat { background: var(--flat); }
td.up small, td.down small, td.flat small { color: inherit; opacity: .85; }
tr.base td, tr.base th { border-bottom: 2px solid var(--line); }
td.sum, th.sum { border-left: 2px solid var(--line); } .total { border-right: 2px solid var(--line); }
.yes, .no, .unclear { font-weight: 600; }
summary { cursor: pointer; color: var(--accent); padding: .4rem 0; }
figure { margin: 1.2rem 0 1.6rem; }
figcaption { color: var(--soft); font-size: .9rem; max-width: 46rem; margin-top: .4rem; }
figcaption b { color: var(--ink); } .files a { margin-right: .5rem; }
.forest { display: block; width: 100%; max-width: 30rem; height: auto; }
.forest text { font: 14px system-ui, "Noto Sans", "DejaVu Sans", sans-serif; fill: var(--ink); }
.forest .head { font-weight: 600; } .forest .tick, text.open { fill: var(--soft); font-size: 12px; }
.forest text.open { font-size: 14px; } .forest text.up, .forest text.down { font-weight: 700; }
.forest .zero { stroke: var(--soft); stroke-dasharray: 2 3; }
.forest line { stroke-width: 2.5; } .forest .up { stroke: var(--up-ink); } .forest .down { stroke: var(--down-ink); }
.forest line.open, .forest circle.open { stroke: var(--soft); } .forest text { stroke: none !important; }
.forest circle { stroke-width: 2; } .forest circle.up { fill: var(--up-ink); }
.forest circle.down { fill: var(--down-ink); } .forest circle.open { fill: var(--card); }
.chart { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .8rem;
  overflow-x: auto; }
.chart .still { display: block; max-width: 100%; height: auto; background: #fff; margin: 0 auto; }
.chart.drawn .still, .chart:not(.drawn) .live { display: none; }
.chart .live { display: block; width: fit-content; margin: 0 auto; padding: 0 !important; }
.picks { margin: .6rem 0; } .vega-bindings, .picks { display: flex; flex-wrap: wrap; gap: .5rem 1.2rem; }
.picks > *, .vega-bind, .vega-bind label { max-width: 100%; min-width: 0; }
.vega-bind-name { color: var(--soft); margin-right: .3rem; }
select, input[type=search] { font: inherit; color: var(--ink); background: var(--page); border: 1px solid var(--soft);
  border-radius: .35rem; padding: .25rem .5rem; max-width: 100%; }
.filter { display: block; margin: .8rem 0 .2rem; color: var(--soft); }
th button { font: inherit; color: inherit; background: none; border: 0; padding: 0; cursor: pointer; text-align:
  inherit;
  position: relative; } th button:hover { text-decoration: underline; }
th button::after { position: absolute; right: -.75em; top: 0; } th[aria-sort=descending] button::after { content: "↓"; }
th[aria-sort=ascending] button::after { content: "↑"; }
.claims { list-style: none; padding: 0; max-width: 52rem; }
.claims li { border-top: 1px solid var(--line); padding: .5rem 0; margin: 0; } .claims p { margin: .2rem 0;
  max-width: none; }
.badge { display: inline-block; border: 1px solid currentColor; border-radius: 1rem; padding: 0 .6rem; font-size:
  .85rem;
  font-weight: 600; margin-right: .4rem; color: var(--soft); }
.badge.yes { color: var(--up-ink); background: var(--up); } .badge.no { color: var(--down-ink); background:
  var(--down); }
dl.settings { display: grid; grid-template-columns: minmax(0, auto) minmax(0, 1fr); gap: .15rem 1.2rem;
  font-size: .9rem; margin: .5rem 0; }
dl.settings dt { color: var(--soft); overflow-wrap: anywhere; } dl.settings dd { margin: 0; overflow-wrap: anywhere; }
footer { margin-top: 3rem; padding-top: 1rem; padding-bottom: 2.5rem; border-top: 1px solid var(--line);
  color: var(--soft); font-size: .93rem; }
@media (max-width: 40rem) {
  h1 { font-size: 1.5rem; } main, header, footer { padding-left: .9rem; padding-right: .9rem; }
  .answer { padding: .3rem .9rem .5rem; } th, td { padding: .34rem .55rem; } table { font-size: .88rem; }
  dl.settings { grid-template-columns: 1fr; } dl.settings dd { margin-bottom: .4rem; }
  .answer .headline { font-size: 1.25rem; } .chart { padding: .5rem; } }
@media print {
  :root { --page: #fff; --card: #fff; --ink: #000; --soft: #444; --line: #bbb; }
  nav, .skip, .filter, .picks, .chart.drawn .live { display: none; } .chart.drawn .still { display: block; }
  .chart { border: 0; } th button::after { content: none; } html { font-size: 10pt; } .scroll { overflow: visible;
  border: 0; width: auto; }
  th[scope=row] { position: static; box-shadow: none; } table { font-size: 8pt; } th, td { padding: 2pt 4pt; }
  td.wide { min-width: 0; } tr, figure, .answer { break-inside: avoid; } h2, h3, caption { break-after: avoid; }
  td.up, td.down, td.flat, .note { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
@media (prefers-reduced-motion: reduce) { html { scroll-behavior: auto; } }
"""
