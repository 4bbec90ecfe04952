"""What the preflight reads off a cluster, and how ends of attempts are told apart; no SLURM is needed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from stilts.errors import UserError
from stilts.provenance import ends
from stilts.provenance.ends import ends_of, noted
from stilts.reruns.causes import key_of_plan
from stilts.reruns.plan import plan_of
from stilts.slurm.check import check, try_gpu
from tests.study_case import TINY

ROOT = Path(__file__).resolve().parents[1]
SETTINGS = """Configuration data as of 2026-01-01T00:00:00
AccountingStorageType   = {accounting}
ClusterName             = test
JobRequeue              = 1
MinJobAge               = {age} sec
PreemptMode             = {preempt}
SLURM_VERSION           = 23.11.1
"""
PARTITIONS = "long|7-00:00:00|(null)|up\na100|1-00:00:00|gpu:a100:4(S:0-1)|up\nold|1:00:00|gpu:2|drain"


def answers(accounting="accounting_storage/slurmdbd", age=300, preempt="REQUEUE", partitions=PARTITIONS, sacct=0):
    def ask(*command: str) -> tuple[int, str]:
        said = {
            "scontrol": (0, SETTINGS.format(accounting=accounting, age=age, preempt=preempt)),
            "sacct": (sacct, "sacct: error: slurmdbd: Connection refused"),
            "sinfo": (0, partitions),
        }
        return said[command[0]]

    return ask


def found(**cluster):
    return check(answers(**cluster), have=lambda _: True)


@pytest.mark.parametrize(
    ("cluster", "status", "faulty"),
    [
        ({}, ["slurm-status-command: squeue"], False),
        ({"age": 5}, ["slurm-status-command: sacct"], False),
        ({"sacct": 1}, ["slurm-status-command: squeue"], False),
        ({"accounting": "accounting_storage/none"}, ["slurm-status-command: squeue"], False),
        (
            {"age": 30, "accounting": "accounting_storage/none"},
            ["slurm-status-command: squeue", "slurm-init-seconds-before-status-checks: 10"],
            True,
        ),
    ],
)
def test_the_status_command_is_one_that_answers(cluster, status, faulty):
    findings = found(**cluster)
    assert [line for line in findings.lines if line.startswith(("slurm-status", "slurm-init"))] == status
    assert bool(findings.faults) == faulty


def test_the_lines_name_a_partition_with_gpus_that_is_up_and_one_without():
    findings = found()
    lines = yaml.safe_load("\n".join(findings.lines))
    assert "slurm_partition='long'" in lines["default-resources"]
    assert "train_target:slurm_partition='a100'" in lines["set-resources"]
    assert "partition a100: gpu:a100:4, at most 1-00:00:00" in findings.facts
    assert "partition old: gpu:2, at most 1:00:00, drain" in findings.facts
    profile = yaml.safe_load((ROOT / "profiles/slurm/config.yaml").read_text())
    assert {line.split(":")[0] for line in findings.lines if not line.startswith(" ")} <= set(profile)


def test_what_will_not_work_is_said():
    assert "preempted jobs are cancelled" in found(preempt="CANCEL").faults[0]
    assert "no partition has a GPU" in found(partitions="long|1:00:00|(null)|up").faults[0]
    with pytest.raises(UserError, match="no sbatch, squeue"):
        check(answers(), have=lambda _: None)
    with pytest.raises(UserError, match=r"does not answer: .*cannot contact"):
        check(lambda *_: (1, "slurm_load: cannot contact controller"), have=lambda _: True)


def test_a_gpu_is_asked_for_in_both_ways():
    def only_gres(*command: str) -> tuple[int, str]:
        return (0, "GPU 0: NVIDIA") if "--gres=gpu:1" in command else (1, "srun: error: Invalid --gpus")

    assert try_gpu("a100", only_gres) == "a job with --gres=gpu:1 in partition a100 sees: GPU 0: NVIDIA"
    with pytest.raises(UserError, match="no GPU to be had in partition a100"):
        try_gpu("a100", lambda *_: (1, "srun: error: Unable to allocate"))


# --- ends of attempts


@pytest.fixture
def job(tmp_path, monkeypatch):
    """Return the folder of a job's checkpoints, as inside SLURM."""
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    monkeypatch.setenv(ends.SESSION, "now")
    return tmp_path / "checkpoints" / ("a" * 64)


