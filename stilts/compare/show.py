"""A comparison as aligned text, Markdown and plain data, with the same numbers in each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any

from stilts.compare.difference import LEVEL, Cell, Comparison, Row
from stilts.compare.states import State
from stilts.metrics.measure import STANDARD

WIDTH, MOST, FEW = 120, 40, 12  # columns of a terminal; rows and lines that a person reads
Column = tuple[str, Callable[[Row], str]]


def signed(value: float) -> str:
    """Return a difference with two decimals and its sign; what rounds to zero has none."""
    text = f"{value:+.2f}"
    return "0.00" if text[1:] == "0.00" else text


def interval(row: Row) -> str:
    """Return the interval of a difference, or why there is none."""
    found = row.interval
    return f"[{signed(found[0])}, {signed(found[1])}]" if found else row.why_no_interval


NUMBERS: list[Column] = [
    ("A", lambda row: f"{row.a:.2f}"),
    ("B", lambda row: f"{row.b:.2f}"),
    ("B - A", lambda row: signed(row.difference)),
    ("95 % interval", interval),
    ("seeds", lambda row: str(len(row.pairs))),
]

NUMERIC = [title for title, _ in NUMBERS]


def score_name(cell: Cell) -> str:
    """Return target, protocol (where it is not the only one) and metric of a cell."""
    protocol = f"@{cell.protocol}" if cell.protocol not in ("", STANDARD) else ""
    return f"{cell.target}{protocol} {cell.metric}".strip()


def as_text(a: State, b: State, found: Comparison, settings: Sequence[str], everything: bool = False) -> str:
    """Return the comparison for a terminal; everything: unchanged rows and all long lists as well."""
    lines = [f"A: {a.label}", f"B: {b.label}", ""]
    lines += [*_settings(a, b, settings), ""]
    if any(row.changed for row in found.overall) or (everything and found.overall):
        lines += [f"Mean over {_targets(found.overall)}, headline scores:"]
        lines += [*aligned(*_table(found.overall, with_score=False)), ""]
    rows = found.rows if everything else [row for row in found.rows if row.changed]
    shown = rows if everything else rows[:MOST]
    lines += [_headline(found)]
    if shown:
        lines += [*_constants(shown), *aligned(*_table(shown))]
    if len(rows) > len(shown):
        lines += [f"  ... and {len(rows) - len(shown)} smaller changes (--all)"]
    rest = [f"  {line}" for line in _rest(found)]
    cut = rest if everything else rest[:FEW]
    more = [f"  ... and {len(rest) - len(cut)} more lines (--all)"] * (len(rest) > len(cut))
    return "\n".join([*lines, *([""] if rest else []), *cut, *more]).rstrip()


def as_markdown(a: State, b: State, found: Comparison, settings: Sequence[str], everything: bool = False) -> str:
    """Return the comparison as Markdown: every changed row, with `everything` the unchanged ones as well."""
    lines = ["# Comparison", "", f"- A: {a.label}", f"- B: {b.label}", "", "## Settings", ""]
    lines += [f"- `{line}`" for line in settings] or _settings(a, b, settings)
    if found.overall:
        lines += ["", f"## Mean over {_targets(found.overall)}", "", *piped(*_table(found.overall, with_score=False))]
    rows = [row for row in found.rows if row.changed or everything]
    lines += ["", "## Scores", "", _headline(found)]
    if rows:
        lines += ["", *(line.strip() for line in _constants(rows)), "", *piped(*_table(rows))]
    rest = _rest(found)
    return "\n".join([*lines, *(["", "## Left out", ""] if rest else []), *(f"- {line}" for line in rest)]) + "\n"


def as_data(a: State, b: State, found: Comparison, settings: Sequence[str]) -> dict[str, Any]:
    """Return the comparison as plain data: every row, changed or not."""
    return {
        "a": _state(a),
        "b": _state(b),
        "level": LEVEL,
        "settings": list(settings),
        "means_over_targets": [_row(row) for row in found.overall],
        "rows": [_row(row) for row in found.rows],
        "only_a": [cell._asdict() for cell in found.only_a],
        "only_b": [cell._asdict() for cell in found.only_b],
        "not_comparable": [cell._asdict() for cell in found.apart],
    }


def aligned(columns: Sequence[str], rows: Sequence[Sequence[str]], numbers: Collection[str] = NUMERIC) -> list[str]:
    """Return a table as aligned lines of at most 120 columns; the columns named in `numbers` stand to the right.

    Names too long for a line are cut in the middle.
    """
    wide = [max(len(line[k]) for line in (columns, *rows)) for k in range(len(columns))]
    right = [k for k, title in enumerate(columns) if title in numbers]
    names = [k for k in range(len(columns)) if k not in right]
    while sum(wide) + 2 * len(wide) > WIDTH and max((wide[k] for k in names), default=0) > 8:
        wide[max(names, key=wide.__getitem__)] -= 1
    lines = []
    for line in (columns, *rows):
        texts = [_cut(text, wide[k]) for k, text in enumerate(line)]
        lines.append("  ".join(t.rjust(wide[k]) if k in right else t.ljust(wide[k]) for k, t in enumerate(texts)))
    return [line.rstrip() for line in lines]


def _cut(text: str, width: int) -> str:
    if len(text) <= width:
        return text
    head = (width - 1) // 2
    return text[:head] + "…" + text[len(text) - (width - 1 - head) :]


def piped(columns: Sequence[str], rows: Sequence[Sequence[str]], numbers: Collection[str] = NUMERIC) -> list[str]:
    """Return a table as lines of Markdown; the columns named in `numbers` stand to the right."""
    rule = ["---:" if title in numbers else "---" for title in columns]
    return ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in (columns, rule, *rows)]


def _table(rows: Sequence[Row], with_score: bool = True) -> tuple[list[str], list[list[str]]]:
    """Return (columns, rows); what is the same in all rows of a long table is said once, by `_constants`."""
    columns: list[Column] = [("", lambda row: "*" if row.clear else ""), ("recipe", lambda row: row.cell.recipe)]
    columns += [("score", lambda row: score_name(row.cell))] if with_score else []
    columns += [(name.replace("_", " "), _field(name)) for name in _varying(rows) if name != "language" or with_score]
    if len({row.members for row in rows}) > 1:
        columns += [("targets", lambda row: str(len(row.members)))]
    columns += NUMBERS
    return [title for title, _ in columns], [[show(row) for _, show in columns] for row in rows]


def _field(name: str) -> Callable[[Row], str]:
    return lambda row: str(getattr(row.cell, name))


def _varying(rows: Iterable[Row]) -> list[str]:
    names = ("backbone", "budget_point", "language")
    return [name for name in names if len({getattr(row.cell, name) for row in rows}) > 1]


def _constants(rows: Sequence[Row]) -> list[str]:
    said = [f"{n.replace('_', ' ')} {getattr(rows[0].cell, n)}" for n in ("backbone", "budget_point")]
    same = [text for text, n in zip(said, ("backbone", "budget_point"), strict=True) if n not in _varying(rows)]
    return [f"All rows: {', '.join(same)}."] if same else []


def _headline(found: Comparison) -> str:
    changed = sum(row.changed for row in found.rows)
    if not found.rows:
        return "No score is in both."
    if not changed:
        return f"No score changed ({len(found.rows)} compared)."
    judged, clear = sum(row.interval is not None for row in found.rows), sum(row.clear for row in found.rows)
    text = f"{changed} of {len(found.rows)} scores changed, biggest first."
    if judged:
        chance = (1 - LEVEL) * judged
        text += f" *: the interval excludes 0 ({clear} of {judged}; about {chance:.0f} would by chance alone)."
    return text


def _settings(a: State, b: State, settings: Sequence[str]) -> list[str]:
    if not a.settings or not b.settings:
        lost = " and ".join(side for side, state in (("A", a), ("B", b)) if not state.settings)
        return [f"The settings of {lost} are not known (no tables beside the scores)."]
    return ["Changed settings (A -> B):", *(f"  {line}" for line in settings)] if settings else ["No setting differs."]


def _targets(rows: Sequence[Row]) -> str:
    sets = {row.members for row in rows}
    if len(sets) == 1:
        return f"the {len(rows[0].members)} targets of both ({', '.join(rows[0].members)})"
    return "the targets of both at each budget point"


def _rest(found: Comparison) -> list[str]:
    """Return what was left out, and why, grouped."""
    groups: dict[str, list[Cell]] = defaultdict(list)
    for row in found.rows:
        for reason in row.lacking:
            groups[reason].append(row.cell)
    lines = [f"left out: {reason} ({_cells(cells)})" for reason, cells in groups.items()]
    for title, cells in (("A", found.only_a), ("B", found.only_b)):
        recipes: dict[str, list[Cell]] = defaultdict(list)
        for cell in cells:
            recipes[cell.recipe].append(cell)
        lines += [f"only in {title}: {recipe}: {_cells(members)}" for recipe, members in recipes.items()]
    return lines + [f"not comparable, no common language or seed: {_cells(found.apart)}"] * bool(found.apart)


def _cells(cells: Sequence[Cell]) -> str:
    """Return the targets of some cells, and how many there are."""
    targets = sorted({cell.target for cell in cells})
    many = f", {len(cells)} scores" if len(cells) > len(targets) else ""
    return ", ".join(targets) + many


def _state(state: State) -> dict[str, Any]:
    about = dict(state.run.about) if state.run else None
    return {"label": state.label, "run": state.run.id if state.run else None, "about": about}


def _row(row: Row) -> dict[str, Any]:
    low, high = row.interval or (None, None)
    numbers = {"a": row.a, "b": row.b, "difference": row.difference, "low": low, "high": high}
    return {
        **row.cell._asdict(),
        **{name: None if value is None else round(value, 6) for name, value in numbers.items()},
        "seeds": sorted(row.pairs),
        "no_interval": row.why_no_interval,
        "excludes_0": row.clear,
        "changed": row.changed,
        "higher_is_better": row.better > 0,
        "languages": list(row.languages),
        "targets": list(row.members),
        "left_out": list(row.lacking),
    }
