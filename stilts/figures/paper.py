"""Tables for papers, as LaTeX (booktabs) and Markdown: scores, differences to the baseline, languages."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from stilts.budget.curves import OVERALL
from stilts.figures.source import Row, Source, minus, number, place, signed

LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"\textless{}", ">": r"\textgreater{}",
    "|": r"\textbar{}", "−": "$-$", "±": r"$\pm$", "–": "--",
}  # fmt: skip
WIDE = 108  # characters of this size, 4.3 points each, that a page of 6.5 inches holds
GAP = 3  # characters' room between columns


class Cell(NamedTuple):
    """A cell's text, and whether it stands out."""

    text: str
    bold: bool = False


class Paper(NamedTuple):
    """A table for a paper: name of its files, caption, heads of the columns, rows of cells."""

    name: str
    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]


def papers(source: Source) -> list[Paper]:
    """Return every table that the study has rows for."""
    languages = [_languages(source, target) for target in source.targets]
    return [paper for paper in (_scores(source), _differences(source), *languages) if paper.rows]


def write_paper(folder: Path, paper: Paper) -> None:
    """Write <name>.tex and <name>.md."""
    (folder / f"{paper.name}.tex").write_text(as_latex(paper), encoding="utf-8")
    (folder / f"{paper.name}.md").write_text(as_markdown(paper), encoding="utf-8")


def as_latex(paper: Paper) -> str:
    """Return a floating table; it needs the package booktabs. Columns that no page holds go into further parts."""
    lines = [r"\begin{table}", r"\centering", r"\small"]
    for columns, rows in _parts(paper):
        cells = [[f"\\textbf{{{latex(c.text)}}}" if c.bold else latex(c.text) for c in row] for row in rows]
        head, *body = [" & ".join(line) + r" \\" for line in [[latex(c) for c in columns], *cells]]
        form = "l" + "r" * (len(columns) - 1)
        lines += [
            f"\\begin{{tabular}}{{{form}}}",
            r"\toprule",
            head,
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
        ]
        lines += [r"\par\medskip"]
    return "\n".join(
        [*lines[:-1], f"\\caption{{{latex(paper.caption)}}}", f"\\label{{tab:{paper.name}}}", r"\end{table}", ""]
    )


def as_markdown(paper: Paper) -> str:
    """Return a table under its caption."""
    rows = [[f"**{_plain(c.text)}**" if c.bold else _plain(c.text) for c in row] for row in paper.rows]
    head = [[_plain(c) for c in paper.columns], ["---", *["---:"] * (len(paper.columns) - 1)]]
    return f"{_plain(paper.caption)}\n\n" + "".join(f"| {' | '.join(row)} |\n" for row in [*head, *rows])


def _parts(paper: Paper) -> Iterator[tuple[list[str], list[list[Cell]]]]:
    """Yield the first column with so many of the others as a page holds."""
    widths = [GAP + max(map(len, (name, *(row[k].text for row in paper.rows)))) for k, name in enumerate(paper.columns)]
    parts: list[list[int]] = [[0]]
    for k in range(1, len(widths)):
        if len(parts[-1]) > 1 and sum(widths[j] for j in (*parts[-1], k)) > WIDE:
            parts.append([0])
        parts[-1].append(k)
    for chosen in parts:
        yield [paper.columns[k] for k in chosen], [[row[k] for k in chosen] for row in paper.rows]


def latex(text: str) -> str:
    """Return text that LaTeX sets as it is."""
    return "".join(LATEX.get(character, character) for character in " ".join(text.split()))


def _plain(text: str) -> str:
    """Return text that Markdown shows as it is, within a cell."""
    return re.sub(r"([\\`*_\[\]<>|])", r"\\\1", " ".join(text.split()))


def _scores(source: Source) -> Paper:
    """Scores in the other languages: recipes by targets, with the mean over targets."""
    found = [r for r in source.rows("tables/targets.csv") if r["headline"] == "yes" and r["average"] == "zero-shot"]
    whole = [r for r in source.rows("tables/overall.csv") if r["scope"] == OVERALL and r["average"] == "zero-shot"]
    by = {(r["recipe"], r["target"]): r for r in _uncut(source, found)}
    by |= {(r["recipe"], OVERALL): r for r in _uncut(source, whole)}
    caption = (
        f"Mean over the languages other than {source.spec['source_language']} and over {len(source.spec['seeds'])} "
        "seeds, ± standard deviation over seeds; uncut encoder. Question answering: mean of F1 and exact match. "
        f"Bold: highest of a column.{_notice(source)}"
    )
    return _grid(source, "table_scores", caption, source.recipes, by, _score)


