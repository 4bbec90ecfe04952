"""What no rule makes any more: exactly the folders of what was taken out, and nothing that must be kept."""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from pathlib import Path

import pytest

from scripts import stale, store_prune
from stilts.errors import UserError
from stilts.provenance.manifest import write_manifest
from stilts.provenance.store import Store
from stilts.reruns.plan import plan_of
from stilts.reruns.stale import TARGETS, Stale, find_stale, remove_stale, stale_of
from tests.study_case import ROOT, TINY, changed

HOURS = 3600.0
NEW_TARGETS = ["pawsx", "xquad", "xcopa", "tatoeba"]


@pytest.fixture(scope="module")
def full(tmp_path_factory) -> Path:
    """Return a folder that holds a (made-up) file for every output, log and benchmark of the tiny study."""
    base = tmp_path_factory.mktemp("stale")
    with plan_of([TINY], base) as plan:
        jobs = [(list(map(str, job.output)), list(map(str, job.log)), job.benchmark) for job in plan.dag.jobs]
    for output, log, benchmark in jobs:
        for name in [*output, *log, *([str(benchmark)] if benchmark else [])]:
            (base / name).parent.mkdir(parents=True, exist_ok=True)
            (base / name).write_text("x")
            if name.endswith("manifest.json"):
                (base / name).with_name("more.bin").write_text("12345")
    return base


def copy_of(full: Path, place: Path) -> Path:
    shutil.copytree(full, place)
    return place


def files_below(base: Path) -> set[Path]:
    return {p for p in base.rglob("*") if p.is_file() and ".snakemake" not in p.parts}


def listed(base: Path, config: Path) -> set[str]:
    root, found = stale_of([config], base)
    assert root == base / "results/tiny"
    return {s.path.relative_to(root).as_posix() for s in found}


def with_logs(*patterns: str) -> set[str]:
    """Return the logs and benchmarks of `rule/rest` patterns: a folder, or a file where a `.` ends the pattern."""
    found = set()
    for pattern in patterns:
        ends = ("log", "tsv") if pattern.endswith(".") else ("", "")
        found |= {f"logs/{pattern}{ends[0]}", f"benchmarks/{pattern}{ends[1]}"}
    return found


def test_a_whole_study_has_nothing_stale(full):
    assert listed(full, TINY) == set()


def test_a_target_taken_out(full, tmp_path):
    config = changed(tmp_path / "c.yaml", grid={"targets": NEW_TARGETS})
    arms = ("none", "multi", "random-init")
    expected = {f"{part}/mini/{arm}/udpos" for part in ("predictions", "scores", "models/target") for arm in arms}
    expected |= {"data/udpos", "tokens/mini/udpos", "measured/mini/udpos"}
    expected |= with_logs(
        *(f"{rule}/mini/{arm}/udpos" for rule in ("predict", "score", "train_target") for arm in arms)
    )
    expected |= with_logs("prepare/udpos.", "tokenize/mini/udpos.", "profile_budget/mini/udpos.")
    assert listed(full, config) == expected


def test_a_recipe_taken_out(full, tmp_path):
    config = changed(tmp_path / "c.yaml", grid={"recipes": ["none"]})
    expected = {f"{part}/mini/multi" for part in ("predictions", "scores", "models/target", "embeddings", "mined")}
    # It was the only one, and hellaswag served nothing else; squad1 trains xquad.
    expected |= {"models/intermediate", "data/hellaswag", "tokens/mini/hellaswag"}
    expected |= with_logs(*(f"{rule}/mini/multi" for rule in ("predict", "score", "train_target", "embed", "mine")))
    expected |= with_logs("train_intermediate", "prepare/hellaswag.", "tokenize/mini/hellaswag.")
    assert listed(full, config) == expected


def test_a_seed_taken_out(full, tmp_path):
    config = changed(tmp_path / "c.yaml", grid={"seeds": [1]})
    found = listed(full, config)
    results = {f for f in found if not f.startswith(("logs/", "benchmarks/"))}
    points = {"pawsx": 2, "udpos": 2, "xquad": 2, "xcopa": 2, "tatoeba": 1}
    assert {Path(f).name for f in results} == {"s2"}
    # 2 arms: predictions and models of four targets at two points; scores of five; embeddings, mined; the encoders.
    assert len(results) == 2 * (8 + 8 + sum(points.values()) + 1 + 1) + 1 + 1
    assert {Path(f).stem for f in found - results} == {"s2"}
    assert len(found - results) == 2 * len(results)


