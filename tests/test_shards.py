"""Shards of a batch: their sum is the batch's gradient, bit for bit the same however many processes compute them."""

from __future__ import annotations

import errno
import os
import signal
import time
from multiprocessing import active_children
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from stilts.config.load import load_config
from stilts.config.study import Study
from stilts.plan.work import threads_of
from stilts.tokens.store import TokenSplit
from stilts.train.pretrain import cut_batch, pretrain
from stilts.train.shards import Shards, cut
from tests.engine_case import corpus, make_tokenizer, settings, tokenised
from tests.resume_case import in_child
from tests.test_training import PRETRAINING

TINY = Path(__file__).with_name("tiny.yaml")
SPEC = {**PRETRAINING, "steps": 12, "shards": 3}


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    root = tmp_path_factory.mktemp("shards")
    text = {"text": corpus(40), "language": ["en", "de"] * 20}
    tokenised("masked_lm", make_tokenizer(root / "tokenizer"), root / "text", train=text)
    return TokenSplit(root / "text" / "tokens", "train")


# --- how a batch is cut


@given(st.lists(st.integers(1, 90), min_size=1, max_size=40), st.integers(1, 5))
def test_shards_hold_each_sequence_once_and_about_as_many_tokens(lengths, count):
    lengths = np.array(lengths)
    parts = cut(lengths, count)
    assert sorted(np.concatenate(parts)) == list(range(len(lengths)))
    assert 1 <= len(parts) <= count
    assert (np.diff(np.concatenate([lengths[p] for p in parts])) >= 0).all(), "shortest first"
    fair = lengths.sum() / count
    assert all(abs(lengths[p].sum() - fair) < max(fair, 2 * lengths.max()) for p in parts)


def test_the_first_shard_is_smaller_for_what_else_its_process_does():
    assert [len(part) for part in cut(np.full(385, 7), 4)] == [85, 100, 100, 100]


def test_a_shard_holds_what_belongs_to_its_sequences():
    lengths = np.array([2, 5, 3])
    ids, targets = np.arange(10), np.arange(10) + 100
    shards = cut_batch(ids, targets, lengths, 7, 2)
    assert [(i.tolist(), t.tolist(), n.tolist(), count) for i, t, n, count in shards] == [
        ([0, 1, 7, 8, 9], [100, 101, 107, 108, 109], [2, 3], 7),
        ([2, 3, 4, 5, 6], [102, 103, 104, 105, 106], [5], 7),
    ]


# --- gradients


