"""Two lists of scores side by side: means, pairing, intervals, what is left out, and the forms of showing it."""

from __future__ import annotations

import math
import re

import pytest

from stilts.compare.difference import ALL_TARGETS, Cell, compare_scores
from stilts.compare.settings import changes
from stilts.compare.show import WIDTH, aligned, as_data, as_markdown, as_text
from stilts.compare.states import State
from stilts.metrics.table import Score
from tests.report_case import scores, spec


def row(value, recipe="mnli", target="pawsx", language="qab", seed=1, **more):
    fields = {"protocol": "standard", "budget_point": "full", "metric": "accuracy", **more}
    return Score(
        "x", "mini", recipe, target, fields["protocol"], language, fields["budget_point"], seed, fields["metric"],
        value, 100, True,
    )  # fmt: skip


def cell(**more):
    return Cell(
        **{
            "backbone": "mini", "recipe": "mnli", "target": "pawsx", "protocol": "standard", "budget_point": "full",
            "metric": "accuracy", **more,
        }
    )  # fmt: skip


def state(label, rows):
    return State(label, tuple(rows), label, {"a": 1}, {})


def by_seed(values, language="qab"):
    return [row(value, seed=seed, language=language) for seed, value in enumerate(values, 1)]


def test_means_and_interval_worked_by_hand():
    # Differences 1, 2, 3: mean 2, sd 1, half width 4.3027 / sqrt 3.
    found = compare_scores(by_seed([50, 60, 70]), by_seed([51, 62, 73]))
    (only,) = found.rows
    assert only.cell == cell()
    assert (only.a, only.b, only.difference, sorted(only.pairs)) == (60, 62, 2, [1, 2, 3])
    assert only.interval == pytest.approx((2 - 2.48414, 2 + 2.48414), abs=1e-4)
    assert only.changed
    assert not only.clear
    assert compare_scores(by_seed([50, 60, 70]), by_seed([52, 62.1, 71.9])).rows[0].clear


def test_seeds_are_paired_and_not_merely_averaged():
    """Both sides spread by 20 points; the differences do not: paired they are clear, unpaired they would not be."""
    (only,) = compare_scores(by_seed([40, 60, 80]), by_seed([41, 61.1, 80.9])).rows
    low, high = only.interval
    assert low > 0
    assert high < 2


def test_the_order_of_rows_changes_nothing():
    a, b = by_seed([1, 2, 3]) + by_seed([4, 5, 6], "qac"), by_seed([2, 4, 6]) + by_seed([8, 10, 12], "qac")
    assert compare_scores(a[::-1], b) == compare_scores(a, b[::-1])


@pytest.mark.parametrize(
    ("a", "b", "reason", "changed"),
    [
        ([50], [52], "one seed", True),
        ([50, 60], [52, 62], "equal in every seed", True),
        ([5, 6], [5, 6], "no change", False),
    ],
)
def test_no_interval_says_why(a, b, reason, changed):
    (only,) = compare_scores(by_seed(a), by_seed(b)).rows
    assert only.interval is None
    assert not only.clear
    assert only.why_no_interval == reason
    assert only.changed is changed


def test_without_a_common_seed_there_are_means_and_no_pairs():
    (only,) = compare_scores(by_seed([50]), [row(60, seed=7), row(62, seed=8)]).rows
    assert (only.a, only.b, only.pairs, only.why_no_interval, only.changed) == (50, 61, {}, "no shared seed", True)
    assert set(only.lacking) == {"seed 1 only in A", "seed 7 8 only in B"}


def test_a_language_of_one_side_is_named_and_in_neither_mean():
    a = [row(50), row(90, language="qaa"), row(10, language="qad")]
    b = [row(52), row(92, language="qaa"), row(99, language="qae")]
    (only,) = compare_scores(a, b).rows
    assert (only.a, only.b) == (70, 72)
    assert only.languages == ("qaa", "qab")
    assert set(only.lacking) == {"qad only in A", "qae only in B"}
    (single, *_) = compare_scores(a, b, by_language=True).rows
    assert single.cell.language in ("qaa", "qab")
    assert compare_scores(a, b, by_language=True).only_a == [cell(language="qad")]


def test_a_seed_with_gaps_is_left_out():
    a = [row(50), row(60, language="qac"), row(70, seed=2), row(math.nan, language="qac", seed=2)]
    b = [row(51), row(61, language="qac"), row(71, seed=2), row(81, language="qac", seed=2)]
    (only,) = compare_scores(a, b).rows
    assert (only.a, only.b, sorted(only.pairs)) == (55, 56, [1])
    assert "seed 2 of A lacks languages" in only.lacking


