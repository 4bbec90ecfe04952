"""On a real SLURM: the study to its report; jobs that are stopped, cancelled, preempted, hopeless or left alone."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.slurm_cluster import cluster, lacking
from tests.study_case import ROOT, changed, manifests, snakemake

QUICK = [
    "--workflow-profile",
    str(ROOT / "profiles" / "slurm"),
    "--slurm-init-seconds-before-status-checks",
    "2",
    "--seconds-between-status-checks",
    "2",
]
QUICK += ["--latency-wait", "10", "--slurm-keep-successful-logs"]
GRID = {"recipes": ["none", "multi"], "targets": ["pawsx", "tatoeba"], "seeds": [1], "controls": []}
BUDGET = {"depths": ["full"], "measure": False}  # what is measured differs from run to run
PRETRAINED = "results/tiny/models/pretrained/mini/s1"
WAIT = 150.0  # seconds until something that must happen has happened


@pytest.fixture(scope="module", autouse=True)
def slurm(tmp_path_factory):
    """Run a cluster for the tests of this file."""
    reason = lacking()
    if reason:
        pytest.skip(f"no SLURM: {reason}")
    with cluster(tmp_path_factory.mktemp("cluster")):
        yield


def start(folder: Path, config: Path, *arguments: str, how: Sequence[str] = QUICK) -> subprocess.Popen:
    """Start a study, through the profile unless told otherwise; what it prints goes to output.txt in its folder."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-m", "snakemake", *arguments, "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(folder), "--configfile", str(config), *how]
    with (folder / "output.txt").open("a") as output:
        return subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)


def told(folder: Path) -> str:
    """Return what a study printed so far."""
    output = folder / "output.txt"
    return output.read_text() if output.exists() else ""


def ended(study: subprocess.Popen, folder: Path, status: int = 0) -> str:
    """Wait for a study; return what it printed."""
    found = study.wait(timeout=330)
    assert found == status, told(folder)[-6000:]
    return told(folder)


def until(happened: Callable[[], Any], what: str) -> Any:
    """Wait until something is true; return it."""
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        found = happened()
        if found:
            return found
        time.sleep(0.2)
    raise AssertionError(f"not within {WAIT} s: {what}; queue: {slurm_says('squeue')}")


def slurm_says(*command: str) -> str:
    """Return the output of a SLURM command."""
    return subprocess.run(command, text=True, capture_output=True, check=True, timeout=60).stdout.strip()


def state(job: str) -> str:
    """Return what SLURM says of a job."""
    return slurm_says("squeue", "--states=all", "--noheader", "--jobs", job, "--format=%T")


def test_the_study_runs_to_its_report_with_the_scores_of_a_local_run(tmp_path):
    config = changed(tmp_path / "c.yaml", grid=GRID, budget=BUDGET, runtime={"gpus": 1})
    study = start(tmp_path / "slurm", config)
    done = snakemake(tmp_path / "local", configfile=config)
    assert done.returncode == 0, done.stdout[-3000:]
    said = ended(study, tmp_path / "slurm")
    local, there = (manifests(tmp_path / where / "results" / "tiny") for where in ("local", "slurm"))
    for found in (local, there):
        del found["costs/manifest.json"]  # seconds of training are in it
    assert there == local
    assert (tmp_path / "slurm/results/tiny/scores.csv").read_bytes() == (
        tmp_path / "local/results/tiny/scores.csv"
    ).read_bytes()
    assert (tmp_path / "slurm/results/tiny/report/index.html").is_file()
    jobs = dict(re.findall(r"SLURM jobid (\d+) \(log: \S*?(?:rule|group)_([a-z]+(?:_intermediate|_tokenizer)?)", said))
    assert sorted(jobs.values()) == sorted(
        ["train_tokenizer", "tokens", "pretrain", "train_intermediate", *["tuned"] * 2, *["mined"] * 2]
    )
    for job, what in jobs.items():
        asked = slurm_says("scontrol", "show", "job", job)
        assert ("gres:gpu" in asked) == (what not in ("train_tokenizer", "tokens")), (what, asked)

    # A job that fails for good: it is tried again, given up, and what does not need it goes on.
    config = changed(
        tmp_path / "c.yaml",
        grid={**GRID, "recipes": ["none"]},
        budget=BUDGET,
        target={"defaults": {"max_length": 8}},
        retrieval={"pooling": "first", "layer": 1, "layers": "all"},
    )
    study = start(tmp_path / "slurm", config, "--retries", "2")
    said = ended(study, tmp_path / "slurm", status=1)[len(said) :]
    assert "error: max_length 8 is too short for any task" in said
    assert "error: given up: the last 2 attempts (SLURM jobs" in said
    assert "were failed and failed without progress" in said
    assert "Mend the cause, then run the same command again" in said
    assert (tmp_path / "slurm/results/tiny/scores/mini/none/tatoeba/dfull-lfull-fp32/s1/manifest.json").is_file()


