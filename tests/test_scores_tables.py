"""Averages, differences, gaps and controls, by hand and against pandas."""

from __future__ import annotations

import json
import math
import random
import re
from argparse import Namespace
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_case import BOOST, KINDS, scores, spec

from scripts import summarise
from stilts.errors import UserError
from stilts.metrics.table import COLUMNS, read_scores, write_scores
from stilts.provenance.job import run_job
from stilts.provenance.manifest import write_manifest
from stilts.report.grid import ScoreGrid
from stilts.report.tables import all_tables, number


def tables(rows, **more):
    made = all_tables(ScoreGrid(spec(**more), rows), spec()["language_names"])
    return {name: pd.DataFrame(r, columns=c).apply(_numeric) for name, (c, r) in made.items()}


def _numeric(column):
    if column.name == "missing":
        return column
    try:
        return pd.to_numeric(column)
    except (ValueError, TypeError):
        return column


def pick(frame, **where):
    for column, wanted in where.items():
        frame = frame[frame[column] == wanted]
    return frame


def one(frame, **where):
    frame = pick(frame, **where)
    assert len(frame) == 1, (where, frame)
    return frame.iloc[0]


def test_question_answering_is_the_mean_of_f1_and_exact_match_over_all_languages():
    rows = scores()
    frame = tables(rows)["targets"]
    found = one(frame, recipe="mnli", target="xquad", average="all")
    by_seed = {}
    for seed in (1, 2):
        mine = [s for s in rows if (s.recipe, s.target, s.seed) == ("mnli", "xquad", seed)]
        f1, em = ([s.value for s in mine if s.metric == m] for m in ("f1", "exact_match"))
        by_seed[seed] = (sum(f1) / 3 + sum(em) / 3) / 2
    assert found["mean"] == pytest.approx((by_seed[1] + by_seed[2]) / 2, abs=1e-4)
    assert found["sd"] == pytest.approx(abs(by_seed[1] - by_seed[2]) / math.sqrt(2), abs=1e-4)
    # mnli gives 4 points at seed 1 and 6 at seed 2: paired difference 5, sd sqrt(2).
    assert (found["difference"], found["difference_sd"]) == (5.0, pytest.approx(math.sqrt(2), abs=1e-4))
    assert found["seeds_above"] == 2
    assert found["missing"] == ""


def test_every_mean_agrees_with_pandas():
    rows = scores(controls=False)
    found = tables(rows)
    frame = pd.DataFrame(rows)
    head = {t: "xtreme-f1" if t == "udpos" else "layer2-mean" if t == "tatoeba" else "standard" for t in KINDS}
    frame = frame[frame["protocol"] == frame["target"].map(head)]
    for average, chosen in (("all", frame), ("zero-shot", frame[frame["language"] != "qaa"])):
        by_seed = chosen.groupby(["recipe", "target", "seed"])["value"].mean().groupby(["recipe", "seed"]).mean()
        for recipe in BOOST:
            ours = one(found["overall"], recipe=recipe, scope="overall", average=average)
            assert ours["mean"] == pytest.approx(by_seed[recipe].mean(), abs=1e-3)
            assert ours["sd"] == pytest.approx(by_seed[recipe].std(ddof=1), abs=1e-3)
            assert ours["targets"] == " ".join(KINDS)
    classes = one(found["overall"], recipe="squad1", scope="classification", average="all")
    members = [one(found["targets"], recipe="squad1", target=t, average="all") for t in ("pawsx", "xcopa")]
    assert classes["mean"] == pytest.approx(sum(m["mean"] for m in members) / 2, abs=1e-4)
    wide = one(found["target_x_recipe"], target="overall", average="all")
    assert wide["squad1 - none"] == pytest.approx(wide["squad1"] - wide["none"], abs=1e-4)


def test_source_language_alone_and_without_it():
    frame = tables(scores())["targets"]
    every, zero, source = (
        one(frame, recipe="none", target="pawsx", average=a)["mean"] for a in ("all", "zero-shot", "source")
    )
    assert every == pytest.approx((2 * zero + source) / 3, abs=1e-4)
    assert source > zero
    assert pick(frame, target="tatoeba", average="source").empty  # the source language is not looked for in itself


def test_what_is_missing_is_named_and_never_averaged():
    rows = [
        s for s in scores() if not (s.recipe == "mnli" and s.target == "pawsx" and s.seed == 2 and s.language == "qac")
    ]
    found = tables(rows)
    place = one(found["targets"], recipe="mnli", target="pawsx", average="all")
    assert (place["seeds"], place["missing"]) == (1, "seed 2: qac (no score)")
    assert math.isnan(place["mean"])
    assert math.isnan(place["difference"])
    # Every mean above it is gone too, and says why; other groups, targets and recipes stand.
    for scope, gone in (("classification", True), ("overall", True), ("qa", False)):
        row = one(found["overall"], recipe="mnli", scope=scope, average="all")
        assert math.isnan(row["mean"]) == gone
        assert ("pawsx seed 2: qac (no score)" in row["missing"]) == gone
    assert not math.isnan(one(found["targets"], recipe="mnli", target="pawsx", average="source")["mean"])
    assert not math.isnan(one(found["overall"], recipe="squad1", scope="overall", average="all")["mean"])
    listed = found["missing"].to_dict("records")
    assert [(r["recipe"], r["language"], r["seed"], r["problem"]) for r in listed] == [("mnli", "qac", 2, "no score")]


