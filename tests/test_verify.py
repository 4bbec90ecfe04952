"""Results checked again: what changed behind a manifest is found, and a job made again has the same bytes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scripts import store_prune, verify
from stilts.errors import UserError
from stilts.metrics.table import write_csv, write_scores
from stilts.provenance.manifest import canonical, dump_json, write_manifest
from stilts.provenance.store import Store
from stilts.report.page import FILES
from stilts.reruns.again import choose, run_again
from stilts.reruns.plan import Asked, asked_of
from stilts.reruns.stale import TARGETS
from stilts.reruns.verify import verify_store, verify_study
from tests.report_case import BUDGET, scores, spec, write_figures
from tests.study_case import TINY

ROOT = Path(__file__).resolve().parents[1]


def script(base: Path, rule: str, spec_of_job: dict, *arguments: str, store: str = "") -> None:
    """Run a rule's script as the workflow does."""
    command = [sys.executable, "-m", f"scripts.{rule}", "--spec", canonical(spec_of_job), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "STILTS_STORE": store}
    done = subprocess.run(command, cwd=base, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Return a folder with the really made tables and report of the small made-up experiment, and a store."""
    base = tmp_path_factory.mktemp("a study")
    root = base / "results" / "x"
    for s in {(s.recipe, s.target, s.seed) for s in scores(controls=False)}:
        folder = root / "scores" / "mini" / s[0] / s[1] / "full" / f"s{s[2]}"
        write_scores(folder / "scores.csv", [r for r in scores() if (r.recipe, r.target, r.seed) == s])
        write_manifest(folder)
    grid = spec(controls=[], control_seeds=[], backbones=["mini"])
    grid["budget_points"] = {t["task"]: ["full"] for t in grid["targets"]}
    tables = ["--scores", "results/x/scores", "--scores-csv", "results/x/scores.csv"]
    script(base, "summarise", grid, *tables, "--output", "results/x/tables/manifest.json", store="results/.store")
    page = grid | {"provider": "mini", "tasks": grid["targets"], "settings": SETTINGS, "title": "A study"}
    given = ["--raw", "--output", "results/x/report/manifest.json"]
    for name in FILES:
        if not name.startswith("tables/"):
            write_csv(root / name, ["budget"], [])
    write_figures(root / "figures")
    for part in ("tables", "curves", "claims", "costs", "figures"):
        if part != "tables":
            write_manifest(root / part)
        given += [f"--{part}", f"results/x/{part}/manifest.json"]
    script(base, "report", page, *given, store="results/.store")
    (root / "logs").mkdir()
    (root / "logs" / "report.log").write_text("")
    return base


SETTINGS = {
    "backbones": {"mini": {"source": "pretrain"}},
    "recipes": {"none": {"tasks": []}, "mnli": {"tasks": ["mnli"]}, "squad1": {"tasks": ["squad1"]}},
    "intermediate": {"defaults": {}, "tasks": {}},
    "target": {"defaults": {}, "tasks": {}},
    "budget": {"depths": ["full"], "max_lengths": ["full"], "precisions": ["fp32"], **BUDGET},
    "retrieval": {"layer": 2, "layers": "all", "pooling": "mean", "max_length": 128},
}


@pytest.fixture
def base(made, tmp_path) -> Path:
    """Return a copy that a test may damage; links to the store are kept as links."""
    subprocess.run(["cp", "-a", str(made), str(tmp_path / "copy")], check=True)
    return tmp_path / "copy"


def faults(base: Path) -> set[tuple[str, str]]:
    verdict = verify_study(base / "results" / "x", base)
    return {(f.kind, f.path) for f in verdict.findings if f.kind != "no key"}


def edit(path: Path, old: str, new: str) -> None:
    """Replace text of equal length in a file of its own: no other name of it changes."""
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.unlink()
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_finished_results_hold(base):
    verdict = verify_study(base / "results" / "x", base)
    assert verdict.holds
    assert faults(base) == set()
    assert verdict.results == 36  # 3 recipes x 5 targets x 2 seeds, tables, report, curves, claims, costs, figures
    # Scores, curves, claims and costs are made without a script here, so that they have no key.
    assert len([f for f in verdict.findings if f.kind == "no key"]) == 34


@pytest.mark.parametrize(
    ("damage", "kind", "path"),
    [
        ("bytes", "content", "tables/targets.csv"),
        ("longer", "content", "tables/targets.csv"),
        ("missing", "content", "tables/targets.csv"),
        ("manifest", "content", "report/manifest.json"),
        ("spec", "key", "report/spec.json"),
        ("key", "key", "report/key.json"),
        ("cut key", "key", "report"),
        ("copy", "copy", "scores.csv"),
        ("no copy", "copy", "scores.csv"),
        ("stranger", "stranger", "tables/old.csv"),
        ("top", "stranger", "notes.txt"),
        ("part", "left", "report.part"),
        ("gone", "gone", "report"),
    ],
)
def test_each_damage_is_found_and_nothing_else(base, damage, kind, path):
    root = base / "results" / "x"
    target = root / path
    if damage == "bytes":
        edit(target, "pawsx", "pawsX")
    elif damage == "longer":
        edit(target, "pawsx", "pawsxx")
    elif damage in ("missing", "no copy"):
        target.unlink()
    elif damage == "manifest":
        edit(target, "{", "")
    elif damage in ("spec", "key"):
        edit(target, '"A study"', '"B study"')
    elif damage == "cut key":
        edit(target / "key.json", '"key"', '"kex"')
    elif damage == "copy":
        edit(target, "pawsx", "pawsX")
    elif damage in ("stranger", "top"):
        target.write_text("mine")
    elif damage == "part":
        target.mkdir()
    elif damage == "gone":
        shutil.rmtree(root / "tables")
        (root / "scores.csv").unlink()
    found = faults(base)
    # A damaged manifest no longer accounts for its files.
    found -= {("stranger", "report/index.html")} if damage == "manifest" else set()
    assert found == {(kind, path)}
    assert verify_study(root, base).holds is (kind in ("left", "gone"))


def test_a_result_of_another_version_of_its_input_is_named(base):
    """The tables are made again from other scores; the report is still that of the old ones."""
    root = base / "results" / "x"
    first = root / "scores/mini/mnli/pawsx/full/s1"
    edit(first / "scores.csv", "pawsx", "pawsX")
    write_manifest(first)
    assert faults(base) == {("input", "tables")}
    (finding,) = [f for f in verify_study(root, base).findings if f.kind == "input"]
    assert finding.what == "results/x/scores/mini/mnli/pawsx/full/s1/manifest.json"


def test_the_command_says_what_to_do(base, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(verify, "asked_of", lambda *_: {})  # no configuration made these results
    config = tmp_path / "x.yaml"
    config.write_text("experiment: x\n")
    where = ["--configfile", str(config), "--directory", str(base)]
    assert verify.main(where) == 0
    assert "Everything else matches." in capsys.readouterr().out
    edit(base / "results/x/tables/targets.csv", "pawsx", "pawsX")
    assert verify.main(where) == 1
    shown = capsys.readouterr().out
    assert "tables/targets.csv: other content of the same size" in shown
    assert "Delete the folder it lies in and run the workflow again." in shown
    config.write_text("experiment: nothing\n")
    assert verify.main(where) == 2
    assert "there is no folder" in capsys.readouterr().err


def test_what_made_a_result_is_compared_with_what_would_make_it_now(base):
    root = base / "results/x"
    key = json.loads((root / "tables/key.json").read_text())
    now = Asked(canonical(key["spec"]), key["code"], key["versions"])

    def found(asked: Asked) -> set[tuple[str, str, str]]:
        verdict = verify_study(root, base, {Path("results/x/tables"): asked, Path("results/x/none"): asked})
        assert verdict.holds is (asked.spec == now.spec)
        return {(f.kind, f.path, f.what) for f in verdict.findings if f.kind != "no key"}

    assert found(now) == set()
    assert found(now._replace(spec=canonical(key["spec"] | {"seeds": [1]}))) == {("settings", "tables", "seeds - 2")}
    assert found(now._replace(code="0", versions="pydantic==0")) == {("earlier", "tables", "code and versions")}


# --- one job again


@pytest.mark.parametrize("rule", ["summarise", "report"])
def test_a_job_made_again_has_the_same_bytes(base, tmp_path, monkeypatch, rule):
    monkeypatch.setenv("STILTS_STORE", str(base / "results/.store"))
    job, many = choose(base / "results/x", base, rule, 1)
    assert (job.key["rule"], many) == (rule, 1)
    (tmp_path / "place").mkdir()
    outcome = run_again(job, tmp_path / "place")
    assert outcome.differing == ()
    made = tmp_path / "place" / job.folder.name
    assert "reused" not in json.loads((made / "run.json").read_text())
    assert (made / "manifest.json").read_bytes() == (base / job.folder / "manifest.json").read_bytes()


def test_the_file_that_differs_is_named(base, tmp_path, capsys):
    folder = base / "results/x/tables"
    edit(folder / "targets.csv", "pawsx", "pawsX")
    facts = json.loads((folder / "manifest.json").read_text())["facts"]
    (folder / "manifest.json").unlink()
    write_manifest(folder, facts | {"scores": 1})
    (tmp_path / "x.yaml").write_text("experiment: x\n")
    where = ["--configfile", str(tmp_path / "x.yaml"), "--directory", str(base)]
    assert verify.main([*where, "--rerun", str(folder)]) == 1
    shown = capsys.readouterr().out
    assert "  targets.csv\n" in shown
    assert f"manifest.json: scores 1 -> {len(scores(controls=False))}" in shown
    assert "seeds.csv" not in shown


def test_the_same_seed_draws_the_same_job(base):
    drawn = [choose(base / "results/x", base, "", seed)[0].folder for seed in [*range(12), *range(12)]]
    assert drawn[:12] == drawn[12:]
    assert set(drawn) == {Path("results/x/tables"), Path("results/x/report")}


def test_what_cannot_run_again_says_why(base):
    root = base / "results/x"
    with pytest.raises(UserError, match=r'neither a rule nor a result\. Did you mean "report"'):
        choose(root, base, "reprot", 1)
    with pytest.raises(UserError, match="there is none below"):
        choose(root, base, "pretrain", 1)
    edit(root / "tables/manifest.json", "{", "{ ")
    with pytest.raises(UserError, match="whose inputs are gone or others now"):
        choose(root, base, "report", 1)
    key = json.loads((root / "tables/key.json").read_text())
    other = key | {"versions": "pydantic==0.0.1"}
    from stilts.provenance.key import digest_of_parts

    hashes = {name: [h for _, h in entries] for name, entries in key["inputs"].items()}
    other["key"] = digest_of_parts(key["rule"], canonical(key["spec"]), key["code"], other["versions"], hashes)
    (root / "tables/key.json").unlink()
    (root / "tables/key.json").write_text(dump_json(other))
    with pytest.raises(UserError, match="made by other code or packages"):
        choose(root, base, "summarise", 1)


# --- the store


def test_a_damaged_entry_of_the_store_is_found(base, capsys):
    store = Store(base / "results/.store")
    verdict = verify_store(store)
    assert (verdict.results, verdict.findings) == (2, [])
    (page,) = store.root.rglob("index.html")
    edit(page, "<html", "<HTML")
    found = verify_store(store).findings
    assert [(f.kind, Path(f.path).name) for f in found] == [("content", "index.html")]
    assert verify.main(["--store", str(store.root)]) == 1
    assert "sets it aside and computes again" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("text", "status", "said"),
    [
        ("experiment: x\n", 0, "copy/results/.store: 2 entries"),
        ("experiment: x\nstore: elsewhere\n", 2, "there is no store"),
        ("experiment: x\nstore: null\n", 2, "this experiment has no store"),
        ("store: ~/shared\n", 0, "home/shared: 0 entries"),
    ],
)
def test_the_store_is_the_experiments(base, tmp_path, monkeypatch, capsys, text, status, said):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home/shared").mkdir(parents=True)
    (tmp_path / "x.yaml").write_text(text)
    where = ["--configfile", str(tmp_path / "x.yaml"), "--directory", str(base)]
    assert verify.main([*where, "--store"]) == status
    shown = capsys.readouterr()
    assert said in (shown.err if status else shown.out)
    assert store_prune.main([*where, "--dry-run"]) == status
    assert status == 0 or said in capsys.readouterr().err


# --- the whole study, as it really ran


def test_a_study_that_ran_holds_and_any_of_its_jobs_can_run_again(finished, tmp_path):
    root = finished / "results/tiny"
    asked = asked_of([TINY], finished, TARGETS)
    assert {p.parent.relative_to(finished) for p in root.rglob("key.json")} <= asked.keys()
    verdict = verify_study(root, finished, asked)
    assert verdict.findings == []
    assert verdict.results == len(list(root.rglob("key.json"))) > 100
    assert verify_store(Store(finished / "results/.store")).findings == []
    for seed, rule in enumerate(["", "", "prepare", "score", "mine", "summarise", "report"]):
        job, _ = choose(root, finished, rule, seed)
        place = tmp_path / str(seed)
        place.mkdir()
        assert run_again(job, place).differing == (), job.folder


def test_a_run_keeps_its_scores(finished):
    (run,) = (finished / "results/runs/tiny").iterdir()
    assert (run / "scores.csv").read_bytes() == (finished / "results/tiny/scores.csv").read_bytes()
    settings = json.loads((run / "settings.json").read_text())
    assert settings["target"]["defaults"]["learning_rate"] == 0.001
    assert settings["world"]["languages"] == ["qaa", "qab", "qad"]
    assert settings["grid"]["seeds"] == [1, 2]
