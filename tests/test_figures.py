"""Figures: what is drawn is what the tables say, the files are the same each time, and large studies stay small."""

from __future__ import annotations

import csv
import json
import re
import shutil
from argparse import Namespace
from collections import defaultdict
from statistics import fmean
from xml.etree import ElementTree

import altair
import pytest

from scripts import figures as script
from stilts.errors import UserError
from stilts.figures.draw import write_figures
from stilts.figures.paper import Cell, Paper, as_latex, as_markdown
from stilts.figures.source import Source
from stilts.figures.training_curves import training_curves
from stilts.metrics.table import write_csv

NAMES = [
    "score_at_budget", "heatmap", "per_language", "retrieval_by_layer", "gain_vs_training_cost", "pareto",
    "training_curves",
]  # fmt: skip


def read(path):
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def study(finished):
    return finished / "results" / "tiny"


@pytest.fixture(scope="module")
def drawn(study):
    return {e["name"]: e for e in json.loads((study / "figures/index.json").read_text(encoding="utf-8"))}


def spec_at(study, name):
    return json.loads((study / f"figures/{name}.json").read_text(encoding="utf-8"))


def test_every_figure_is_there_in_every_form_and_says_that_it_is_a_stand_in(study, drawn):
    assert list(drawn) == NAMES
    for name, entry in drawn.items():
        assert "files" in entry, f"{name}: {entry}"
        assert all(entry[k] for k in ("caption", "description", "title"))
        spec = spec_at(study, name)
        altair.Chart.from_dict(spec, validate=True)  # Vega-Lite's own schema
        assert any("Stand-in" in line for line in spec["title"]["subtitle"])
        assert spec["description"] == entry["description"]
        svg = ElementTree.parse(study / "figures" / entry["files"]["svg"]).getroot()
        words = " ".join(svg.itertext())
        assert all(said in words for said in ("Stand-in", entry["title"]))
        for choice in spec["params"]:  # on paper nobody can choose
            bind = choice["bind"]
            shown = bind.get("labels", bind["options"])[bind["options"].index(choice["value"])]
            assert f"{bind['name'].strip().capitalize()}: {shown}" in words
        png = (study / "figures" / entry["files"]["png"]).read_bytes()
        assert png[:8] == b"\x89PNG\r\n\x1a\n"
        width = int.from_bytes(png[16:20], "big")
        assert 1400 < width < 2100, "about 6.5 inches of 300 dots"


def test_plotted_rows_are_rows_of_the_tables(study, drawn):
    seen = 0
    for name in drawn:
        for row in read(study / f"figures/{name}.csv"):
            if row["line"]:
                lines = (study / row["table"]).read_text(encoding="utf-8").splitlines()
                there = dict(
                    zip(next(csv.reader([lines[0]])), next(csv.reader([lines[int(row["line"]) - 1]])), strict=True)
                )
                for key in ("recipe", "target", "language", "budget", "difference", "low", "mean", "score"):
                    if key in row and key in there and not (key in ("low", "budget") and name == "score_at_budget"):
                        same = row[key] == there[key] or float(row[key]) == pytest.approx(float(there[key]), rel=1e-5)
                        assert same, (name, key, row, there)
                        seen += 1
    assert seen > 100


def test_the_heat_map_shows_differences_intervals_and_what_holds(study):
    spec, claims = spec_at(study, "heatmap"), read(study / "claims/claims.csv")
    cells = {(c["recipe"], c["target"], c["budget"]): c for c in spec["data"]["values"]}
    assert len(cells) == len(claims)
    for row in claims:
        target = "mean of all targets" if row["target"] == "overall" else row["target"]
        cell = cells[row["recipe"], target, row["budget"]]
        assert cell["holds"] == (bool(row["p_holm"]) and float(row["p_holm"]) < 0.05)
        if row["difference"]:
            assert abs(float(cell["text"].replace("−", "-")) - float(row["difference"])) <= 0.0501


