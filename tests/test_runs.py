"""Kept runs: one record for equal scores, names, states found by every way of naming them, the leaderboard."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import compare, finish, leaderboard, snapshot
from stilts.compare import runs
from stilts.compare.leaderboard import leaderboard as entries_of
from stilts.compare.runs import all_runs, keep_run, runs_of
from stilts.compare.states import experiment_of, find_state
from stilts.config.load import load_config
from stilts.errors import UserError
from stilts.metrics.table import write_scores
from tests.report_case import scores, spec

ROOT = Path(__file__).resolve().parents[1]


def git(folder: Path, *arguments: str) -> str:
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    return subprocess.run(
        ["git", "-C", str(folder), *who, *arguments], capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.fixture
def project(tmp_path) -> Path:
    """Return a repository with one commit and a folder of code."""
    folder = tmp_path / "project"
    (folder / "stilts").mkdir(parents=True)
    (folder / "stilts" / "a.py").write_text("A = 1\n")
    (folder / "config.yaml").write_text("experiment: x\n")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "one")
    return folder


@pytest.fixture
def results(tmp_path) -> Path:
    return tmp_path / "work" / "results"


def finished(results: Path, more: float = 0.0, name: str = "x", **settings) -> Path:
    """Lay out what a finished experiment leaves: scores, and the specs of tables and report."""
    root = results / name
    grid = {k: v for k, v in spec().items() if k not in ("tasks", "settings", "provider", "title")} | {
        "experiment": name
    }
    rows = [s._replace(experiment=name, value=s.value + more * (s.recipe == "mnli")) for s in scores()]
    for part in ("tables", "report"):
        (root / part).mkdir(parents=True, exist_ok=True)
    write_scores(root / "scores.csv", rows)
    (root / "tables" / "spec.json").write_text(json.dumps(grid))
    sections = {"target": {"defaults": {"learning_rate": 0.1} | settings}, "budget": {"depths": ["full"]}}
    report = grid | {"title": "A study", "provider": "mini", "tasks": grid["targets"], "settings": sections}
    (root / "report" / "spec.json").write_text(json.dumps(report))
    return root


def test_equal_scores_are_one_record_and_others_another(results, project, monkeypatch):
    root = finished(results)
    first, new = keep_run(root, project)
    assert new
    assert sorted(p.name for p in first.folder.iterdir()) == ["about.json", "grid.json", "scores.csv", "settings.json"]
    assert (first.folder / "scores.csv").read_bytes() == (root / "scores.csv").read_bytes()
    assert json.loads((first.folder / "settings.json").read_text())["target"]["defaults"]["learning_rate"] == 0.1
    assert first.about["experiment"] == "x"
    assert first.about["title"] == "A study"
    assert first.about["seen"][0]["commit"] == git(project, "rev-parse", "HEAD")
    assert first.id.endswith("-" + first.about["scores"][:8])
    monkeypatch.setattr(runs.time, "time", lambda: 0.0)
    again, new = keep_run(root, project)
    assert (again.id, new) == (first.id, False)
    assert again.about == first.about | {"seen": [first.about["seen"][0] | {"time": "1970-01-01T00:00:00Z"}]}
    finished(results, more=1)
    _, new = keep_run(root, project)
    assert new
    assert len(runs_of(results / "runs" / "x")) == 2
    finished(results)
    assert not keep_run(root, project)[1]


def test_every_commit_that_gave_the_scores_is_noted(results, project):
    root = finished(results)
    keep_run(root, project)
    (project / "stilts" / "b.py").write_text("B = 1\n")
    dirty, _ = keep_run(root, project)
    assert [s["dirty"] for s in dirty.about["seen"]] == [False, True]
    assert dirty.commit.endswith("+")
    (project / "notes.txt").write_text("scratch beside the code")
    git(project, "add", "stilts")
    git(project, "commit", "-qm", "two")
    clean, new = keep_run(root, project)
    assert not new
    assert clean.about["seen"][-1]["commit"] == git(project, "rev-parse", "HEAD")
    assert not clean.about["seen"][-1]["dirty"]


def test_without_a_repository_there_is_no_commit(results, tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    run, _ = keep_run(finished(results), tmp_path)
    assert run.about["seen"] == []
    assert run.commit == ""


@pytest.mark.parametrize("name", ["now", "runs", "x", "a/b", "../up", "-x", "a b"])
def test_a_name_that_means_something_else_is_refused(results, project, name):
    with pytest.raises(UserError, match="choose letters"):
        keep_run(finished(results), project, name)
    assert all_runs(results) == []


def test_a_name_belongs_to_one_record(results, project):
    root = finished(results)
    keep_run(root, project)
    named, new = keep_run(root, project, "before")
    assert (named.names, new) == (["before"], False)
    finished(results, more=1)
    with pytest.raises(UserError, match='"before" is that of'):
        keep_run(root, project, "before")


def test_without_scores_nothing_is_kept(results, project):
    with pytest.raises(UserError, match=r"scores\.csv is missing: run the workflow first"):
        keep_run(results / "x", project)
    assert not results.exists()


def test_every_way_to_name_a_state(results, project, tmp_path, monkeypatch):
    root = finished(results)
    run, _ = keep_run(root, project, "before")
    finished(results, more=1)
    finished(results, more=2, name="y")
    other = tmp_path / "copied"
    shutil.copytree(run.folder, other)
    monkeypatch.chdir(tmp_path)

    def found(text: str):
        return find_state(text, results, "x", project)

    kept = {found(t).digest for t in ("before", run.id, f"x/{run.id}", "x/before", "bef", run.about["scores"][:6])}
    kept |= {found(t).digest for t in ("HEAD", git(project, "rev-parse", "--short", "HEAD"), str(run.folder), "copied")}
    assert kept == {run.about["scores"]}
    now = {found(t).digest for t in ("x", "now", str(results / "x"), str(results / "x" / "scores.csv"))}
    assert len(now) == 1
    assert now != kept
    assert found("y").digest not in now | kept


def test_a_state_that_is_none_is_one_message_with_those_there_are(results, project):
    root = finished(results)
    keep_run(root, project, "before")
    with pytest.raises(UserError) as wrong:
        find_state("befroe", results, "x", project)
    for part in ('Did you mean "before"?', "experiments with scores: x", "x/before", "git revision"):
        assert part in str(wrong.value)
    git(project, "commit", "-qm", "two", "--allow-empty")
    with pytest.raises(UserError, match="No kept run was made from HEAD"):
        find_state("HEAD", results, "x", project)
    assert find_state("HEAD~1", results, "x", project).run.names == ["before"]
    with pytest.raises(UserError, match="There is no state"):
        find_state("--all", results, "x", project)


def test_a_revision_is_the_run_that_it_gave_last(results, project, monkeypatch):
    """Settings flipped and flipped back under one commit: the first scores are the last as well."""
    first = finished(results)
    for hour, more in enumerate((0, 1, 0)):
        monkeypatch.setattr(runs.time, "time", lambda at=hour: 3600.0 * at)
        finished(results, more=more)
        keep_run(first, project, f"run{hour}" if hour < 2 else "")
    assert find_state("HEAD", results, "x", project).run.names == ["run0"]


def test_the_beginning_of_several_is_refused(results, project):
    root = finished(results)
    keep_run(root, project, "before-one")
    finished(results, more=1)
    keep_run(root, project, "before-two")
    with pytest.raises(UserError, match="the beginning of several"):
        find_state("before", results, "x", project)


@pytest.mark.parametrize("damage", ["scores", "about", "settings"])
def test_a_damaged_record_is_named(results, project, damage):
    run, _ = keep_run(finished(results), project, "before")
    name = {"scores": "scores.csv", "about": "about.json", "settings": "settings.json"}[damage]
    path = run.folder / name
    path.write_text(path.read_text()[:-20])
    with pytest.raises(UserError, match=f"delete {run.folder}"):
        find_state("before", results, "x", project)


def test_the_experiment_is_that_of_the_last_file(tmp_path, project):
    assert experiment_of([], project) == "x"
    (tmp_path / "a.yaml").write_text("experiment: a\n")
    (tmp_path / "b.yaml").write_text("title: no name\n")
    assert experiment_of([tmp_path / "a.yaml", tmp_path / "b.yaml"], project) == "a"
    (tmp_path / "c.yaml").write_text("experiment: ../c\n")
    with pytest.raises(UserError, match="cannot be the name"):
        experiment_of([tmp_path / "c.yaml"], project)
    with pytest.raises(UserError, match="cannot be read"):
        experiment_of([tmp_path / "none.yaml"], project)


@pytest.mark.parametrize("name", ["runs", "now"])
def test_an_experiment_cannot_have_the_name_of_the_kept_runs(name):
    with pytest.raises(UserError, match=f'experiment: "{name}"'):
        load_config({"experiment": name})


# --- the commands


def configured(tmp_path: Path) -> list[str]:
    config = tmp_path / "x.yaml"
    config.write_text("experiment: x\n")
    return ["--configfile", str(config), "--directory", str(tmp_path / "work")]


def test_now_is_compared_with_the_last_run_that_differs(results, tmp_path, capsys):
    where = configured(tmp_path)
    finished(results)
    assert snapshot.main(["--name", "before", *where]) == 0
    assert compare.main(where) == 2
    assert "no kept run of x with other scores than now" in capsys.readouterr().err
    finished(results, more=1.5, learning_rate=0.2)
    assert snapshot.main(where) == 0
    capsys.readouterr()
    out = tmp_path / "out"
    assert compare.main([*where, "--json", str(out / "a.json"), "--markdown", str(out / "a.md")]) == 0
    text = capsys.readouterr().out
    assert "target.defaults.learning_rate 0.1 -> 0.2" in text
    assert "A: x (before" in text
    data = json.loads((out / "a.json").read_text())
    assert {round(r["difference"], 6) for r in data["rows"] if r["recipe"] == "mnli"} == {1.5}
    assert {r["difference"] for r in data["rows"] if r["recipe"] != "mnli"} == {0.0}
    assert data["settings"] == ["target.defaults.learning_rate 0.1 -> 0.2"]
    assert "learning_rate" in (out / "a.md").read_text()
    assert compare.main(["nonsense", *where]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_finish_keeps_the_scores_of_a_run_that_asked_for_them(results, monkeypatch, capsys):
    root = finished(results)
    monkeypatch.chdir(results.parent)
    call = ["--root", "results/x", "--started", "0", "--cpu", "1"]
    for more, kept in [(["--scored", "--failed"], 0), ([], 0), (["--scored"], 1), (["--scored"], 1)]:
        assert finish.main([*call, *more]) == 0
        assert len(runs_of(results / "runs" / "x")) == kept
    assert "Kept:   results/runs/x/" in capsys.readouterr().err
    (root / "scores.csv").unlink()
    assert finish.main([*call, "--scored"]) == 0
    assert "were not kept" in capsys.readouterr().err
    for name, text in (("a", "{"), ("b", "[]"), ("c", '{"cpu_seconds": 1, "reused": true}')):
        (root / name).mkdir()
        (root / name / "run.json").write_text(text)
    assert finish.main(call) == 0
    assert "3 jobs (1 of them took the result of an equal job" in capsys.readouterr().err


@pytest.mark.parametrize(
    "fault", ["{", "[]", {"seen": [1]}, {"seen": {"a": 1}}, {"names": [None]}, {"experiment": None}, {"time": 3}]
)
def test_a_damaged_record_is_left_out_of_the_leaderboard_by_name(results, project, capsys, fault):
    root = finished(results)
    run, _ = keep_run(root, project, "before")
    finished(results, more=30)
    keep_run(root, project, "after")
    path = run.folder / "about.json"
    path.write_text(fault if isinstance(fault, str) else json.dumps(json.loads(path.read_text()) | fault))
    assert leaderboard.main(["--directory", str(results.parent)]) == 0
    shown = capsys.readouterr()
    assert f"note: left out: {path} is damaged: delete {run.folder}" in shown.err
    assert "after" in shown.out


@pytest.mark.parametrize("command", ["provenance score", "provenance --help", "leaderboard"])
def test_whoever_reads_may_stop_reading(command, tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        [sys.executable, "-m", *f"scripts.{command}".split()],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    process.stdout.close()
    assert process.stderr.read() == b""
    assert process.wait() in (0, 141)


def test_every_command_that_prints_may_be_cut_short():
    names = ["compare", "finish", "leaderboard", "provenance", "snapshot", "stale", "store_prune", "verify", "why"]
    assert all("sys.exit(quietly(main))" in (ROOT / "scripts" / f"{name}.py").read_text() for name in names)


def test_the_leaderboard_ranks_all_runs_by_the_tables_own_means(results, project, tmp_path, capsys):
    root = finished(results)
    keep_run(root, project, "first")
    finished(results, more=30)
    keep_run(root, project, "better")
    finished(results, more=20)
    other = finished(results, name="y")
    (other / "tables" / "spec.json").unlink()
    found, faults = entries_of(results)
    assert [(e.experiment, e.run, e.current) for e in found] == [
        ("x", "better", False),
        ("x", "(not kept)", True),
        ("x", "first", False),
    ]
    assert [e.best.recipe for e in found] == ["mnli", "mnli", "squad1"]
    assert len(faults) == 1
    assert "y (now)" in faults[0]
    # By hand: tests/report_case adds 30 to mnli alone; the mean of squad1 is that of no change.
    means = [e.recipes for e in found]
    assert means[0]["mnli"] == pytest.approx(means[2]["mnli"] + 30)
    assert means[0]["squad1"] == pytest.approx(means[2]["squad1"])
    assert leaderboard.main(["--directory", str(results.parent)]) == 0
    shown = capsys.readouterr().out
    assert shown.index("better") < shown.index("(not kept) (now)") < shown.index("first")
    assert leaderboard.main(["--directory", str(results.parent), "--json"]) == 0
    assert [e["run"] for e in json.loads(capsys.readouterr().out)] == ["better", "(not kept)", "first"]
    assert leaderboard.main(["--directory", str(tmp_path / "nowhere")]) == 0
    assert "No run is kept yet" in capsys.readouterr().out


def test_the_commands_import_nothing_heavy():
    names = "compare, snapshot, leaderboard, verify, finish, store_prune, provenance, stale"
    heavy = "{'torch', 'transformers', 'pandas', 'pyarrow', 'numpy', 'snakemake', 'datasets'}"
    code = f"import sys; from scripts import {names}; print(sorted({heavy} & set(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment)
    assert done.stdout.strip() == "[]"
