"""On a real SLURM: the study to its report; several runs at once; all that may happen to a job, and to Snakemake."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.slurm_cluster import cluster, kill_node, lacking, send
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
ARMS = ("none/pawsx", "none/tatoeba", "multi/tatoeba")
PRETRAINED = "results/tiny/models/pretrained/mini/s1"
# Snakemake's SLURM executor asks for the state of jobs every 10 s later than before; tests ask every second.
CONTROLLER = """
from snakemake.cli import main
from snakemake_executor_plugin_slurm import Executor
Executor.next_seconds_between_status_checks = property(lambda self: 1, lambda self, seconds: None)
main()
"""
STARTED: list[subprocess.Popen] = []
WAIT = 150.0  # seconds until something that must happen has happened


@pytest.fixture(scope="module", autouse=True)
def slurm(tmp_path_factory):
    """Run a cluster for the tests of this file; return the folder of its files."""
    reason = lacking()
    if reason:
        pytest.skip(f"no SLURM: {reason}")
    base = tmp_path_factory.mktemp("cluster")
    with cluster(base):
        yield base
        for process in STARTED:  # a test that failed leaves some
            process.kill()


@dataclass
class Controller:
    """A run of Snakemake and the file that holds what it prints, after what was there before."""

    process: subprocess.Popen
    output: Path

    def told(self) -> str:
        """Return what is in the file so far."""
        return self.output.read_text()

    def ended(self, status: int = 0) -> str:
        """Wait for the end of the run; return what is in the file."""
        found = self.process.wait(timeout=330)
        assert found == status, self.told()[-6000:]
        return self.told()


def start(
    folder: Path, config: Path, *arguments: str, how: Sequence[str] = QUICK, output: str = "output.txt"
) -> Controller:
    """Start a study, through the profile unless told otherwise; what it prints goes to a file in its folder."""
    folder.mkdir(exist_ok=True)
    command = [sys.executable, "-c", CONTROLLER, *arguments, "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(folder), "--configfile", str(config), *how]
    with (folder / output).open("a") as file:
        process = subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=subprocess.STDOUT)
    STARTED.append(process)
    return Controller(process, folder / output)


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


def asked(job: str) -> tuple[int, int]:
    """Return the MB and the minutes that a job asked for."""
    said = slurm_says("scontrol", "--oneliner", "show", "job", job)
    memory, unit = re.search(r"MinMemoryNode=(\d+)([MG])", said).groups()
    hours, minutes, _ = re.search(r"TimeLimit=(\d+):(\d+):(\d+)", said).groups()
    return int(memory) * (1024 if unit == "G" else 1), 60 * int(hours) + int(minutes)


def test_the_preflight_reads_a_real_cluster_and_gets_a_gpu():
    done = subprocess.run(
        [sys.executable, "-m", "scripts.slurm_check"],
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=False,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "sacct does not answer" in done.stdout
    assert "SLURM remembers ended jobs for 300 s" in done.stdout
    assert "preemption: REQUEUE; jobs are queued again by default" in done.stdout
    assert "partition gpu: gpu:2, at most 2:00:00" in done.stdout
    assert "slurm-status-command: squeue" in done.stdout
    assert re.search(r"a job with --gpus=1 in partition \w+ sees: devices \d", done.stdout) or shutil.which(
        "nvidia-smi"
    )


def test_the_study_runs_to_its_report_with_the_scores_of_a_local_run(tmp_path):
    shared = {"grid": GRID, "budget": BUDGET, "store": str(tmp_path / "store")}
    shared["runtime"] = {"gpus": 1, "checkpoints": str(tmp_path / "checkpoints")}
    study = start(tmp_path / "slurm", changed(tmp_path / "c.yaml", **shared))
    done = snakemake(tmp_path / "local", configfile=changed(tmp_path / "l.yaml", grid=GRID, budget=BUDGET))
    assert done.returncode == 0, done.stdout[-3000:]
    said = study.ended()
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
        described = slurm_says("scontrol", "show", "job", job)
        assert ("gres:gpu" in described) == (what not in ("train_tokenizer", "tokens")), (what, described)

    # Three at once: two runs in one working copy; one in another, which shares store and checkpoints, without SLURM.
    # A job of the first fails for good: it is tried again, given up, and what does not need it goes on.
    shared |= {
        "target": {"defaults": {"max_length": 8}},
        "retrieval": {"pooling": "first", "layer": 1, "layers": "all"},
    }
    config = changed(tmp_path / "c.yaml", **shared)
    pawsx, none, multi = (f"results/tiny/scores/mini/{s}/dfull-lfull-fp32/s1/manifest.json" for s in ARMS)
    first = start(tmp_path / "slurm", config, pawsx, none, "--retries", "2", output="first.txt")
    second = start(tmp_path / "slurm", config, multi, output="second.txt")
    shared["runtime"]["gpus"] = 0
    other = start(tmp_path / "other", changed(tmp_path / "o.yaml", **shared), none, how=["--cores", "1"])
    said = first.ended(status=1)
    assert "error: max_length 8 is too short for any task" in said
    assert "error: given up: the last 2 attempts (SLURM jobs" in said
    assert "were failed and failed without progress" in said
    assert "Mend the cause, then run the same command again" in said
    second.ended()
    other.ended()
    assert (tmp_path / "slurm" / multi).is_file()
    assert (tmp_path / "slurm" / none).read_bytes() == (tmp_path / "other" / none).read_bytes()
    assert json.loads((tmp_path / "other" / PRETRAINED / "run.json").read_text())["reused"]


def test_training_survives_all_that_may_happen_to_its_job_and_the_loss_of_its_controller(tmp_path, slurm):
    pretraining = {"steps": 64, "batch_tokens": 32768, "layers": 2, "hidden_size": 64, "heads": 2, "ffn_size": 128}
    mini = {"source": "pretrain", "layers": 2, "pretraining": {**pretraining, "max_positions": 128, "vocabulary": 1200}}
    config = changed(
        tmp_path / "c.yaml",
        grid={**GRID, "recipes": ["none"]},
        backbones={"mini": mini},
        runtime={"checkpoint_minutes": 0.01},
    )
    target = f"{PRETRAINED}/manifest.json"
    local, folder = tmp_path / "local", tmp_path / "slurm"
    done = snakemake(local, "--", "results/tiny/tokens/mini/mlm_text/manifest.json", configfile=config)
    assert done.returncode == 0, done.stdout[-3000:]
    shutil.copytree(local, folder)
    reference = start(local, config, target, how=["--cores", "1"])
    slurm_says("scontrol", "update", "partitionname=cpu", "state=down")
    study = start(folder, config, target)

    def jobs() -> list[str]:
        return re.findall(r"SLURM jobid (\d+)", study.told())

    def steps() -> set[str]:
        return {p.name for p in folder.glob("results/.checkpoints/*/*.safetensors")}

    def gets_on(job: str) -> None:
        """Wait for a checkpoint, then hold training: what is to happen to it may take longer than the rest.

        SLURM lets go on what it sends a signal to.
        """
        before = steps()
        until(lambda: steps() - before, "a checkpoint")
        send(job, signal.SIGSTOP, "scripts.pretrain")

    # It is allowed less memory than it asked for and needs.
    until(lambda: len(jobs()) == 1, "a submission")
    memory, minutes = asked(jobs()[0])
    slurm_says("scontrol", "update", f"jobid={jobs()[0]}", "MinMemoryNode=700")
    slurm_says("scontrol", "update", "partitionname=cpu", "state=up")
    until(lambda: len(jobs()) == 2, "the job again, after its memory was spent")
    saved = bool(steps())  # an attempt that left no checkpoint is no attempt to whoever goes on
    assert any("exceeded memory limit" in log.read_text() for log in slurm.glob("log/slurmd.*.log"))
    more = asked(jobs()[1])[0]
    assert 1.5 * memory < more <= 2 * memory
    assert asked(jobs()[1]) == (more, minutes)

    gets_on(jobs()[1])
    slurm_says("scontrol", "update", f"jobid={jobs()[1]}", "TimeLimit=1")  # which is over, or soon will be
    until(lambda: len(jobs()) == 3, "the job again, after its time limit")
    assert state(jobs()[1]) in ("TIMEOUT", "FAILED")
    assert asked(jobs()[2]) == (more, 2 * minutes)

    gets_on(jobs()[2])
    slurm_says("scancel", jobs()[2])
    until(lambda: len(jobs()) == 4, "the job again, after it was cancelled")
    last = jobs()[3]

    gets_on(last)
    urgent = ["--partition=high", "--exclusive", "--nodes=2", "--output=/dev/null", "--wrap", "sleep 1"]
    slurm_says("sbatch", "--mem=0", *urgent)
    until(lambda: state(last) != "RUNNING", "the preemption")
    until(lambda: state(last) == "RUNNING", "the job again, after its preemption")

    gets_on(last)
    node = slurm_says("squeue", "--noheader", "--jobs", last, "--format=%N")
    kill_node(slurm, node, last)
    until(lambda: state(last) == "RUNNING", "the job on the other node")
    assert slurm_says("squeue", "--noheader", "--jobs", last, "--format=%N") != node

    gets_on(last)
    study.process.kill()
    study.process.wait()
    assert state(last) == "RUNNING"
    send(last, signal.SIGCONT, "scripts.pretrain")
    waited = subprocess.run(
        [sys.executable, "-m", "scripts.slurm_wait", "--directory", str(folder)],
        cwd=ROOT,
        text=True,
        capture_output=True,
        check=True,
        timeout=200,
    )
    assert f"({last})" in waited.stderr
    start(folder, config, target).ended()
    assert jobs()[-1] == last, "what runs is not submitted twice"
    reference.ended()
    for name in ("manifest.json", "history.jsonl", "model.safetensors"):
        assert (folder / PRETRAINED / name).read_bytes() == (local / PRETRAINED / name).read_bytes(), name
    run = json.loads((folder / PRETRAINED / "run.json").read_text())
    assert run["attempts"] == 5 + saved
    assert not list((folder / "results/.checkpoints").rglob("*.*")), "nothing is left of a job that is done"
