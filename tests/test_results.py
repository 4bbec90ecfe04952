"""Results as frames: documented columns, the same types whatever the rows, mistakes named, the numbers of the files."""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from stilts.errors import UserError
from stilts.results import FILES, HISTORY, RUNS, load

ROOT = Path(__file__).resolve().parents[1]
DOC = (ROOT / "docs/results.md").read_text(encoding="utf-8")
STATS = ["seeds", "mean", "sd", "difference", "difference_sd", "seeds_above", "missing"]
TYPES = {"str", "Int64", "boolean", "float64"}


def documented() -> dict[str, list[str]]:
    """Return frame -> columns, as docs/results.md lists them."""
    section = DOC[DOC.index("## In Python") :]
    rows = re.findall(r"^\| `(?:table\(\")?(\w+)(\"\))?` \| (.+) \|$", section, re.MULTILINE)
    found = {("tables/" if table else "") + name: columns.split(", ") for name, table, columns in rows}
    return {n: [x for c in columns for x in (STATS if c == "stats" else [c])] for n, columns in found.items()}


@pytest.fixture(scope="module")
def study(finished):
    return load(finished / "results/tiny")


def expanded(columns: list[str], recipes: list[str]) -> list[str]:
    """Return documented columns with those that are named after recipes filled in."""
    names = {
        "one a recipe": recipes,
        "`<recipe> - none`": [f"{r} - none" for r in recipes if r != "none"],
        "`dev <recipe>`": [f"dev {r}" for r in recipes],
    }
    return [x for c in columns for x in names.get(c, [c])]


def test_the_documents_name_every_column_of_every_file(study):
    frames = {f"tables/{name}": study.table(name) for name in study.tables if name != "scores"}
    frames |= {name: getattr(study, name) for name in (*FILES, "runs", "history")}
    told = documented()
    assert told.keys() == frames.keys()
    for name, frame in frames.items():
        assert list(frame.columns) == expanded(told[name], ["none", "multi"]), name
    assert told["runs"] == list(RUNS)
    assert told["history"] == list(HISTORY)


def test_types_follow_from_names_also_where_there_is_no_row(study, tmp_path):
    for name in FILES:
        frame, empty = getattr(study, name), tmp_path / FILES[name]
        assert len(frame), name
        empty.parent.mkdir(parents=True, exist_ok=True)
        empty.write_text((study.root / FILES[name]).read_text(encoding="utf-8").splitlines()[0] + "\n")
        assert (getattr(load(tmp_path), name).dtypes == frame.dtypes).all(), name
    numbers = {"seed": "Int64", "n": "Int64", "value": "float64", "higher_is_better": "boolean"}
    assert {c: str(kind) for c, kind in study.scores.dtypes.items() if kind != "str"} == numbers
    every = [study.table(name) for name in study.tables] + [study.runs, study.history, study.scores]
    kinds = {(c, str(kind)) for frame in every for c, kind in frame.dtypes.items()}
    assert len(kinds) == len({c for c, _ in kinds})
    assert {kind for _, kind in kinds} == TYPES
    (tmp_path / "models").mkdir()
    assert (load(tmp_path).history.dtypes == study.history.dtypes).all()


def test_numbers_are_those_of_the_files(study):
    with (study.root / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    frame = study.scores
    assert frame["value"].tolist() == [float(r["value"]) for r in rows]
    assert frame["seed"].tolist() == [int(r["seed"]) for r in rows]
    assert frame["recipe"].tolist() == [r["recipe"] for r in rows]
    assert frame["higher_is_better"].all()
    means = frame.query("protocol == 'standard' and metric == 'accuracy' and recipe == 'none'")
    found = means.groupby(["target", "budget_point", "seed"])["value"].mean().groupby(["target", "budget_point"]).mean()
    table = study.table("targets").query("average == 'all' and recipe == 'none'").set_index(["target", "budget_point"])
    for place, value in found.items():
        assert table.loc[place, "mean"] == pytest.approx(value, rel=1e-5)


def test_runs_and_history_say_whose_they_are(study):
    place = "models/target/mini/multi/xquad/d1/s2"
    run = study.runs.set_index("place").loc[place]
    named = {"rule": "train_target", "backbone": "mini", "recipe": "multi", "target": "xquad", "depth": "1", "seed": 2}
    assert {name: run[name] for name in named} == named
    assert run["key"] == json.loads((study.root / place / "key.json").read_text())["key"]
    assert run["cpu_seconds"] > 0
    steps = study.history.query("place == @place")
    lines = [json.loads(x) for x in (study.root / place / "history.jsonl").read_text().splitlines()]
    assert steps["step"].tolist() == [x["step"] for x in lines]
    assert steps["loss"].tolist() == [x["loss"] for x in lines]
    assert len(study.runs) == len({p.parent for p in study.root.rglob("run.json") if "exported" not in p.parts})
    assert set(study.history["place"]) == set(study.runs.query("place.str.startswith('models')")["place"]) - {
        p for p in study.runs["place"] if "random-init/mini/s" in p
    }


def test_what_a_job_is_still_making_is_no_result(study, tmp_path):
    place = "models/target/mini/none/udpos/d1/s1"
    for name in (place, f"{place}.part", f"{place}.old"):
        shutil.copytree(study.root / place, tmp_path / name, ignore=shutil.ignore_patterns("*.safetensors"))
    assert load(tmp_path).runs["place"].tolist() == [place]
    assert set(load(tmp_path).history["place"]) == {place}


def test_words_that_pandas_takes_for_missing_are_words(study, tmp_path):
    header, row = (study.root / "scores.csv").read_text(encoding="utf-8").splitlines()[:2]
    cells = dict(zip(header.split(","), row.split(","), strict=True)) | {
        "recipe": "None",
        "language": "NA",
        "value": "nan",
    }
    (tmp_path / "scores.csv").write_text(f"{header}\n{','.join(cells.values())}\n")
    frame = load(tmp_path).scores
    assert frame.loc[0, ["recipe", "language"]].tolist() == ["None", "NA"]
    assert pd.isna(frame.loc[0, "value"])


def test_mistakes_are_named(study, tmp_path):
    with pytest.raises(UserError, match=r'there is no folder .*tinny\. Did you mean "tiny"\?'):
        load(study.root.parent / "tinny")
    with pytest.raises(UserError, match=r'there is no table "target"\. Did you mean "targets"\?'):
        study.table("target")
    with pytest.raises(AttributeError, match=r"no 'score'. Did you mean \"scores\"\?"):
        _ = study.score
    with pytest.raises(UserError, match=r"claims\.csv is not there: the study has not got so far"):
        _ = load(tmp_path).claims
    text = (study.root / "scores.csv").read_text(encoding="utf-8")
    (tmp_path / "scores.csv").write_text(text.replace(",1,accuracy,", ",one,accuracy,", 1))
    with pytest.raises(UserError, match=r"scores\.csv: .*edited by hand"):
        _ = load(tmp_path).scores


def test_the_example_of_the_documents_runs_and_nothing_else_imports_pandas(finished, tmp_path):
    shutil.copytree(
        finished / "results/tiny", tmp_path / "results/mini", ignore=shutil.ignore_patterns("*.safetensors")
    )
    code = re.search(r"## In Python\n\n```python\n(.*?)```", DOC, re.DOTALL)[1] + "assert len(scores)\n"
    first = "import sys, stilts.results\nassert 'pandas' not in sys.modules\n"
    command = [sys.executable, "-c", first + code]
    done = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
