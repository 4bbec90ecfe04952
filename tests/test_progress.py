"""Progress of long stages in a log: lines with what is done and how long it will take, never a cursor code."""

from __future__ import annotations

import re
import sys

import pytest

from stilts import progress
from stilts.progress import Progress


@pytest.fixture
def clock(monkeypatch):
    """Return a function that moves the clock."""
    now = [100.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])

    def move(seconds: float) -> None:
        now[0] += seconds

    return move


def test_a_line_every_few_seconds_with_eta_and_figures(capsys, clock):
    with Progress("train", 200) as bar:
        for _ in range(200):
            clock(0.1)
            bar.update(loss=0.123456)
    lines = capsys.readouterr().err.splitlines()
    assert lines[-1] == "train: 200 of 200 in 20 s"
    assert len(lines) in (4, 5)
    first = re.fullmatch(r"train: (\d+)/200, (\d+) s left, loss 0.1235", lines[0])
    assert first
    done, left = int(first[1]), int(first[2])
    assert abs(left - (200 - done) * 0.1) <= 1


def test_a_short_stage_says_one_line(capsys, clock):
    with Progress("predict", 3) as bar:
        bar.update(3)
    assert capsys.readouterr().err == "predict: 3 of 3 in 0 s\n"


def test_a_failed_stage_does_not_claim_to_be_done(capsys, clock):
    def fail():
        with Progress("train", 3) as bar:
            bar.update()
            raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        fail()
    assert " of 3 in " not in capsys.readouterr().err


def test_a_terminal_gets_a_bar(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with Progress("train", 3) as bar:
        bar.update(2, loss=1.0)
        assert bar.bar.n == 2
        assert bar.bar.total == 3
