"""The overview of a run: counts, what runs and failed, best scores, the expected end; plain lines in a pipe."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import statistics
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from scripts import status as script
from stilts.reruns.lock import HELD, held
from stilts.reruns.status import DONE, FAILED, RUNNING, WAITING, Job, Watch, _left
from stilts.results import load
from tests.study_case import TINY

SCORED = "results/tiny/scores/mini/none/pawsx/dfull-lfull-fp32/s1"


@pytest.fixture
def study(finished, tmp_path) -> Path:
    """Return a copy of the finished study in which one model and all that follows from it must be made."""
    ignored = shutil.ignore_patterns(".store", "log")
    shutil.copytree(finished, tmp_path / "study", ignore=ignored)
    for place in ("models/target/mini/none/pawsx/dfull", "predictions/mini/none/pawsx/dfull-lfull-fp32"):
        shutil.rmtree(tmp_path / "study/results/tiny" / place / "s1")
    shutil.rmtree(tmp_path / "study" / SCORED)
    return tmp_path / "study"


@contextmanager
def locked(path: Path):
    """Hold a lock as the process does that makes a result, or that runs the workflow."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def counts(watch: Watch, state: str) -> list[str]:
    return sorted(job.rule for job in watch.look().jobs[state])


def finish(source: Path, study: Path, place: str) -> None:
    shutil.rmtree(study / place, ignore_errors=True)
    shutil.copytree(source / place, study / place, copy_function=shutil.copyfile)


def test_jobs_are_done_running_waiting_or_failed(study, finished):
    watch = Watch([TINY], study)
    status = watch.look()
    waiting = counts(watch, WAITING)
    assert waiting[:2] == ["claims", "costs"]
    assert {"train_target", "predict", "score", "summarise", "report"} <= set(waiting)
    assert len(status.jobs[DONE]) + len(waiting) == len(watch.jobs)
    assert not status.jobs[RUNNING]
    assert not status.jobs[FAILED]
    assert not status.controller
    place = "results/tiny/models/target/mini/none/pawsx/dfull/s1"
    with locked(study / f"{place}.part/lock.part"), locked(study / ".snakemake" / HELD):
        assert counts(watch, RUNNING) == ["train_target"]
        assert watch.look().controller
    log = study / "results/tiny/logs/train_target/mini/none/pawsx/dfull/s1.log"
    log.write_text("train: 3/9, 2 s left\nerror: training diverged\n")
    assert counts(watch, FAILED) == ["train_target"]
    log.write_text("train: 3/9, 2 s left\n")
    finish(finished, study, place)
    assert "train_target" not in counts(watch, WAITING)
    # A result that is there but must be made again is done when another has taken its place.
    assert "report" in counts(watch, WAITING)
    os.utime(study / "results/tiny/report/manifest.json")
    assert "report" not in counts(watch, WAITING)
    assert len(watch.look().jobs[DONE]) == len(status.jobs[DONE]) + 2


def test_the_best_recipes_are_those_of_the_tables(study, finished):
    watch = Watch([TINY], study)
    before = {b.target: b for b in watch.look().best}
    finish(finished, study, SCORED)
    after = {b.target: b for b in watch.look().best}
    table = load(finished / "results/tiny").table("targets")
    rows = table.query("average == 'zero-shot' and headline and role == 'recipe'")
    for target, members in rows.groupby("target"):
        assert after[target].score == pytest.approx(members["mean"].max(), rel=1e-5)
        none = members.query("recipe == 'none' and budget_point == @after[@target].arm.budget_point")["mean"].item()
        assert after[target].baseline == pytest.approx(none, rel=1e-5)
        assert after[target].seeds == 2
    assert before["udpos"] == after["udpos"]
    assert before.keys() == after.keys()


def test_the_expected_end_is_the_mean_time_of_finished_jobs(tmp_path):
    def jobs(rule: str, *names: str) -> list[Job]:
        return [Job(rule, tmp_path / rule / n / "manifest.json", tmp_path / "log", True, None) for n in names]

    done = jobs("score", "a", "b") + jobs("predict", "a", "b", "c")
    for job, seconds in zip(done, (10, 30, 100, 200, 5), strict=True):
        job.folder.mkdir(parents=True)
        facts = {"wall_seconds": seconds} | ({"reused": True} if seconds == 5 else {})
        (job.folder / "run.json").write_text(json.dumps(facts))
    running = jobs("predict", "d", "e")
    for job, age in zip(running, (140, 500), strict=True):
        job.lock.parent.mkdir(parents=True)
        job.lock.touch()
        os.utime(job.lock, (time.time() - age,) * 2)
    waiting = jobs("score", "c", "d", "e")
    left, unknown = _left({DONE: done, RUNNING: running, WAITING: waiting})
    assert left == pytest.approx((3 * statistics.mean([10, 30]) + (150 - 140) + 0) / 2, abs=2)
    assert unknown == []
    assert _left({DONE: done, RUNNING: running, WAITING: []})[0] == pytest.approx(10, abs=2)
    assert _left({DONE: done, RUNNING: [], WAITING: [*waiting, *jobs("report", "x")]}) == (60, ["report"])
    assert _left({DONE: [], RUNNING: running, WAITING: []}) == (None, ["predict"])


def test_watching_ends_with_the_run_and_prints_plain_lines(study, finished, monkeypatch, capsys):
    place = "results/tiny/models/target/mini/none/pawsx/dfull/s1"
    controller, job = locked(study / ".snakemake" / HELD), locked(study / f"{place}.part/lock.part")
    controller.__enter__()
    job.__enter__()
    (study / "results/tiny/logs/train_target/mini/none/pawsx/dfull/s1.log").write_text("train: 3/9, 2 s left\n")

    def let_time_pass(seconds):
        assert seconds == 5
        if (study / place).exists():
            controller.__exit__(None, None, None)
            return
        job.__exit__(None, None, None)
        shutil.rmtree(study / f"{place}.part")
        finish(finished, study, place)

    monkeypatch.setattr(script.time, "sleep", let_time_pass)
    assert script.main(["--configfile", str(TINY), "--directory", str(study), "--watch"]) == 0
    told = capsys.readouterr().out
    first, second, *last = told.splitlines()
    assert ", 1 running, " in first
    assert " left, until " in first
    assert "running" not in second
    assert last[0].endswith("nothing runs now")
    assert "\033" not in told
    assert not held(study / ".snakemake")


def test_the_overview_names_what_runs_and_what_failed(study, capsys):
    place = "results/tiny/models/target/mini/none/pawsx/dfull/s1"
    logs = study / "results/tiny/logs"
    (logs / "train_target/mini/none/pawsx/dfull/s1.log").write_text("x\ntrain: 3/9, 2 s left, loss 1.2\n")
    (logs / "predict/mini/none/pawsx/dfull-lfull-fp32/s1.log").write_text("Traceback (most recent\n  x\nKeyError: 1\n")
    with locked(study / f"{place}.part/lock.part"):
        assert script.main(["--configfile", str(TINY), "--directory", str(study)]) == 0
    told = capsys.readouterr().out
    assert "Running:\n  train_target models/target/mini/none/pawsx/dfull/s1   train: 3/9, 2 s left, loss 1.2" in told
    assert "Failed:\n  predict predictions/mini/none/pawsx/dfull-lfull-fp32/s1   KeyError: 1" in told
    assert "Best recipe so far" in told
    assert script.main(["--configfile", str(TINY.with_name("nothing.yaml"))]) == 2
    assert capsys.readouterr().err.startswith("error: ")