def test_a_line_of_scores_is_the_mean_over_seeds_and_its_band_their_range(study):
    """Against a table made by hand: A(B) of every seed is the value of its last step at or below B."""
    curves = defaultdict(list)
    for r in read(study / "curves/curves.csv"):
        if r["value"]:
            name = {"zero-shot": "other languages", "qaa": "source language"}.get(r["language"], r["language"])
            curves[r["recipe"], r["target"], name, r["seed"]].append((float(r["budget"]), float(r["value"])))
    checked, ends = set(), {}
    for point in spec_at(study, "score_at_budget")["datasets"]["curves"]:
        if point["target"] == "overall":
            continue
        found = []
        for seed in ("1", "2"):
            line = sorted(curves[point["recipe"], point["target"], point["group"], seed])
            steps = [s for s in line if s[0] <= point["budget"] * (1 + 1e-5)]
            found.append(steps[-1][1])
        assert point["score"] == pytest.approx(fmean(found), rel=1e-5)
        assert (point["low"], point["high"]) == (pytest.approx(min(found)), pytest.approx(max(found)))
        checked.add((point["target"], point["group"]))
        ends[point["recipe"], point["target"], point["group"]] = point.get("end", False)
    assert all(ends.values()), "the last step of a line is drawn too"
    assert {group for target, group in checked if target == "xquad"} == {
        "other languages",
        "source language",
        "qab",
        "qad",
    }


def test_a_training_curve_is_the_mean_of_what_was_logged(study):
    cells = spec_at(study, "training_curves")["data"]["values"]
    whole = [c for c in cells if c["model"] == "xquad, all layers" and c["recipe"] == "multi"]
    logged = [
        json.loads(line)
        for s in (1, 2)
        for line in (study / f"models/target/mini/multi/xquad/dfull/s{s}/history.jsonl").read_text().splitlines()
    ]
    losses = defaultdict(list)
    for row in logged:
        if "loss" in row:
            losses[row["step"]].append(row["loss"])
    shown = {c["step"]: c["value"] for c in whole if c["what"] == "training loss"}
    assert len(losses) <= 40, "each step is a point of its own here"
    assert shown == {step: pytest.approx(fmean(values), rel=1e-5) for step, values in losses.items()}
    assert any(c["what"] == "dev score" for c in cells), "the tiny study judges its checkpoints"


def test_the_same_tables_give_the_same_bytes(study, tmp_path):
    spec = json.loads((study / "figures/spec.json").read_text(encoding="utf-8"))
    args = Namespace(tables=study / "tables/manifest.json", models=study / "models")
    script.work(spec, args, tmp_path)
    for path in tmp_path.iterdir():
        assert path.read_bytes() == (study / "figures" / path.name).read_bytes(), path.name


def test_what_a_study_lacks_is_named(study, tmp_path):
    """One budget point, no retrieval, one recipe."""
    spec = json.loads((study / "figures/spec.json").read_text(encoding="utf-8"))
    for part in ("tables", "curves", "claims", "costs"):
        shutil.copytree(study / part, tmp_path / part)
    for name, keep in {
        "curves/curves.csv": lambda r: r["budget"] == "1",
        "curves/pareto.csv": lambda r: r["budget"] == "1",
        "claims/claims.csv": lambda r: False,
        "tables/retrieval_layers.csv": lambda r: False,
    }.items():
        rows = read(tmp_path / name)
        write_csv(tmp_path / name, list(rows[0]), [list(r.values()) for r in rows if keep(r)])
    args = Namespace(tables=tmp_path / "tables/manifest.json", models=study / "models")
    out = tmp_path / "figures"
    out.mkdir()
    script.work(spec | {"stand_in": False}, args, out)
    reasons = {e["name"]: e["reason"] for e in json.loads((out / "index.json").read_text()) if "reason" in e}
    assert set(reasons) == set(NAMES) - {"per_language", "training_curves"}
    assert reasons["retrieval_by_layer"] == "the study retrieves no sentences"
    assert "Stand-in" not in (out / "per_language.svg").read_text(encoding="utf-8")