def test_training_survives_its_time_limit_a_cancellation_preemption_and_the_loss_of_its_controller(tmp_path):
    pretraining = {"steps": 1200, "batch_tokens": 1024, "layers": 2, "hidden_size": 64, "heads": 2, "ffn_size": 128}
    mini = {"source": "pretrain", "layers": 2, "pretraining": {**pretraining, "max_positions": 128, "vocabulary": 1200}}
    config = changed(
        tmp_path / "c.yaml",
        grid={**GRID, "recipes": ["none"]},
        backbones={"mini": mini},
        runtime={"checkpoint_minutes": 0.05},
    )
    target = f"{PRETRAINED}/manifest.json"
    local, folder = tmp_path / "local", tmp_path / "slurm"
    done = snakemake(local, "--", "results/tiny/tokens/mini/mlm_text/manifest.json", configfile=config)
    assert done.returncode == 0, done.stdout[-3000:]
    shutil.copytree(local, folder)
    reference = start(local, config, target, how=["--cores", "1"])
    study = start(folder, config, target)

    def jobs() -> list[str]:
        return re.findall(r"SLURM jobid (\d+)", told(folder))

    def steps() -> set[str]:
        return {p.name for p in folder.glob("results/.checkpoints/*/*.safetensors")}

    def gets_on(seen: set[str]) -> set[str]:
        return until(lambda: steps() - seen and steps(), "a checkpoint")

    until(lambda: len(jobs()) == 1, "a submission")
    seen = gets_on(set())
    slurm_says("scontrol", "update", f"jobid={jobs()[0]}", "TimeLimit=1")  # which is over, or soon will be
    until(lambda: len(jobs()) == 2, "the job again, after its time limit")
    assert state(jobs()[0]) in ("TIMEOUT", "FAILED")
    seen = gets_on(seen | steps())
    slurm_says("scancel", jobs()[1])
    until(lambda: len(jobs()) == 3, "the job again, after it was cancelled")
    seen = gets_on(seen | steps())
    urgent = ["--partition=high", "--exclusive", "--nodes=2", "--output=/dev/null", "--wrap", "sleep 3"]
    slurm_says("sbatch", "--mem=0", *urgent)
    until(lambda: state(jobs()[2]) != "RUNNING", "the preemption")
    seen = gets_on(seen | steps())
    study.send_signal(signal.SIGKILL)
    study.wait()
    assert state(jobs()[2]) == "RUNNING"
    waited = subprocess.run(
        [sys.executable, "-m", "scripts.slurm_wait", "--directory", str(folder)],
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=True,
        timeout=200,
    )
    assert f"({jobs()[2]})" in waited.stderr
    study = start(folder, config, target)
    ended(study, folder)
    assert len(jobs()) == 3, "what runs is not submitted twice"
    assert reference.wait(timeout=200) == 0
    for name in ("manifest.json", "history.jsonl", "model.safetensors"):
        assert (folder / PRETRAINED / name).read_bytes() == (local / PRETRAINED / name).read_bytes(), name
    run = json.loads((folder / PRETRAINED / "run.json").read_text())
    assert run["attempts"] == 4
    assert not list((folder / "results/.checkpoints").rglob("*.*")), "nothing is left of a job that is done"
