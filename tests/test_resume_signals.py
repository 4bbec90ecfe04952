"""What signals do to training: by hand, through the resident worker, and when a whole run is stopped."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
import yaml

from stilts.provenance.attempts import FOLDER, MINUTES
from stilts.provenance.manifest import canonical
from stilts.train import resume
from tests.resume_case import ALWAYS, Whole, build, files, in_child, job, keep_all, killed, record, run, same
from tests.study_case import changed
from tests.test_worker import CLIENT, PLAIN, ROOT, start_server, wait_for


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return build(tmp_path_factory.mktemp("resume"))


@pytest.fixture(scope="module")
def whole(root, tmp_path_factory) -> Whole:
    return Whole(root, tmp_path_factory.mktemp("whole"))


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    return keep_all(tmp_path, monkeypatch)


# --- signals


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT], ids=str)
def test_a_signal_saves_at_the_end_of_the_step(root, whole, place, tmp_path, number, monkeypatch):
    monkeypatch.setattr(resume, "WORTH", 0.0)
    monkeypatch.setenv(MINUTES, "60")
    out = tmp_path / "m"
    assert killed(root, "nli", out, after=4, number=number) == 128 + number
    said = (tmp_path / "m.err").read_text()
    line = f"stopped by {number.name} at step 4 of 9; the same command goes on from there\n"
    assert said.count(line) == 1
    assert "Traceback" not in said
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith("m")] == ["m.err"], "nothing half-made is left"
    assert run(root, "nli", out) == 0
    assert same(out, whole("nli"))
    assert record(out)["resumed_from_step"] == 4


def test_a_short_job_stops_at_once_and_writes_nothing(root, place, tmp_path, monkeypatch):
    monkeypatch.setenv(MINUTES, "10")
    assert killed(root, "nli", tmp_path / "m", after=2, number=signal.SIGTERM) == 128 + signal.SIGTERM
    assert "at step 2 of 9; nothing was saved, the same command starts over" in (tmp_path / "m.err").read_text()
    assert not place.exists()


def test_a_signal_in_the_last_step_lets_the_job_finish(root, whole, place, tmp_path):
    assert killed(root, "nli", tmp_path / "m", after=9, number=signal.SIGTERM) == 0
    assert same(tmp_path / "m", whole("nli"))


def test_a_second_signal_ends_at_once(root, place, tmp_path, monkeypatch):
    monkeypatch.setattr(resume, "ECHO", 0.0)

    def twice(self, state, total):
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.01)
        raise AssertionError("still there")

    monkeypatch.setattr(resume.Checkpoints, "after_step", twice)
    assert in_child(lambda: run(root, "nli", tmp_path / "m"), tmp_path / "err") == 128 + signal.SIGTERM
    assert "Traceback" not in (tmp_path / "err").read_text()


def test_never_means_never(root, place, tmp_path, monkeypatch):
    monkeypatch.setenv(MINUTES, "0")
    assert killed(root, "nli", tmp_path / "m", after=5, number=signal.SIGUSR1) == 128 + signal.SIGUSR1
    assert "stopped by" not in (tmp_path / "m.err").read_text()
    assert not place.exists()


# --- through the workflow's worker


def start(root: Path, output: Path, socket: Path, place: Path) -> subprocess.Popen:
    """Start a training job as the workflow does."""
    name, spec, inputs = job(root, "long")
    options = ["--spec", canonical(spec), "--output", str(output / "manifest.json")]
    for key, folder in inputs.items():
        options += [f"--{key.replace('_', '-')}", str(folder / "manifest.json")]
    environment = {**PLAIN, "PYTHONPATH": str(ROOT), "STILTS_WORKER": str(socket), FOLDER: str(place), MINUTES: ALWAYS}
    command = [sys.executable, "-S", "-E", str(CLIENT), "-m", f"scripts.{name}", *options]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, cwd=ROOT, env={**environment, "OMP_NUM_THREADS": "1"}, **pipes)


def test_signals_reach_a_job_in_the_worker(root, whole, tmp_path):
    server, socket = start_server(tmp_path)
    try:
        place, out = tmp_path / "state", tmp_path / "m"
        for attempt, number in enumerate((signal.SIGTERM, signal.SIGUSR1, signal.SIGKILL), start=1):
            process = start(root, out, socket, place)
            wait_for(partial(progressed, place, set(files(place))), "a checkpoint")
            process.send_signal(number)
            _, said = process.communicate(timeout=60)
            if number == signal.SIGKILL:  # of the client: the worker tells the job
                assert process.returncode == -signal.SIGKILL
                wait_for(lambda: not list(tmp_path.glob("m.part")), "the end of the job")
            else:
                assert process.returncode == 128 + number
                assert f"stopped by {number.name} at step" in said
                assert "the same command goes on from there" in said
            assert ("goes on from step" in said) == (attempt > 1)
        done = start(root, out, socket, place)
        assert done.wait(60) == 0, done.communicate()
        assert same(out, whole("long"))
        assert record(out)["attempts"] == 4
    finally:
        server.terminate()
        server.wait(20)


def progressed(place: Path, known: set[Path]) -> bool:
    return len(set(files(place)) - known) > 1


# --- through Snakemake


def test_ctrl_c_and_the_same_command_again(tmp_path):
    config = changed(tmp_path / "c.yaml", runtime={"checkpoint_minutes": 0.001, "checkpoints": "kept/elsewhere"})
    raw = yaml.safe_load(config.read_text())
    raw["backbones"]["mini"]["pretraining"]["steps"] = 200
    config.write_text(yaml.safe_dump(raw))
    model = tmp_path / "results/tiny/models/pretrained/mini/s1/manifest.json"
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--directory", str(tmp_path)]
    command += ["--configfile", str(config), "--cores", "2", str(model.relative_to(tmp_path))]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    first = subprocess.Popen(command, cwd=ROOT, start_new_session=True, **pipes)
    wait_for(lambda: len(files(tmp_path / "kept/elsewhere")) == 2 or first.poll() is not None, "checkpoints", 120)
    os.killpg(first.pid, signal.SIGINT)
    said, _ = first.communicate(timeout=120)
    assert first.returncode != 0
    assert "error: stopped by SIGINT at step" in said
    assert "the resident worker ended" not in said
    second = subprocess.run(command, cwd=ROOT, check=False, timeout=120, **pipes)
    assert second.returncode == 0, second.stdout
    facts = record(model.parent)
    assert facts["attempts"] == 2
    assert 0 < facts["resumed_from_step"] < 200
    assert not list((tmp_path / "kept/elsewhere").iterdir())
    steps = [json.loads(line)["step"] for line in (model.parent / "history.jsonl").read_text().splitlines()]
    assert steps == [25, 50, 75, 100, 125, 150, 175, 200]