def test_a_lost_table_is_named(study, tmp_path):
    spec = json.loads((study / "figures/spec.json").read_text(encoding="utf-8"))
    with pytest.raises(UserError, match=r"\.csv is missing: delete that folder's manifest and run"):
        script.work(spec, Namespace(tables=tmp_path / "tables/manifest.json", models=tmp_path), tmp_path)
    spec["models"] = [MODEL | {"place": "target/gone"}]
    with pytest.raises(UserError, match=r"target/gone/history\.jsonl is missing"):
        training_curves(Source(spec, tmp_path), tmp_path / "models")


def test_tables_for_papers_have_the_scores_and_mark_the_best(study):
    rows = [r for r in read(study / "tables/targets.csv") if r["headline"] == "yes" and r["average"] == "zero-shot"]
    uncut = {(r["recipe"], r["target"]): r for r in rows if r["budget_point"] == "dfull-lfull-fp32"}
    made = (study / "figures/table_scores.md").read_text(encoding="utf-8")
    table = [line for line in made.splitlines() if line.startswith("| ")]
    head, *lines = [[c.strip() for c in line.strip("| ").split("|")] for line in table]
    shown = {(line[0], target): cell for line in lines[1:] for target, cell in zip(head[1:], line[1:], strict=True)}
    assert {r for r, _ in shown} == {"none", "multi"}
    for target in head[1:-1]:
        values = {r: float(uncut[r, target]["mean"]) for r in ("none", "multi")}
        for recipe, value in values.items():
            cell = shown[recipe, target]
            assert abs(float(re.search(r"[\d.]+", cell)[0]) - value) <= 0.0501
            assert cell.startswith("**") == (value == max(values.values()))
    latex = (study / "figures/table_scores.tex").read_text(encoding="utf-8")
    rows = [line.split(" & ")[0] for line in latex.splitlines() if line.endswith(r"\\")]
    assert set(rows) == {"recipe", "none", "multi"}
    assert "Stand-in" in latex


def test_names_from_outside_are_text_in_both_forms():
    evil = r"a_b & 50% #1 {x} ~ ^ $ \ | <b>*c*</b>"
    paper = Paper("t", evil, ["recipe", evil], [[Cell(evil, bold=True), Cell("–")]])
    safe = r"a\_b \& 50\% \#1 \{x\} \textasciitilde{} \textasciicircum{} \$ \textbackslash{} \textbar{} "
    safe += r"\textless{}b\textgreater{}*c*\textless{}/b\textgreater{}"
    lines = as_latex(paper).splitlines()
    assert lines[4:9] == [
        r"\toprule", rf"recipe & {safe} \\", r"\midrule", rf"\textbf{{{safe}}} & -- \\", r"\bottomrule",
    ]  # fmt: skip
    assert lines[10] == rf"\caption{{{safe}}}"
    said = as_markdown(paper).splitlines()[-1]
    assert said == r"| **a\_b & 50% #1 {x} ~ ^ $ \\ \| \<b\>\*c\*\</b\>** | – |"


@pytest.mark.parametrize(("cell", "parts"), [("1.0", [14]), ("−22.2 [−30.4, −14.1]", [4, 4, 4, 2])])
def test_a_wide_table_goes_on_below(cell, parts):
    """A page of 6.5 inches holds about 108 characters of this size, the room between columns counted in."""
    columns = ["recipe", *(f"t{k}" for k in range(14))]
    made = as_latex(Paper("t", "c", columns, [[Cell("multi"), *[Cell(cell)] * 14]]))
    heads = [line.removesuffix(r" \\").split(" & ") for line in made.splitlines() if line.startswith("recipe &")]
    assert [len(head) - 1 for head in heads] == parts
    assert [name for head in heads for name in head[1:]] == columns[1:]
    assert made.count(r"\end{tabular}") == len(parts)
    assert made.count(r"\caption") == 1


