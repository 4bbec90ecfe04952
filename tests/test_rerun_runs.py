"""The rerun matrix, really run: what was planned is what runs, and what is the same is reused."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests import study_case
from tests.plan_server import Planner
from tests.rerun_case import clone, merged, tiny, write
from tests.study_case import ROOT, snakemake

ARM = "mini/none/udpos/dfull-lfull-fp32/s1"
SCORE = f"results/tiny/scores/{ARM}/manifest.json"
MODEL = "results/tiny/models/target/mini/none/udpos/dfull/s1/manifest.json"
CLOCK = "costs"  # the rule whose result holds the seconds of runs: never served by the store
SMALL = {"grid": {"recipes": ["none"], "targets": ["udpos", "tatoeba"], "seeds": [1], "controls": []}}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """Return the configuration of a small study, and a folder where it has run, with its store."""
    folder = tmp_path_factory.mktemp("small study")
    config = write(folder / "small.yaml", merged(tiny(), SMALL | {"budget": {"depths": ["full"], "measure": False}}))
    done = snakemake(folder, configfile=config)
    assert done.returncode == 0, done.stdout[-4000:]
    return folder, config


@pytest.fixture
def study(base, tmp_path) -> tuple[Path, Path]:
    """Return a copy of the small study with its store."""
    folder = tmp_path / "study"
    shutil.copytree(base[0], folder, ignore=shutil.ignore_patterns("log"))
    return folder, folder / "small.yaml"


def manifests(folder: Path) -> dict[str, bytes]:
    """Return every manifest but that of costs, which hold seconds."""
    return {k: v for k, v in study_case.manifests(folder).items() if not k.startswith(f"{CLOCK}/")}


def logs(folder: Path) -> dict[str, str]:
    """Return the text of every log of the last runs."""
    root = folder / "results/tiny/logs"
    return {p.relative_to(root).as_posix(): p.read_text(encoding="utf-8") for p in root.rglob("*.log")}


def ran(folder: Path, since: float) -> dict[str, bool]:
    """Return log -> whether the job was served by the store, of the jobs that ran since a time."""
    root = folder / "results/tiny/logs"
    new = [p for p in root.rglob("*.log") if p.stat().st_mtime >= since and p.stem != CLOCK]
    return {p.relative_to(root).as_posix(): p.read_text().startswith("reused ") for p in new}


def run(folder: Path, config: Path, *arguments: str, project: Path = ROOT) -> dict[str, bool]:
    """Run the study; return log -> reused of the jobs that ran."""
    start = time.time()
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(project / "Snakefile"), "--cores", "2"]
    command += ["--configfile", str(config), "--directory", str(folder), *arguments]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False, timeout=540)
    assert done.returncode == 0, done.stderr[-4000:]
    return ran(folder, start)


def test_a_setting_flipped_and_flipped_back_is_served_by_the_store(study):
    folder, config = study
    before = manifests(folder / "results/tiny")
    edited = write(
        folder / "edited.yaml",
        merged(tiny(), SMALL | {"budget": {"depths": ["full"], "measure": False}} | LEARN_SLOWER),
    )
    there = run(folder, edited)
    assert there == {
        "train_target/mini/none/udpos/dfull/s1.log": False,
        f"predict/{ARM}.log": False,
        f"score/{ARM}.log": False,
        "count_costs.log": False,
        "curves.log": False,
        "claims.log": False,
        "summarise.log": False,
        "figures.log": False,
        "report.log": False,
    }
    back = run(folder, config)
    assert back == dict.fromkeys(there, True)
    assert manifests(folder / "results/tiny") == before
    assert run(folder, config) == {}


LEARN_SLOWER = {"target": {"tasks": {"udpos": {"learning_rate": 5e-4}}}}


def test_an_upstream_job_with_equal_content_cuts_off_what_lies_below(study, tmp_path):
    """Another reader that reads the same: examples are made again, everything below is served by the store."""
    folder, config = study
    project = clone(tmp_path / "clone")
    path = project / "stilts/data/readers.py"
    path.write_text(path.read_text(encoding="utf-8") + "\n\nANOTHER_CONSTANT = 1\n", encoding="utf-8")
    before = manifests(folder / "results/tiny")
    done = run(folder, config, project=project)
    computed = {name for name, reused in done.items() if not reused}
    assert computed == {name for name in done if name.startswith("prepare/")} != set()
    assert "train_target/mini/none/udpos/dfull/s1.log" in done
    assert manifests(folder / "results/tiny") == before


def test_lost_results_and_records_come_back_from_the_store(study):
    folder, config = study
    before = manifests(folder / "results/tiny")
    shutil.rmtree(folder / "results/tiny")
    shutil.rmtree(folder / ".snakemake")
    done = run(folder, config)
    assert len(done) > 10
    assert set(done.values()) == {True}
    assert manifests(folder / "results/tiny") == before


def test_two_working_copies_share_a_store(study, tmp_path):
    folder, _ = study
    other = tmp_path / "another working copy"
    other.mkdir()
    shared = write(
        tmp_path / "shared.yaml",
        merged(
            tiny(), SMALL | {"budget": {"depths": ["full"], "measure": False}, "store": str(folder / "results/.store")}
        ),
    )
    assert set(run(other, shared).values()) == {True}
    assert manifests(other / "results/tiny") == manifests(folder / "results/tiny")


def test_without_a_store_everything_is_computed(study, tmp_path):
    folder, _ = study
    config = write(
        tmp_path / "none.yaml",
        merged(tiny(), SMALL | {"budget": {"depths": ["full"], "measure": False}, "store": None}),
    )
    (folder / MODEL).unlink()
    assert run(folder, config, MODEL) == {"train_target/mini/none/udpos/dfull/s1.log": False}


def test_a_damaged_entry_is_computed_again(study):
    folder, config = study
    before = manifests(folder / "results/tiny")
    key = json.loads((folder / MODEL).with_name("key.json").read_text())["key"]
    weights = folder / "results/.store" / key[:2] / key / "files/model.safetensors"
    weights.chmod(0o644)
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    shutil.rmtree((folder / MODEL).parent)
    assert run(folder, config, MODEL) == {"train_target/mini/none/udpos/dfull/s1.log": False}
    assert "is damaged" in logs(folder)["train_target/mini/none/udpos/dfull/s1.log"]
    assert manifests(folder / "results/tiny") == before


def test_a_damaged_entry_ends_a_job_that_asked_for_no_gpu(study, tmp_path):
    """The next run asks for one and computes."""
    folder, _ = study
    raw = merged(tiny(), SMALL | {"budget": {"depths": ["full"], "measure": False}, "runtime": {"gpus": 1}})
    config, log = write(tmp_path / "gpus.yaml", raw), "train_target/mini/none/udpos/dfull/s1.log"
    key = json.loads((folder / MODEL).with_name("key.json").read_text())["key"]
    shutil.rmtree(folder / "results/.store" / key[:2] / key / "files")
    shutil.rmtree((folder / MODEL).parent)
    done = snakemake(folder, MODEL, configfile=config)
    assert done.returncode == 1
    assert "for which no GPU was asked" in logs(folder)[log]
    assert run(folder, config, MODEL) == {log: False}


def test_a_run_goes_on_where_its_causes_cannot_be_said(study, tmp_path):
    folder, config = study
    project = clone(tmp_path / "clone")
    path = project / "stilts/reruns/causes.py"
    path.write_text(path.read_text() + '\n\ndef planned_jobs(*_):\n    raise KeyError("what")\n')
    (folder / "results/tiny/report/manifest.json").unlink()
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(project / "Snakefile"), "--cores", "2"]
    command += ["--configfile", str(config), "--directory", str(folder)]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False, timeout=540)
    assert done.returncode == 0, done.stderr[-4000:]
    assert "note: why these jobs run cannot be said (KeyError: 'what')" in done.stderr


def test_a_hit_asks_for_no_gpu(study, tmp_path):
    """A model that the store holds needs no device; one that must be trained does, and scoring never does."""
    folder, _ = study
    (folder / MODEL).unlink()
    (folder / SCORE).unlink()
    raw = merged(tiny(), SMALL | {"budget": {"depths": ["full"], "measure": False}, "runtime": {"gpus": 1}})
    planner = Planner()
    planner(folder, write(tmp_path / "same.yaml", raw))
    assert planner.answer["gpus"][SCORE] == 0
    shutil.rmtree(folder / "results/tiny/predictions")
    found = {}
    for name, change in (("same", {}), ("slower", LEARN_SLOWER)):
        planner(folder, write(tmp_path / f"{name}.yaml", merged(raw, change)))
        found[name] = planner.answer["gpus"][MODEL]
    planner.close()
    assert found == {"same": 0, "slower": 1}


@pytest.mark.parametrize("change", [LEARN_SLOWER, {"retrieval": {"layer": 2}}, {"grid": {"targets": ["udpos"]}}])
def test_what_is_planned_is_what_runs(study, tmp_path, change):
    folder, _ = study
    config = write(
        tmp_path / "edited.yaml",
        merged(merged(tiny(), SMALL | {"budget": {"depths": ["full"], "measure": False}}), change),
    )
    planner = Planner()
    _, planned, _ = planner(folder, config)
    planner.close()
    done = run(folder, config)
    planned = {(rule, place) for rule, place in planned if rule != CLOCK}
    assert planned
    assert {name.split("/")[0].removesuffix(".log") for name in done} == {rule for rule, _ in planned}
    assert len(done) == len(planned)


def test_a_killed_controller_is_taken_up_by_the_same_command(base, tmp_path):
    """kill -9 in the midst of training: the same command finishes the study with the same bytes."""
    folder, config = tmp_path / "killed", base[1]
    folder.mkdir()
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "2"]
    command += ["--directory", str(folder), "--configfile", str(config)]
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    controller = subprocess.Popen(command, cwd=ROOT, start_new_session=True, **quiet)
    running = folder / "results/tiny/models/pretrained/mini/s1.part"
    until = time.time() + 240
    while not running.exists() and time.time() < until:
        time.sleep(0.05)
    os.kill(controller.pid, signal.SIGKILL)
    controller.wait()
    assert running.exists() or (folder / "results/tiny/models/pretrained/mini/s1").exists()
    locks = list((folder / ".snakemake/locks").iterdir())
    assert locks
    for path in locks:  # a fresh lock is left alone for ten seconds
        os.utime(path, (time.time() - 60, time.time() - 60))
    run(folder, config)
    assert manifests(folder / "results/tiny") == manifests(base[0] / "results/tiny")
    assert not list((folder / "results").rglob("*.part"))


def test_the_lock_of_a_running_controller_is_respected(base, tmp_path):
    """Another snakemake in the same folder must not take a lock away that is in use."""
    from stilts.reruns import lock

    folder = tmp_path / ".snakemake"
    (folder / "locks").mkdir(parents=True)
    (folder / "locks/0.input.lock").write_text("x")
    os.utime(folder / "locks/0.input.lock", (1, 1))
    lock.hold_lock(folder)
    code = "import sys; from pathlib import Path; from stilts.reruns.lock import release_stale; "
    code += "sys.exit(release_stale(Path(sys.argv[1])))"
    asked = [sys.executable, "-c", code, str(folder)]
    assert subprocess.run(asked, cwd=ROOT, check=False).returncode == 0
    assert (folder / "locks/0.input.lock").exists()
    os.close(lock._handles.pop())
    assert subprocess.run(asked, cwd=ROOT, check=False).returncode == 1
    assert not (folder / "locks/0.input.lock").exists()