def test_a_language_taken_out_leaves_no_folder_of_its_own(full, tmp_path):
    """All languages of a task lie in one file, which is made again."""
    assert listed(full, changed(tmp_path / "c.yaml", world={"languages": ["qaa", "qab"]})) == set()


def test_a_budget_point_taken_out(full, tmp_path):
    config = changed(tmp_path / "c.yaml", budget={"depths": ["full"]})
    names = {Path(f).name for f in listed(full, config)}
    assert names == {"d1", "d1-lfull-fp32"}


def test_only_on_request_is_anything_removed_and_only_what_was_listed(full, tmp_path, capsys):
    base = copy_of(full, tmp_path / "work")
    config = changed(tmp_path / "c.yaml", grid={"targets": NEW_TARGETS})
    for name in ("results/runs/tiny/r/scores.csv", "results/.store/ab/abc/entry.json", "results/other/scores.csv"):
        (base / name).parent.mkdir(parents=True)
        (base / name).write_text("kept")
    before = files_below(base)
    where = ["--configfile", str(config), "--directory", str(base)]
    gone = {base / "results/tiny" / name for name in listed(base, config)}
    assert stale.main(where) == 0
    assert "To remove them: --remove" in capsys.readouterr().out
    assert files_below(base) == before
    assert stale.main([*where, "--remove"]) == 0
    assert files_below(base) == {p for p in before if not any(g == p or g in p.parents for g in gone)}
    capsys.readouterr()
    assert stale.main(where) == 0
    assert "Nothing stale" in capsys.readouterr().out


def test_what_lies_there_from_elsewhere_is_listed(full, tmp_path):
    base = copy_of(full, tmp_path / "work")
    root = base / "results/tiny"
    (root / "notes.txt").write_text("x")
    (root / "raw" / "pawsx").mkdir(parents=True)
    (root / "scores/mini/none/pawsx/old").mkdir()
    assert listed(base, TINY) == {"notes.txt", "raw", "scores/mini/none/pawsx/old"}


@pytest.mark.parametrize("arm", ["none", "gone"])
def test_unfinished_work_of_a_live_job_is_left_alone(full, tmp_path, arm):
    """Young or locked: kept, even inside a folder that is stale as a whole; old and unlocked: listed."""
    base = copy_of(full, tmp_path / "work")
    home = base / f"results/tiny/scores/mini/{arm}/pawsx/dfull-lfull-fp32"
    home.mkdir(parents=True, exist_ok=True)
    old = time.time() - 2 * HOURS
    for name in ("s1.part", "s2.part", "s3.part", "s4.old"):
        (home / name).mkdir()
        (home / name / "lock.part").write_text("")
        if name != "s1.part":
            for path in (home / name / "lock.part", home / name):
                os.utime(path, (old, old))
    with (home / "s2.part" / "lock.part").open() as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        found = {Path(f).name for f in listed(base, TINY)}
    assert found == {"s3.part", "s4.old"}
    shown = {Path(f).name for f in listed(base, TINY)}
    assert shown == {"s2.part", "s3.part", "s4.old"}


def test_lost_results_and_the_default_experiment(tmp_path, capsys):
    root, found = stale_of([], tmp_path)
    assert (root, found) == (tmp_path / "results/mini", [])
    assert stale.main(["--directory", str(tmp_path)]) == 0
    assert "Nothing stale" in capsys.readouterr().out
    assert not (tmp_path / "results").exists()


def test_a_link_is_removed_and_what_it_leads_to_stays(tmp_path):
    root, outside = tmp_path / "results/x", tmp_path / "outside"
    for folder in (root, outside):
        folder.mkdir(parents=True)
    (outside / "precious").write_text("x")
    (root / "link").symlink_to(outside)
    (root / "kept").mkdir()
    found = find_stale(root, [root / "kept"])
    assert [s.path for s in found] == [root / "link"]
    remove_stale(root, found)
    assert (outside / "precious").read_text() == "x"
    assert not (root / "link").is_symlink()


@pytest.mark.parametrize("path", ["results/y", "results", "results/x", "results/x/link/precious", "results/x/../y"])
def test_a_path_never_leaves_the_experiment(tmp_path, path):
    root, outside = tmp_path / "results/x", tmp_path / "outside"
    for folder in (root, outside, tmp_path / "results/y"):
        folder.mkdir(parents=True)
    (outside / "precious").write_text("x")
    (root / "link").symlink_to(outside)
    (root / "own").write_text("x")
    with pytest.raises(UserError, match="nothing was removed"):
        remove_stale(root, [Stale(root / "own", 1, 1, 0), Stale(tmp_path / path, 1, 1, 0)])
    assert (outside / "precious").exists()
    assert (root / "own").exists()
    assert (tmp_path / "results/y").is_dir()


