"""Stopped and killed training ends in the same bytes as training left alone; whatever goes wrong is said."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file

from scripts import checkpoints as listing
from stilts.provenance.attempts import FOLDER, LOCK, MINUTES, Attempts
from stilts.train.optimizer import AdamW
from stilts.train.resume import Checkpoints
from stilts.train.state import State
from stilts.train.tensorfile import is_whole, write_tensors
from tests.resume_case import ALWAYS, Whole, build, files, in_child, job, keep_all, killed, record, run, same, struck
from tests.test_engine_scripts import script

KEY = "0" * 64


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    return build(tmp_path_factory.mktemp("resume"))


@pytest.fixture(scope="module")
def whole(root, tmp_path_factory) -> Whole:
    return Whole(root, tmp_path_factory.mktemp("whole"))


@pytest.fixture
def place(tmp_path, monkeypatch) -> Path:
    return keep_all(tmp_path, monkeypatch)


# --- the same bytes

CASES = [("nli", 5), ("story", 4), ("pos", 3), ("squad", 5), ("answers", 4), ("entities", 5), ("multi", 17)]
# Logged every 25 steps: the mean of the last losses spans the attempts.
CASES += [
    ("pretrain", 31),
    ("pretrain", 9),
    ("co-trained", 9),
    ("impatient", 2),
    ("chain", 2),
    ("chain", 8),
    ("chain", 16),
]


@pytest.mark.parametrize(("what", "step"), CASES, ids=str)
def test_killed_and_gone_on_with_is_as_if_nothing_had_happened(root, whole, place, tmp_path, what, step):
    out = tmp_path / "m"
    # Two steps after the last checkpoint are lost and done again.
    assert killed(root, what, out, after=step + 2, saving=range(step + 1)) == 128 + signal.SIGKILL
    assert len(files(place)) == 2
    assert run(root, what, out) == 0
    assert same(out, whole(what))
    again = record(out)
    assert again["attempts"] == 2
    # The first task of the chain is out of patience after 4 steps, the second has 9.
    before = max(n for n in (0, 4, 13) if n < step) if what == "chain" else 0
    assert again["resumed_from_step"] == step - before
    assert not any(place.iterdir()), "deleted on success"


def test_many_attempts_count_their_costs_together(root, whole, place, tmp_path):
    out, before = tmp_path / "m", 0.0
    for attempt in range(1, 5):
        assert killed(root, "nli", out, after=2, saving=range(2)) == 128 + signal.SIGKILL
        facts = json.loads(bytes(load_file(files(place)[-1])["facts"].numpy()))
        assert facts["attempts"] == attempt
        assert facts["numbers"]["step"] == attempt
        assert facts["seconds"]["cpu_seconds"] > before
        before = facts["seconds"]["cpu_seconds"]
    assert run(root, "nli", out) == 0
    assert same(out, whole("nli"))
    assert record(out)["attempts"] == 5
    assert record(out)["cpu_seconds"] > before


def test_the_optimizer_and_the_random_state_are_part_of_it(root, whole, place, tmp_path, monkeypatch):
    """The comparison above can fail: without moments, or without torch's random state, other bytes come out."""
    for lost in ("first.", "second.", "count.", "random."):
        out = tmp_path / lost
        assert killed(root, "nli", out, after=5, saving=range(4)) == 128 + signal.SIGKILL
        with monkeypatch.context() as patch:
            if lost == "random.":
                patch.setattr(torch, "set_rng_state", lambda state: None)
            else:
                state = State.moved
                patch.setattr(
                    State,
                    "moved",
                    lambda s, f=state, n=lost: {k: (v.clone() if k.startswith(n) else v) for k, v in f(s).items()},
                )
            assert run(root, "nli", out) == 0
        assert not same(out, whole("nli")), lost


# --- what is wrong with a checkpoint


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-9])


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def foreign(path: Path) -> None:
    """Write what another job left, whole."""
    tensors = load_file(path)
    facts = json.loads(bytes(tensors["facts"].numpy())) | {"key": "0" * 64}
    tensors["facts"] = torch.frombuffer(bytearray(json.dumps(facts).encode()), dtype=torch.uint8)
    write_tensors(path.parent, path.stem.rpartition("-")[0], tensors)
    path.unlink()


FAULTS = [(cut, "is damaged"), (flip, "is damaged"), (foreign, "is another job's")]


@pytest.mark.parametrize(("spoil", "says"), FAULTS, ids=["cut", "flip", "foreign"])
def test_one_that_does_not_hold_is_refused_and_the_one_before_it_used(
    root, whole, place, tmp_path, capsys, spoil, says
):
    out = tmp_path / "m"
    killed(root, "nli", out, after=6, saving=range(5))
    spoil(files(place)[-1])
    assert run(root, "nli", out) == 0
    said = capsys.readouterr().err
    assert said.count(says) == 1
    assert "goes on from step 3" in said
    assert same(out, whole("nli"))