def _differences(source: Source) -> Paper:
    """Paired differences to the baseline at the largest budget, with their intervals."""
    found = [r for r in source.rows("claims/claims.csv") if r["difference"] and not r["budget"].startswith("window")]
    largest = max((float(r["budget"]) for r in found), default=0.0)
    by = {(r["recipe"], r["target"]): r for r in found if float(r["budget"]) == largest}
    caption = (
        f"Paired difference to no intermediate training in the other languages, in points, at "
        f"{source.budget_name(str(largest))}, with its {source.level} interval. "
        f"Bold: holds after Holm's correction over targets and budgets.{_notice(source)}"
    )
    alpha = float(source.how["alpha"])

    def cell(row: Row, _: Iterable[Row]) -> Cell:
        value, low, high = (number(row[k]) for k in ("difference", "low", "high"))
        interval = "" if low is None or high is None else f" [{minus(low)}, {minus(high)}]"
        return Cell(signed(value or 0.0) + interval, bool(row["p_holm"]) and float(row["p_holm"]) < alpha)

    return _grid(source, "table_differences", caption, [r for r in source.recipes if r != "none"], by, cell)


def _languages(source: Source, target: str) -> Paper:
    """Scores of every language of a target, a column for each recipe."""
    headline = source.headlines()
    found = [
        r
        for r in _uncut(source, [r for r in source.rows("tables/languages.csv") if r["target"] == target])
        if r["mean"] and r["role"] == "recipe" and headline.get((*place(r), target)) == r["protocol"]
    ]
    metric = found[0]["metric"] if found else ""
    by = {(r["language"], r["recipe"]): r for r in found if r["metric"] == metric}
    names = {r["language"]: r["name"] for r in found}
    recipes = [r for r in source.recipes if any(key[1] == r for key in by)]
    rows = []
    for language, name in names.items():
        here = [by[language, r] for r in recipes if (language, r) in by]
        cells = [_score(by[language, r], here) if (language, r) in by else Cell("–") for r in recipes]
        rows.append([Cell(language if name in ("", language) else f"{name} ({language})"), *cells])
    caption = (
        f"{target} ({metric.replace('_', ' ')}) by language: mean over seeds ± standard deviation, uncut encoder. "
        f"Bold: highest of a row.{_notice(source)}"
    )
    return Paper(f"table_languages_{target}", caption, ["language", *recipes], rows)


def _uncut(source: Source, rows: list[Row]) -> list[Row]:
    """Return the rows of the first backbone and budget point that have any value."""
    first = next((p for p in source.points if any(place(r) == p and r["mean"] for r in rows)), None)
    return [r for r in rows if place(r) == first]


def _grid(source: Source, name: str, caption: str, recipes: list[str], by: dict, cell) -> Paper:
    targets = [t for t in (*source.targets, OVERALL) if any(key[1] == t for key in by)]
    columns = {t: [by[r, t] for r in recipes if (r, t) in by] for t in targets}
    shown = [r for r in recipes if any((r, t) in by for t in targets)]
    rows = [[Cell(r), *(cell(by[r, t], columns[t]) if (r, t) in by else Cell("–") for t in targets)] for r in shown]
    return Paper(name, caption, ["recipe", *("mean" if t == OVERALL else t for t in targets)], rows)


def _score(row: Row, rivals: Iterable[Row]) -> Cell:
    """Return mean and deviation; the highest of its rivals stands out. A missing mean is a dash."""
    if not row["mean"]:
        return Cell("–")
    text = f"{float(row['mean']):.1f}" + (f" ± {float(row['sd']):.1f}" if row["sd"] else "")
    return Cell(text, float(row["mean"]) == max(float(r["mean"]) for r in rivals if r["mean"]))


def _notice(source: Source) -> str:
    return "".join(f" {line}" for line in source.subtitle)