def test_rows_of_one_side_are_listed_and_what_shares_nothing_is_apart():
    a = [row(50), row(40, target="udpos"), row(1, target="xcopa", language="qaa")]
    b = [row(50), row(40, recipe="squad1"), row(1, target="xcopa", language="qac")]
    found = compare_scores(a, b)
    assert [r.cell for r in found.rows] == [cell()]
    assert found.only_a == [cell(target="udpos")]
    assert found.only_b == [cell(recipe="squad1")]
    assert found.apart == [cell(target="xcopa")]
    text = as_text(state("a", a), state("b", b), found, [])
    assert "only in A: mnli: udpos" in text
    assert "only in B: squad1: pawsx" in text
    assert "no common language or seed: xcopa" in text


def test_the_biggest_change_comes_first_and_the_unchanged_only_on_request():
    a = [row(50), row(50, target="udpos"), row(50, target="xcopa")]
    b = [row(51), row(45, target="udpos"), row(50, target="xcopa")]
    found = compare_scores(a, b)
    assert [r.cell.target for r in found.rows] == ["udpos", "pawsx", "xcopa"]
    assert "xcopa" not in as_text(state("a", a), state("b", b), found, [])
    assert "xcopa" in as_text(state("a", a), state("b", b), found, [], everything=True)


def test_the_mean_over_targets_is_the_tables_own():
    """Against the grid that makes the tables: question answering and retrieval have several scores a target."""
    from stilts.report.grid import ALL, Arm, ScoreGrid

    better = [s._replace(value=s.value + (3 if s.target == "xquad" else 1) * s.seed) for s in scores()]
    found = compare_scores(scores(), better, grid=spec())
    sides = [ScoreGrid(spec(), rows) for rows in (scores(), better)]
    assert {r.cell.recipe for r in found.overall} == {"none", "mnli", "squad1"}
    for mean in found.overall:
        arm = Arm("mini", "full", mean.cell.recipe)
        own = [grid.over_targets(arm, grid.tasks, ALL).by_seed for grid in sides]
        assert mean.cell.target == ALL_TARGETS
        assert mean.members == ("pawsx", "tatoeba", "udpos", "xcopa", "xquad")
        for seed, pair in mean.pairs.items():
            assert pair == pytest.approx((own[0][seed], own[1][seed]))


def test_text_markdown_and_data_hold_the_same_numbers():
    a = scores()
    b = [s._replace(value=s.value + 0.37 * s.seed * (s.recipe == "mnli")) for s in a]
    found, sides = compare_scores(a, b, grid=spec()), (state("first", a), state("second", b))
    text, page = (show(*sides, found, ["seeds 1 -> 2"], True) for show in (as_text, as_markdown))
    data = as_data(*sides, found, ["seeds 1 -> 2"])
    assert len(data["rows"]) == len(found.rows)
    lines = [re.split(r" {2,}", line.strip("* ")) for line in text.splitlines() if "  " in line]
    cells = [[c.strip() for c in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("| ")]
    for entry in data["rows"]:
        name = (
            f"{entry['target']}{'' if entry['protocol'] == 'standard' else '@' + entry['protocol']} {entry['metric']}"
        )
        numbers = [f"{entry['a']:.2f}", f"{entry['b']:.2f}"]
        assert any(line[:2] == [entry["recipe"], name] and line[2:4] == numbers for line in lines), entry
        assert any(line[1:5] == [entry["recipe"], name, *numbers] for line in cells), entry
    assert "seeds 1 -> 2" in text
    assert "`seeds 1 -> 2`" in page


def test_no_line_is_longer_than_a_terminal():
    name = "a-recipe-whose-name-goes-on-and-on-and-on-until-nobody-reads-it-any-more"
    a, b = ([row(v, recipe=name, protocol="p" * 60, seed=s) for s in (1, 2)] for v in (1.0, 2.0))
    text = as_text(state("a", a), state("b", b), compare_scores(a, b), [])
    assert max(map(len, text.splitlines())) <= WIDTH
    assert "…" in text
    assert aligned(["x", "A"], [["long", "1.00"]], ["A"]) == ["x        A", "long  1.00"]


def test_changed_settings_are_named_by_their_path():
    old = {"grid": {"seeds": [1, 2], "recipes": ["none"]}, "target": {"defaults": {"epochs": 1}}}
    new = {"grid": {"seeds": [1, 2, 3], "recipes": ["none"]}, "target": {"defaults": {"epochs": 2}}}
    new["tasks"] = {"pawsx": {str(k): k for k in range(9)}}
    assert changes(old, new) == [
        "grid.seeds + 3",
        "target.defaults.epochs 1 -> 2",
        "tasks: only in B (9 settings)",
    ]
    assert changes(old, old) == []