def test_the_plan_covers_every_target_rule():
    """All rules that only name results, which have no command, and the one result that no other rule asks for."""
    text = "".join(p.read_text(encoding="utf-8") for p in [ROOT / "Snakefile", *sorted((ROOT / "rules").glob("*.smk"))])
    rules = {block.split(":")[0]: block for block in text.split("\nrule ")[1:]}
    assert {name for name, block in rules.items() if "    shell:" not in block} | {"check"} == set(TARGETS)


def test_tables_of_a_smaller_study_hold_no_old_row(tmp_path):
    """The scores of the larger study still lie there; the really run job reads the grid alone."""
    import csv
    import json
    import subprocess
    import sys

    from stilts.metrics.table import write_scores
    from tests.report_case import scores, spec

    root = tmp_path / "results/x"
    for recipe, target, seed in {(s.recipe, s.target, s.seed) for s in scores(controls=False)}:
        folder = root / f"scores/mini/{recipe}/{target}/full/s{seed}"
        rows = [s for s in scores(controls=False) if (s.recipe, s.target, s.seed) == (recipe, target, seed)]
        write_scores(folder / "scores.csv", rows)
        write_manifest(folder)
    small = spec(controls=[], control_seeds=[], backbones=["mini"], recipes=["none", "squad1"], seeds=[2])
    small["targets"] = [t for t in small["targets"] if t["task"] in ("pawsx", "xquad")]
    small["budget_points"] = {t["task"]: ["full"] for t in small["targets"]}
    command = [sys.executable, "-m", "scripts.summarise", "--spec", json.dumps(small), "--scores", str(root / "scores")]
    command += ["--output", str(root / "tables/manifest.json")]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    with (root / "tables/scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {(r["recipe"], r["target"], r["seed"]) for r in rows} == {
        (recipe, target, "2") for recipe in ("none", "squad1") for target in ("pawsx", "xquad")
    }
    for table in (root / "tables").glob("*.csv"):
        words = set(table.read_text().replace("\n", ",").split(","))
        assert not words & {"mnli", "udpos", "xcopa", "tatoeba"}, table.name


# --- the store


def stored(store: Store, base: Path, key: str, *, link: bool) -> None:
    """Keep a result; without `link` the result's own file is a copy, so that nothing here is linked to the entry."""
    folder = base / key
    folder.mkdir(parents=True)
    (folder / "a.bin").write_text(key * 10)
    (folder / "key.json").write_text('{"rule": "score"}')
    write_manifest(folder)
    store.keep(key, folder)
    if not link:
        (folder / "a.bin").unlink()
        (folder / "a.bin").write_text(key * 10)


def test_pruning_takes_what_is_unused_and_unlinked(tmp_path, capsys):
    store = Store(tmp_path / "store")
    keys = {"aa11": False, "bb22": False, "cc33": True}
    for key, link in keys.items():
        stored(store, tmp_path / "results", key, link=link)
    old = time.time() - 40 * 24 * HOURS
    for key in ("aa11", "cc33"):
        os.utime(store.place(key) / "entry.json", (old, old))
    half = store.root / "tmp" / f"{'a' * 12}-42-{'b' * 8}"
    for folder in (half, store.root / "tmp" / "thesis"):  # the second is not the store's
        folder.mkdir(parents=True)
        os.utime(folder, (old, old))
    where = ["--store", str(store.root)]
    assert store_prune.main([*where, "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "40.0 days  score" in shown
    assert "1 of 3 entries" in shown
    assert half.name in shown
    assert "thesis" not in shown
    assert [store.has(k) for k in keys] == [True, True, True]
    assert store_prune.main(where) == 0
    assert [store.has(k) for k in keys] == [False, True, True]
    assert not (store.root / "aa").exists()
    assert not half.exists()
    assert (store.root / "tmp" / "thesis").exists()
    assert (tmp_path / "results/cc33/a.bin").exists()
    assert store_prune.main([*where, "--days", "0"]) == 0
    assert [store.has(k) for k in keys] == [False, False, True]


def test_a_store_that_is_not_there_is_one_message(tmp_path, capsys):
    assert store_prune.main(["--store", str(tmp_path / "none")]) == 2
    assert "there is no store" in capsys.readouterr().err