def test_nan_is_a_gap_and_a_whole_target_is_one_line():
    rows = [s for s in scores() if not (s.recipe == "none" and s.target == "udpos" and s.seed == 1)]
    spoiled = next(i for i, s in enumerate(rows) if (s.recipe, s.target, s.language) == ("squad1", "xcopa", "qab"))
    rows[spoiled] = rows[spoiled]._replace(value=math.nan)
    found = tables(rows)
    listed = found["missing"][["recipe", "target", "language", "problem"]].to_numpy().tolist()
    assert sorted(listed) == [["none", "udpos", "all", "no score at all"], ["squad1", "xcopa", "qab", "not a number"]]
    # The baseline's gap takes the differences of the others, not their means.
    row = one(found["targets"], recipe="squad1", target="udpos", protocol="xtreme-f1", average="all")
    assert not math.isnan(row["mean"])
    assert math.isnan(row["difference"])
    assert row["missing"] == "none seed 1: qaa, qab, qac (no score)"


def test_without_a_baseline_there_is_no_difference():
    found = tables(scores(recipes=("mnli",)), recipes=["mnli"])
    row = one(found["targets"], recipe="mnli", target="pawsx", average="all")
    assert math.isnan(row["difference"])
    assert row["missing"] == "no recipe `none` to compare with"


def test_each_target_may_have_its_own_budget_points():
    points = {t: ["full"] for t in KINDS} | {"pawsx": ["full", "d2"]}
    rows = scores()
    rows += [s._replace(budget_point="d2", value=s.value - 7) for s in rows if s.target == "pawsx"]
    found = tables(rows, budget_points=points)
    assert found["missing"].empty
    less, full = (
        one(found["overall"], recipe="mnli", scope="overall", average="all", budget_point=p) for p in ("d2", "full")
    )
    assert (less["targets"], full["targets"]) == ("pawsx", " ".join(KINDS))
    with pytest.raises(UserError, match="the target's budget points are full"):
        tables(rows)


def test_one_seed_has_no_spread():
    frame = tables(scores(seeds=(1,)), seeds=[1])["targets"]
    assert pick(frame, role="recipe")["mean"].notna().all()
    assert frame["sd"].isna().all()


def test_controls_decide_what_counts():
    rows = scores()
    rows = [s._replace(value=20.4) if (s.recipe, s.target) == ("none", "xcopa") else s for s in rows]
    frame = tables(rows)["controls"]
    good = one(frame, recipe="none", target="xquad", average="zero-shot", control="random-init")
    assert (good["control_score"], good["counts"]) == (20.5, "yes")
    share = (good["score"] / 100 * 200 + 2) / 204
    chance = (20.5 / 100 * 200 + 2) / 204
    noise = 2 * 100 * math.sqrt(share * (1 - share) / 204 + chance * (1 - chance) / 204)
    assert good["noise"] == pytest.approx(noise, abs=1e-3)
    assert one(frame, recipe="none", target="xcopa", average="zero-shot", control="random-init")["counts"] == "no"
    assert one(frame, recipe="none", target="xcopa", average="qac", control="random-init")["counts"] == "unclear"
    assert set(pick(frame, target="pawsx")["control"]) == {"random-init", "majority"}
    bare = tables(scores(controls=False))["controls"]
    assert set(bare["counts"]) == {"unknown"}


def test_a_score_beaten_in_one_seed_is_unclear():
    rows = scores(targets=("pawsx",))
    rows = [s._replace(value=15.0 if s.seed == 1 else 95.0) if s.recipe == "none" else s for s in rows]
    frame = tables(rows, targets=spec()["targets"][:1])["controls"]
    assert one(frame, recipe="none", average="all", control="random-init")["counts"] == "unclear"


def test_equal_scores_are_neither_above_nor_below():
    # Three sums of the same three numbers in another order differ in their last bit.
    parts = {"qaa": (0.1, 0.3, 0.2), "qab": (0.2, 0.1, 0.3), "qac": (0.3, 0.2, 0.1)}
    rows = [
        s._replace(value=parts[s.language][i])
        for s in scores(targets=("pawsx",))
        for i in [list(BOOST).index(s.recipe) if s.recipe in BOOST else 0]
    ]
    found = tables(rows, targets=spec()["targets"][:1])
    assert set(pick(found["targets"], role="recipe", recipe="mnli", average="all")["seeds_above"]) == {0}
    assert set(pick(found["controls"], average="all")["counts"]) == {"no"}