def test_when_none_holds_it_starts_over_and_says_so(root, whole, place, tmp_path, capsys):
    out = tmp_path / "m"
    killed(root, "nli", out, after=6)
    for path in files(place):
        flip(path)
    assert run(root, "nli", out) == 0
    said = capsys.readouterr().err
    assert said.count("is damaged") == 2
    assert "no checkpoint can be used: training starts over" in said
    assert same(out, whole("nli"))
    assert "attempts" not in record(out)


def test_another_setting_never_goes_on_from_it(root, place, tmp_path):
    killed(root, "nli", tmp_path / "m", after=6)
    left = files(place)
    name, spec, inputs = job(root, "nli")
    assert script(name, {**spec, "seed": 2}, tmp_path / "m", **inputs) == 0
    assert "attempts" not in record(tmp_path / "m")
    assert files(place) == left


def test_killed_while_it_wrote(root, whole, place, tmp_path):
    """Half a file under another name harms nobody, and is gone after the next saving."""
    out = tmp_path / "m"
    killed(root, "nli", out, after=4)
    half = files(place)[-1].with_name("00-000000009.part")
    half.write_bytes(b"half")
    assert killed(root, "nli", out, after=2) == 128 + signal.SIGKILL
    assert not half.exists()
    assert len(files(place)) == 2
    assert run(root, "nli", out) == 0
    assert same(out, whole("nli"))


# --- where nothing can be written


def test_a_full_disk_costs_a_message_and_the_old_one_stays(root, whole, place, tmp_path):
    out, calls, original = tmp_path / "m", [], os.fsync

    def full(handle: int) -> None:
        calls.append(handle)
        if len(calls) > 2:  # a file and its folder were written
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        original(handle)

    def work() -> int:
        os.fsync = full
        struck(5, signal.SIGTERM)
        return run(root, "nli", out)

    assert in_child(work, tmp_path / "err") == 128 + signal.SIGTERM
    said = (tmp_path / "err").read_text()
    assert said.count("(No space left on device); the one before it stays") == 4
    assert "stopped by SIGTERM at step 5 of 9; the same command goes on from step 1\n" in said
    assert [p.name[:12] for p in files(place)] == ["00-000000001"]
    assert not list(place.glob("*/*.part"))
    assert is_whole(files(place)[0])
    assert run(root, "nli", out) == 0
    assert same(out, whole("nli"))