MODEL = {"phase": "target", "backbone": "b", "recipe": "none", "target": "x", "depth": "full"}
RECIPES = ["none", *(f"recipe-{k:02}" for k in range(49))]
TARGETS = [f"target-{k}" for k in range(6)]


def write_large(root):
    """Write the tables of 300 models in 40 languages at six budgets."""
    languages = [
        ["b", "full", "recipe", r, t, "standard", f"l{k:02}", f"Language {k}", "no" if k else "yes", "f1", k / 7, 1, 0]
        for r in RECIPES for t in TARGETS for k in range(40)
    ]  # fmt: skip
    columns = "backbone budget_point role recipe target protocol language name is_source metric mean sd difference"
    write_csv(root / "tables/languages.csv", columns.split(), text(languages))
    columns = "backbone budget_point target headline protocol"
    write_csv(
        root / "tables/targets.csv", columns.split(), text([["b", "full", t, "yes", "standard"] for t in TARGETS])
    )
    curves = [
        [r, t, s, b / 6, "zero-shot", 40 + b + s / 7]
        for r in RECIPES for t in TARGETS for s in (1, 2, 3) for b in range(1, 7)
    ]  # fmt: skip
    write_csv(root / "curves/curves.csv", ["recipe", "target", "seed", "budget", "language", "value"], text(curves))
    tested = [(t, b) for t in [*TARGETS, "overall"] for b in (0.6, 1)]
    claims = [[r, t, b, k / 3, k / 3 - 1, k / 3 + 1, 0.5, ""] for k, r in enumerate(RECIPES[1:]) for t, b in tested]
    columns = "recipe target budget difference low high p_holm note"
    write_csv(root / "claims/claims.csv", columns.split(), text(claims))
    history = "".join(json.dumps({"step": s, "loss": 1 / (s + 1)}) + "\n" for s in range(1, 201))
    models = [MODEL | {"place": f"target/b/{r}/{t}", "target": t, "recipe": r} for r in RECIPES for t in TARGETS]
    for model in models:
        (root / "models" / model["place"]).mkdir(parents=True)
        (root / "models" / model["place"] / "history.jsonl").write_text(history)
    return models


def text(rows):
    return [[str(c) for c in row] for row in rows]


def test_a_large_study_makes_small_figures(tmp_path):
    spec = {
        "recipes": RECIPES, "controls": [], "targets": TARGETS, "backbones": ["b"], "points": ["full"],
        "seeds": [1, 2, 3],
        "source_language": "l00", "stand_in": False, "made_up": False, "starts": {},
        "budget": {"axis": "flops", "scale": "share", "alpha": 0.05}, "models": write_large(tmp_path),
    }  # fmt: skip
    source, out = Source(spec, tmp_path), tmp_path / "figures"
    out.mkdir()
    made = [f(source) for f in (script.score_at_budget, script.heatmap, script.per_language)]
    write_figures(out, [*made, training_curves(source, tmp_path / "models")])
    sizes = {path.name: path.stat().st_size / 1e6 for path in out.glob("*.json")}
    print(sizes)
    assert len(sizes) == 5
    assert max(sizes.values()) < 2.5, sizes
    words = " ".join(ElementTree.parse(out / "score_at_budget.svg").getroot().itertext())
    # More recipes than colours: the baseline and those that gain most are named, the same in every figure.
    best = {f"recipe-{k:02}" for k in range(48, 41, -1)}
    assert set(re.findall(r"recipe-\d\d", words)) == best
    bars = json.loads((out / "score_at_budget.json").read_text())["datasets"]["claims"]
    assert max(max(b["at"] / b["budget"], b["budget"] / b["at"]) for b in bars) < 1.05
    words = " ".join(ElementTree.parse(out / "per_language.svg").getroot().itertext())
    assert set(re.findall(r"recipe-\d\d", words)) == best