def test_layers_of_retrieval():
    frame = tables(scores())["retrieval_layers"]
    mine = pick(frame, recipe="squad1")
    assert mine["layer"].tolist() == [0, 1, 2]
    assert mine["headline"].tolist() == ["no", "no", "yes"]
    assert mine["mean"].is_monotonic_increasing
    assert set(frame["role"]) == {"recipe", "control"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: [*s, s[0]._replace(value=1.0)], "two scores of none > pawsx@standard, qaa"),
        (lambda s: [*s, s[0]._replace(recipe="qqp")], "recipe 'qqp' is not part of experiment 'x'"),
        (lambda s: [*s, s[0]._replace(experiment="y")], "experiment 'y' is not part"),
        (lambda s: [*s, s[0]._replace(language="qaz")], "the task's languages are qaa, qab, qac"),
        (lambda s: [*s, s[0]._replace(seed=9)], "the seeds of the experiment are 1, 2"),
        (lambda s: [s[0], s[0]._replace(n=199, recipe="mnli")], "n is 200, but 199 for mnli"),
    ],
)
def test_what_does_not_belong_is_an_error(change, message):
    rows = sorted(scores(), key=lambda s: s.recipe != "none")
    with pytest.raises(UserError, match=re.escape(message)):
        ScoreGrid(spec(), change(rows))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_order_of_the_rows_does_not_matter(seed):
    rows = scores(targets=("xquad", "tatoeba"))
    mixed = rows.copy()
    random.Random(seed).shuffle(mixed)
    kept = spec(targets=[t for t in spec()["targets"] if t["task"] in ("xquad", "tatoeba")])
    assert all_tables(ScoreGrid(kept, rows), {}) == all_tables(ScoreGrid(kept, mixed), {})


def test_scores_file_round_trip_and_faults(tmp_path):
    path = tmp_path / "scores.csv"
    rows = [s._replace(value=round(s.value, 6)) for s in scores()]
    write_scores(path, reversed(rows))
    assert read_scores(path) == sorted(rows, key=lambda s: s.key)
    text = path.read_text()
    path.write_text(text.replace("true", "perhaps", 1))
    with pytest.raises(UserError, match="line 2: not a score row"):
        read_scores(path)
    path.write_text(text.replace("seed", "sead", 1))
    with pytest.raises(UserError, match="its columns are not experiment"):
        read_scores(path)


def test_every_column_is_explained():
    text = (Path(__file__).parents[1] / "docs" / "results.md").read_text(encoding="utf-8")
    made = all_tables(ScoreGrid(spec(), scores()), {})
    for name, (columns, _) in made.items():
        assert f"`{name}.csv`" in text
        if name != "target_x_recipe":
            assert [c for c in columns if not re.search(rf"\b{c}\b", text)] == []
    assert [c for c in COLUMNS if f"| {c} |" not in text] == []


def test_numbers_are_written_without_noise():
    assert [number(v) for v in (None, -0.0, 1e-15, 100 / 3, -2.0, 99.9999999)] == ["", "0", "0", "33.3333", "-2", "100"]


def lay_out(rows, root):
    """Write every row where the workflow would, one file a cell of the grid; return the grid."""
    (backbone,) = {row.backbone for row in rows}
    grid = {"backbones": [backbone], "control_seeds": [1], "budget_points": {t: ["full"] for t in KINDS}}
    for manifest in summarise.score_files(spec(**grid), Namespace(scores=root)):
        recipe, target, _, seed = manifest.parent.parts[-4:]
        manifest.parent.mkdir(parents=True, exist_ok=True)
        here = [r for r in rows if (r.target, f"s{r.seed}") == (target, seed)]
        own = [r for r in here if r.recipe == recipe or (recipe == "none" and r.recipe in ("majority", "type-chance"))]
        write_scores(manifest.parent / "scores.csv", own)
        write_manifest(manifest.parent)
    return grid


def test_job_reads_the_grid_and_nothing_else(tmp_path, capsys):
    out = tmp_path / "my results" / "tables" / "manifest.json"
    copy, root = tmp_path / "my results" / "scores.csv", tmp_path / "my results" / "scores"
    grid = lay_out(scores(), root)

    def run():
        argv = ["--spec", json.dumps(spec(**grid)), "--output", str(out), "--scores-csv", str(copy)]
        return run_job(
            summarise.work,
            {"scores": ""},
            [*argv, "--scores", str(root)],
            reads=summarise.score_files,
            copies={"scores-csv": "scores.csv"},
        )

    def written():
        return {p.name: p.read_bytes() for p in out.parent.iterdir() if p.name != "run.json"}

    assert run() == 0
    first = written()
    assert copy.read_bytes() == first["scores.csv"]
    assert copy.read_text().splitlines()[0] == ",".join(COLUMNS)
    assert copy.read_text().count("\n") == len(scores()) + 1
    # A file that no arm of the grid owns is not picked up.
    stray = root / "other" / "none" / "pawsx" / "full" / "s1"
    stray.mkdir(parents=True)
    write_scores(stray / "scores.csv", scores(recipes=("none",)))
    write_manifest(stray)
    assert run() == 0
    assert written() == first
    # A missing file is one message; what was there stays.
    (next(root.glob("*/none/pawsx/full/s2")) / "manifest.json").unlink()
    capsys.readouterr()
    assert run() == 2
    assert "is missing" in capsys.readouterr().err
    assert written() == first
    assert not Path(f"{out.parent}.part").exists()
