"""The answer in plain sentences, made from the rows of the tables and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from stilts.report.grid import ALL, BASELINE, ZERO_SHOT
from stilts.report.tables import OVERALL

Row = dict[str, str]
WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def question(source: str) -> str:
    """Return the question of every experiment. source: name of the source language."""
    return (
        f"Does training a multilingual encoder on a task in {source} first (intermediate training) raise the scores of "
        f"tasks that are then learnt in {source} too and evaluated in other languages, without any training there?"
    )


def answer(overall: Sequence[Row], targets: Sequence[Row], seeds: Sequence[int]) -> tuple[str, list[str]]:
    """Return (one leading sentence, further sentences) for one backbone under one budget.

    overall, targets: rows of the tables of that name, of that backbone and budget point.
    """
    mine = [r for r in overall if r["scope"] == OVERALL and r["average"] == ZERO_SHOT and r["recipe"] != BASELINE]
    known = [r for r in mine if r["difference"]]
    lost = [r["recipe"] for r in mine if not r["difference"]]
    heads = [r for r in targets if r["headline"] == "yes" and r["average"] == ZERO_SHOT and r["role"] == "recipe"]
    heads = [r for r in heads if r["difference"]]
    if not mine:
        return "This experiment compares no recipe with the baseline, so that the question has no answer here.", []
    if not known:
        lead = "No mean over all targets can be given: scores are missing (see “What is missing”)."
    else:
        lead = _lead(known)
    more = [_many(heads)] if heads else []
    if known:
        best = max(known, key=lambda r: float(r["difference"]))
        paper = [r for r in overall if (r["scope"], r["average"], r["recipe"]) == (OVERALL, ALL, best["recipe"])]
        if paper and paper[0]["difference"]:
            more.append(
                f"With the source language counted in, as the paper does, the largest mean difference "
                f"({best['recipe']}) is {signed(paper[0]['difference'])} points{spread(paper[0])}."
            )
    if lost and known:
        more.append(f"Left out, because scores are missing: {listed(lost)}.")
    return lead, more + limits(len(seeds), len(known) + len(heads))


def limits(seeds: int, comparisons: int) -> list[str]:
    """Return what cannot be said with so few seeds."""
    if seeds < 2:
        return ["There is one seed only: nothing can be said about how much of a difference is chance."]
    many, every = count(seeds), "both" if seeds == 2 else f"all {count(seeds)}"
    text = (
        f"What cannot be said: {many} seeds are too few for an interval or a test. The ± beside a difference is "
        f"the standard deviation of {many} paired values. Where nothing has an effect, {every} seeds still agree in "
        f"sign 1 time in {2 ** (seeds - 1)}"
    )
    return [text + (f", and there are {comparisons} comparisons here." if comparisons > 1 else ".")]


def _lead(rows: Sequence[Row]) -> str:
    groups = {1: [], -1: [], 0: []}
    for row in sorted(rows, key=lambda r: -float(r["difference"])):
        groups[always(row)].append(row)

    def names(group: Sequence[Row]) -> str:
        texts = [f"{r['recipe']} ({signed(r['difference'])}{spread(r)} points)" for r in group]
        return listed([texts[0], *(t.replace(" points)", ")") for t in texts[1:])])

    start = "In the other languages, averaged over all targets,"
    if int(rows[0]["seeds"]) < 2:
        words = {1: "higher with {}", -1: "lower with {}", 0: "the same with {}"}
        said = listed([words[k].format(names(group)) for k, group in groups.items() if group])
        return f"{start} the single seed scored {said} than without intermediate training."
    words = {
        1: "raised the score in every seed with {}",
        -1: ("lowered it" if groups[1] else "lowered the score") + " in every seed with {}",
        0: "made a difference whose sign changes with the seed with {}",
    }
    said = listed([words[k].format(names(group)) for k, group in groups.items() if group])
    return f"{start} intermediate training {said}."


def _many(rows: Sequence[Row]) -> str:
    """Say how many recipe x target pairs rose or fell, and which did most."""
    up, down = [r for r in rows if always(r) > 0], [r for r in rows if always(r) < 0]
    best, worst = (f(rows, key=lambda r: float(r["difference"])) for f in (max, min))
    mixed, every = len(rows) - len(up) - len(down), " in every seed" if int(rows[0]["seeds"]) > 1 else ""
    text = (
        f"Of {len(rows)} pairs of recipe and target, {count(len(up))} scored higher than the baseline{every}, "
        f"{count(len(down))} lower{every}{f', {count(mixed)} neither' if mixed else ''}. "
    )
    text += f"Largest rise: {best['target']} after {best['recipe']} ({signed(best['difference'])}{spread(best)}). "
    if float(worst["difference"]) < 0:
        text += (
            f"Largest fall: {worst['target']} after {worst['recipe']} ({signed(worst['difference'])}{spread(worst)})."
        )
    return text.strip()


def controls_say(rows: Sequence[Row]) -> list[str]:
    """Return which scores of the baseline in the other languages beat their controls, from table `controls`."""
    mine = [r for r in rows if (r["recipe"], r["headline"], r["average"]) == (BASELINE, "yes", ZERO_SHOT)]
    verdicts = {}
    for row in mine:
        verdicts.setdefault(row["target"], []).append(row["counts"])
    worst = {t: next(v for v in ("no", "unknown", "unclear", "yes") if v in found) for t, found in verdicts.items()}
    texts = {
        "yes": "Clearly above every control in the other languages, before any intermediate training: {}.",
        "unclear": "Above its controls, but not clearly: {}.",
        "no": "Not above a control, so that their scores show no transfer: {}.",
        "unknown": "Without a control or a score to judge by: {}.",
    }
    return [
        text.format(listed([t for t, v in worst.items() if v == k])) for k, text in texts.items() if k in worst.values()
    ]


def always(row: Row) -> int:
    """Return 1 or -1 when the paired difference has that sign in every seed, else 0."""
    if not row["difference"] or not float(row["difference"]):
        return 0
    if row["seeds_above"] == row["seeds"]:
        return 1
    # seeds_above does not count exact ties: all below needs a mean below zero too, which ties alone cannot give.
    return -1 if row["seeds_above"] == "0" and float(row["difference"]) < 0 else 0


def signed(value: str | float) -> str:
    """Return a difference with one decimal, its sign always shown, as `+1.2` or `−0.4`."""
    text = f"{float(value):+.1f}".replace("-", "−")
    return "0.0" if text[1:] == "0.0" else text


def spread(row: Row) -> str:
    """Return ` ± 1.2`, or nothing with fewer than two seeds."""
    return f" ± {float(row['difference_sd']):.1f}" if row["difference_sd"] else ""


def count(number: int) -> str:
    """Return a small number as a word."""
    return WORDS[number] if number < len(WORDS) else str(number)


def listed(names: Sequence[str]) -> str:
    """Return `a`, `a and b`, `a, b and c`."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]])) if names else ""