def test_a_folder_that_cannot_be_made_costs_a_message(root, whole, tmp_path, capsys, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv(FOLDER, str(tmp_path / "file"))
    monkeypatch.setenv(MINUTES, ALWAYS)
    assert run(root, "nli", tmp_path / "m") == 0
    assert "no checkpoint at step 1" in capsys.readouterr().err
    assert same(tmp_path / "m", whole("nli"))


def test_a_folder_that_is_not_for_us_to_see_costs_a_message(place, tmp_path):
    folder = place / "theirs" / ("a" * 64)
    folder.mkdir(parents=True)
    folder.parent.chmod(0)

    def work() -> int:
        if not os.geteuid():
            os.seteuid(65534)
        checkpoints = Checkpoints(Attempts(folder, folder.name, 60.0))
        return 0 if checkpoints.found is None else 1

    try:
        assert in_child(work, tmp_path / "err") == 0, (tmp_path / "err").read_text()
    finally:
        folder.parent.chmod(0o700)
    assert f"note: {folder} cannot be used (Permission denied)" in (tmp_path / "err").read_text()


def test_a_folder_that_is_deleted_under_a_job_is_made_anew(root, whole, place, tmp_path):
    """Whoever needs room may delete it: it costs time, and no more of it than until the next saving."""
    out, after_step, steps = tmp_path / "m", Checkpoints.after_step, iter(range(1, 100))

    def deleted(self, state, total) -> None:
        step = next(steps)
        if step == 4:
            shutil.rmtree(self.folder)
        after_step(self, state, total)
        if step == 6:
            os.kill(os.getpid(), signal.SIGKILL)

    def work() -> int:
        Checkpoints.after_step = deleted
        return run(root, "nli", out)

    assert in_child(work, tmp_path / "err") == 128 + signal.SIGKILL
    assert "no checkpoint" not in (tmp_path / "err").read_text()
    assert [p.name[:12] for p in files(place)] == ["00-000000005", "00-000000006"]
    assert run(root, "nli", out) == 0
    assert (record(out)["attempts"], record(out)["resumed_from_step"]) == (2, 6)
    assert same(out, whole("nli"))


def test_what_is_said_of_an_older_checkpoint_is_true(root, place, tmp_path):
    def work() -> int:
        after_step, steps = Checkpoints.after_step, iter(range(1, 100))

        def deleted(self, state, total) -> None:
            if next(steps) == 4:
                shutil.rmtree(place)
                place.write_text("in the way")
            after_step(self, state, total)

        Checkpoints.after_step = deleted
        return run(root, "nli", tmp_path / "m")

    assert in_child(work, tmp_path / "err") == 0
    said = [line for line in (tmp_path / "err").read_text().splitlines() if "no checkpoint at step" in line]
    assert len(said) == 5
    assert all(line.endswith("; there is none yet") for line in said), said


def test_the_same_job_in_another_working_copy_is_left_alone(root, whole, place, tmp_path, capsys):
    killed(root, "nli", tmp_path / "m", after=6)
    left = files(place)
    other = Attempts(left[0].parent, left[0].parent.name)
    assert other.hold()
    assert run(root, "nli", tmp_path / "n") == 0
    assert "another job uses" in capsys.readouterr().err
    assert same(tmp_path / "n", whole("nli"))
    assert files(place) == left
    other.forget()
    assert not files(place)


def test_counters_of_all_runs_come_back(tmp_path):
    """Each run of a job may count more than the loop does: what ended before the checkpoint is put back as well."""

    def work(steps: int) -> list[dict]:
        attempts, counters = Attempts(tmp_path / KEY, KEY, 1e-9), []
        checkpoints = Checkpoints(attempts)
        for number in range(2):
            module = torch.nn.Linear(2, 2)
            optimizer = AdamW(list(module.parameters()), 5, {"weight_decay": 0.0, "warmup_ratio": 0.0})
            state = State(module, optimizer, counters=[SimpleNamespace(seen=0, name="a"), SimpleNamespace(more=0)])
            counters.append(state.counters)
            with checkpoints.run(state, tmp_path / f"history.{number}"):
                while state.step < 5:
                    if not steps:
                        os.close(attempts.handle)  # as if killed
                        return []
                    steps, state.step = steps - 1, state.step + 1
                    state.counters[0].seen += 10**number
                    state.counters[1].more -= state.step
                    checkpoints.after_step(state, 5)
        return [vars(c) for pair in counters for c in pair]

    assert work(8) == []
    assert work(2) == [{"seen": 5, "name": "a"}, {"more": -15}, {"seen": 50, "name": "a"}, {"more": -15}]


# --- the file


def test_the_file_is_what_safetensors_writes_and_reads(tmp_path):
    tensors = {
        "a": torch.randn(3, 5),
        "scalar": torch.tensor(2.5),
        "none": torch.zeros(0, 4),
        "odd": torch.ones(3).byte(),
    }
    tensors |= {"half": torch.randn(3).bfloat16(), "flags": torch.tensor([True, False, True]), "whole": torch.arange(7)}
    tensors |= {"turned": torch.randn(4, 3).T, "double": torch.randn(2).double(), "small": torch.randn(5).half()}
    path = write_tensors(tmp_path, "x", tensors)
    save_file({k: v.contiguous() for k, v in tensors.items()}, tmp_path / "theirs")
    ours, theirs = load_file(path), load_file(tmp_path / "theirs")
    assert set(ours) == set(theirs)
    assert all(ours[k].dtype == theirs[k].dtype and torch.equal(ours[k], theirs[k]) for k in ours)
    assert is_whole(path)
    assert [p.name for p in tmp_path.iterdir() if "part" in p.name] == []


# --- what is left for good


def test_old_state_is_listed_and_removed(root, place, tmp_path, capsys):
    killed(root, "nli", tmp_path / "m", after=3)
    killed(root, "pos", tmp_path / "p", after=3)
    held, old = (next(p for p in place.iterdir() if describe(p).endswith(name)) for name in ("/m", "/p"))
    (place / "a file of somebody").touch()
    assert listing.main(["--folder", str(place)]) == 0
    said = capsys.readouterr().out
    assert said.count("step 2") + said.count("step 3") == 2
    for folder in (held, old):
        for path in folder.iterdir():
            os.utime(path, (1, 1))
    owner = Attempts(held, held.name)
    assert owner.hold()
    assert listing.main(["--folder", str(place), "--remove"]) == 0
    assert held.is_dir(), "a job uses it"
    assert not old.exists()
    assert (place / "a file of somebody").exists()
    owner.forget()
    assert listing.main(["--folder", str(tmp_path / "nowhere")]) == 0
    assert LOCK not in os.listdir(place)


def describe(folder: Path) -> str:
    return json.loads(bytes(load_file(sorted(folder.glob("*.safetensors"))[-1])["facts"].numpy()))["what"]