class Toy:
    """A net with dropout on rows, its loss a mean over all rows of the batch."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.net = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 1))
        self.dropout = 0.0

    def loss(self, rows: np.ndarray, count: int) -> torch.Tensor:
        x = nn.functional.dropout(torch.tensor(rows), self.dropout)  # aligned: MKL's sums depend on it
        return (self.net(x) ** 2).sum() / count


def gradients(
    processes: int, dropout: float = 0.0, shards: int = 4, started: int | None = None
) -> tuple[list[float], list[torch.Tensor]]:
    """Return the losses and the last gradients of three batches, weights moving between them.

    started: helpers that there are, None for as many as asked for.
    """
    toy, rows = Toy(), np.random.default_rng(0).normal(size=(3, 12, 5)).astype(np.float32)
    toy.dropout, losses = dropout, []
    parameters = list(toy.net.parameters())
    with Shards(parameters, toy.loss, shards, processes) as pool:
        for step, batch in enumerate(rows):
            toy.net.zero_grad()
            losses.append(pool.backward((1, step), [(part, 12) for part in np.split(batch, shards)]))
            with torch.no_grad():
                torch._foreach_add_(parameters, [p.grad for p in parameters], alpha=-0.1)  # helpers have to see it
        assert len(pool.helpers) == (min(processes, shards) - 1 if started is None else started)
        assert (pool.cpu_seconds > 0) == bool(pool.helpers)
    return losses, [p.grad for p in parameters]


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("processes", [2, 3, 4, 9])
def test_the_number_of_processes_changes_no_bit(processes, dropout):
    alone, together = gradients(1, dropout), gradients(processes, dropout)
    assert alone[0] == together[0]
    assert all(torch.equal(a, b) for a, b in zip(alone[1], together[1], strict=True))


def test_shards_add_up_to_the_batch():
    whole, parts = gradients(1, shards=1), gradients(2, shards=4)
    np.testing.assert_allclose(whole[0], parts[0], rtol=1e-6)
    torch.testing.assert_close(whole[1], parts[1], rtol=1e-5, atol=1e-7)


def test_each_shard_and_each_batch_draws_its_own_numbers():
    toy, same = Toy(), np.ones((6, 5), np.float32)
    toy.dropout = 0.5
    pool = Shards(list(toy.net.parameters()), toy.loss, 2, 1)
    losses = [pool.backward(seed, [(same, 6)]) for seed in ((1, 1), (1, 1), (1, 2), (2, 1))]
    assert losses[0] == losses[1]
    assert len(set(losses)) == 3
    assert pool.backward((1, 1), [(same, 6), (same, 6)]) != 2 * losses[0]


# --- pretraining


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_pretraining_is_the_same_by_one_process_and_by_more(split, tmp_path, dropout):
    spec = {**SPEC, "training": settings(learning_rate=1e-2, adam_beta2=0.98, dropout=dropout)}
    runs = []
    for processes in (1, 2, 3):
        encoder, head, facts = pretrain(split, spec, 1, tmp_path / f"{processes}", processes=processes)
        assert facts.pop("run")["processes"] == processes
        weights = {**encoder.state_dict(), **head.state_dict()}
        runs.append(
            ({k: v.numpy().tobytes() for k, v in weights.items()}, facts, (tmp_path / f"{processes}").read_text())
        )
    assert runs[0] == runs[1] == runs[2]


def test_shards_change_pretraining_by_rounding_alone(split, tmp_path):
    losses = []
    for shards in (1, 3):
        spec = {**SPEC, "shards": shards, "training": settings(learning_rate=1e-3, adam_beta2=0.98, dropout=0.0)}
        losses.append(pretrain(split, spec, 1, tmp_path / "h")[2]["loss"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_a_shard_without_a_target_is_no_obstacle(split, tmp_path):
    rare = {**SPEC, "mask_probability": 0.001, "training": settings(learning_rate=1e-3, adam_beta2=0.98, dropout=0.0)}
    assert np.isfinite(pretrain(split, rare, 1, tmp_path / "h", processes=2)[2]["loss"])


@pytest.mark.parametrize("started", [0, 1, 2])
def test_fewer_processes_than_asked_for_come_to_the_same(monkeypatch, capfd, started):
    fork, left = os.fork, iter(range(started))

    def refused() -> int:
        if next(left, None) is None:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        return fork()

    alone = gradients(1, 0.3)
    monkeypatch.setattr(os, "fork", refused)
    together = gradients(4, 0.3, started=started)
    assert alone[0] == together[0]
    assert all(torch.equal(a, b) for a, b in zip(alone[1], together[1], strict=True))
    note = f"no further process can be started (Resource temporarily unavailable); {1 + started} compute"
    assert note in capfd.readouterr().err


# --- processes that end


def test_a_job_that_is_interrupted_while_it_starts_helpers_ends(tmp_path):
    def work() -> int:
        toy, starts = Toy(), iter([os.fork])

        def interrupted() -> int:
            for fork in starts:
                return fork()
            raise KeyboardInterrupt

        os.fork = interrupted
        try:
            Shards(list(toy.net.parameters()), toy.loss, 3, 3).__enter__()
        except KeyboardInterrupt:
            return len(active_children())  # the interpreter's end would wait for them
        return 50

    assert in_child(work, tmp_path / "err") == 0, (tmp_path / "err").read_text()


def test_a_helper_ends_with_its_job_though_another_does_not(tmp_path):
    def work() -> int:
        toy = Toy()
        with Shards(list(toy.net.parameters()), toy.loss, 3, 3) as pool:
            first, second = [helper.pid for helper, _ in pool.helpers]
            (tmp_path / "pids").write_text(f"{first} {second}")
            time.sleep(0.5)  # both wait for work
            os.kill(second, signal.SIGSTOP)
            os.kill(os.getpid(), signal.SIGKILL)
        return 0

    assert in_child(work, tmp_path / "err") == 128 + signal.SIGKILL
    first, second = [int(x) for x in (tmp_path / "pids").read_text().split()]
    try:
        wait_until_ended([first])
        assert alive(second)
    finally:
        os.kill(second, signal.SIGCONT)
    wait_until_ended([second])


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1]


def wait_until_ended(pids: list[int]) -> None:
    end = time.monotonic() + 20
    while left := [p for p in pids if alive(p)]:
        assert time.monotonic() < end, left
        time.sleep(0.02)


def test_a_helper_that_is_killed_takes_the_job_with_it(tmp_path):
    def work() -> int:
        toy = Toy()
        with Shards(list(toy.net.parameters()), toy.loss, 2, 2) as pool:
            os.kill(pool.helpers[0][0].pid, signal.SIGKILL)
            pool.backward((1, 1), [(np.ones((2, 5), np.float32), 4)] * 2)
        return 0

    assert in_child(work, tmp_path / "err") == 128 + signal.SIGKILL
    assert "a process that computed a part of the batch ended (-9)" in (tmp_path / "err").read_text()


def test_a_helper_that_fails_says_so_and_the_job_fails(tmp_path):
    def work() -> int:
        toy = Toy()
        with Shards(list(toy.net.parameters()), toy.loss, 2, 2) as pool:
            pool.backward((1, 1), [(np.ones((2, 5), np.float32), 4), (np.ones((2, 6), np.float32), 4)])
        return 0

    assert in_child(work, tmp_path / "err") == 99
    text = (tmp_path / "err").read_text()
    assert "cannot be multiplied" in text
    assert "SystemExit: 1" in text


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_no_helper_outlives_its_job(tmp_path, number):
    def work() -> int:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        toy = Toy()
        with Shards(list(toy.net.parameters()), toy.loss, 3, 3) as pool:
            (tmp_path / "pids").write_text(" ".join(str(helper.pid) for helper, _ in pool.helpers))
            os.kill(os.getpid(), number)
        return 0

    assert in_child(work, tmp_path / "err") == 128 + number
    pids = [int(x) for x in (tmp_path / "pids").read_text().split()]
    assert len(pids) == 2
    wait_until_ended(pids)


def test_signals_are_the_jobs_to_heed(tmp_path):
    def work() -> int:
        toy, rows = Toy(), (np.ones((2, 5), np.float32), 4)
        with Shards(list(toy.net.parameters()), toy.loss, 2, 2) as pool:
            pool.backward((1, 1), [rows, rows])
            for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
                os.kill(pool.helpers[0][0].pid, number)
            pool.backward((1, 2), [rows, rows])
        return 0

    assert in_child(work, tmp_path / "err") == 0, (tmp_path / "err").read_text()


# --- what the job asks for


@pytest.mark.parametrize(
    ("rule", "runtime", "threads"),
    [
        ("pretrain", {}, 2),
        ("train_target", {}, 1),
        ("pretrain", {"threads": 3}, 3),
        ("pretrain", {"gpus": 1}, 1),  # a GPU computes the shards by itself
    ],
)
def test_pretraining_asks_for_a_core_a_shard(rule, runtime, threads):
    study = Study(load_config({**yaml.safe_load(TINY.read_text()), "runtime": runtime}))
    assert threads_of(study, rule, {"backbone": "mini"}) == threads