def attempt(folder: Path, number: int, monkeypatch, error: BaseException | None = None, saves: str = "") -> None:
    monkeypatch.setenv("SLURM_JOB_ID", str(number))
    with noted(folder):
        if saves:
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{saves}.safetensors").touch()
        if error is not None:
            raise error


def test_ends_are_told_apart_and_forgotten_with_success(job, monkeypatch):
    with pytest.raises(SystemExit):
        attempt(job, 1, monkeypatch, SystemExit(138), saves="00-1")
    with pytest.raises(ValueError):
        attempt(job, 2, monkeypatch, ValueError(), saves="00-2")
    assert ends_of(job.parent, job.name) == ["stopped", "failed"]
    monkeypatch.setenv(ends.SESSION, "later")
    assert ends_of(job.parent, job.name) == []
    attempt(job, 3, monkeypatch)
    assert not any((job.parent / ends.FOLDER).iterdir())


def test_a_job_that_is_killed_leaves_word_and_one_that_is_stopped_says_so(job):
    script = "import time, sys; from pathlib import Path; from stilts.provenance.ends import noted\n"
    script += "with noted(Path(sys.argv[1])):\n    print('in', flush=True)\n    time.sleep(60)"
    for number in (signal.SIGKILL, signal.SIGTERM):
        running = subprocess.Popen(
            [sys.executable, "-c", script, str(job)], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert running.stdout.readline() == "in\n"
        running.send_signal(number)
        running.wait(timeout=30)
        assert ends_of(job.parent, job.name) == ["killed" if number == signal.SIGKILL else "stopped"]


def test_two_attempts_without_progress_end_it_for_this_run_of_the_workflow(job, monkeypatch):
    for number, saves in ((1, "00-1"), (2, "00-2"), (3, ""), (4, "")):
        with pytest.raises(SystemExit):
            attempt(job, number, monkeypatch, SystemExit(143), saves)
    with pytest.raises(UserError, match=r"given up: .*SLURM jobs 3, 4\) were stopped and stopped without progress"):
        attempt(job, 5, monkeypatch)
    monkeypatch.setenv(ends.SESSION, "later")
    attempt(job, 6, monkeypatch)


def test_a_preempted_job_that_runs_again_under_its_number_is_no_attempt_in_vain(job, monkeypatch):
    for _ in range(4):
        with pytest.raises(SystemExit):
            attempt(job, 1, monkeypatch, SystemExit(143))
    assert ends_of(job.parent, job.name) == ["stopped"]


def test_outside_slurm_nothing_is_noted(job, monkeypatch):
    monkeypatch.delenv("SLURM_JOB_ID")
    with noted(job), noted(None):
        pass
    assert not job.parent.exists()
    assert ends_of(job.parent, None) == []


def test_memory_grows_after_a_kill_and_time_after_a_time_limit(tmp_path, monkeypatch):
    """Each alone, and neither after a mistake in the settings; what was noted in an earlier run does not count."""
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    with plan_of([TINY], tmp_path) as workflow:
        monkeypatch.setenv(ends.SESSION, os.environ[ends.SESSION])  # put back at the end: the workflow set it
        job = next(job for job in workflow.dag.jobs if job.rule.name == "make_world")

        def asked(attempt: int) -> tuple[int, int]:
            job.attempt = attempt
            return job.resources["mem_mb"], job.resources["runtime"]

        memory, minutes = asked(1)
        key = key_of_plan("make_world", job.params.spec, job.params.code, job.params.versions, job.input)
        folder = Path("results/.checkpoints") / key
        for number, (end, grown) in enumerate(
            [("failed", (1, 1)), ("killed", (2, 1)), ("stopped", (2, 2)), ("killed", (4, 2))], start=2
        ):
            note(folder, end, number)
            assert asked(number) == (grown[0] * memory, grown[1] * minutes), end
        assert asked(1) == (memory, minutes)


def note(folder: Path, end: str, number: int) -> None:
    """Add an attempt that ended in some way."""
    path = folder.parent / ends.FOLDER / f"{folder.name}.json"
    before = json.loads(path.read_text()) if path.exists() else []
    path.parent.mkdir(parents=True, exist_ok=True)
    attempts = [*before, {"session": os.environ[ends.SESSION], "job": str(number), "found": [], "end": end}]
    path.write_text(json.dumps(attempts))
