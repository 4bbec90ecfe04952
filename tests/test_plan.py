"""Which items a run sees: permutations, seeds, mixing of tasks, streams of text, masks."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stilts.errors import UserError
from stilts.train.plan import cap_examples, epochs_of, generator, make_plan
from stilts.train.text import IGNORE, TextStream, mask_tokens
from tests.engine_case import make_tokenizer, split_of

RECORDED = [(0, [4, 3, 6, 1]), (0, [5, 8, 2, 0]), (0, [9, 7]), (0, [6, 4, 9, 8]), (1, [1, 2, 0, 4])]
MIXING = {"sampling": "proportional", "temperature": 1.0, "examples_cap": 10**9}


def one(epochs: float = 1, batch_size: int = 4) -> dict:
    return {"epochs": epochs, "batch_size": batch_size}


@given(st.integers(1, 60), st.integers(1, 70), st.integers(1, 4), st.integers(0, 5))
def test_every_epoch_is_a_new_permutation(count, size, epochs, seed):
    steps = math.ceil(count / size)
    plan = make_plan([count], ["a"], [one(epochs, size)], seed, {})
    assert len(plan) == epochs * steps
    assert {t for t, _ in plan} == {0}
    orders = [np.concatenate([b for _, b in plan[e * steps : (e + 1) * steps]]) for e in range(epochs)]
    for e in range(epochs):
        assert sorted(orders[e].tolist()) == list(range(count))
        assert [len(b) for _, b in plan[e * steps : (e + 1) * steps]] == [
            *[size] * (count // size),
            *([count % size] if count % size else []),
        ]
    if count > 20 and epochs > 1:
        assert not np.array_equal(orders[0], orders[1])


@pytest.mark.parametrize(("epochs", "steps"), [(0.5, 2), (1, 3), (1.5, 5), (2, 6), (0.01, 1)])
def test_parts_of_epochs(epochs, steps):
    assert len(make_plan([10], ["a"], [one(epochs)], 1, {})) == steps


def as_lists(plan) -> list:
    return [(t, b.tolist()) for t, b in plan]


def test_the_order_is_a_function_of_seed_name_and_size():
    def plan(seed: int = 1, name: str = "a"):
        return as_lists(make_plan([30], [name], [one(2)], seed, {}))

    assert plan() == plan()
    assert plan() != plan(seed=2)
    assert plan() != plan(name="b")


def test_the_order_is_the_same_on_every_machine():
    """numpy promises PCG64's stream; a change of these numbers changes every result of the study."""
    plan = make_plan([10, 6], ["a", "b"], [one(), one()], 1, MIXING)
    assert as_lists(plan) == RECORDED


@pytest.mark.parametrize("cap", [10**9, 60])
def test_steps_of_several_tasks_follow_jiants_formula(cap):
    counts, settings = [100, 37, 8], [one(2, 8), one(1, 5), one(3, 4)]
    plan = make_plan(counts, ["a", "b", "c"], settings, 1, {**MIXING, "examples_cap": cap})
    assert len(plan) == sum(
        s["epochs"] * math.ceil(min(n, cap) / s["batch_size"]) for n, s in zip(counts, settings, strict=True)
    )
    for t, (n, s) in enumerate(zip(counts, settings, strict=True)):
        own = [b for k, b in plan if k == t]
        assert all(len(b) <= s["batch_size"] for b in own)
        assert all(b.max() < n for b in own)
        first = np.concatenate([*own, np.zeros(0, int)])[:n]  # each task goes through its own permutations
        assert len(set(first.tolist())) == len(first)


@pytest.mark.parametrize(
    ("mixing", "weights"),
    [
        ({}, [900, 300, 30]),
        ({"examples_cap": 300}, [300, 300, 30]),
        ({"sampling": "temperature", "temperature": 2.0}, [30, 300**0.5, 30**0.5]),
        ({"sampling": "temperature", "temperature": 5.0, "examples_cap": 300}, [300**0.2, 300**0.2, 30**0.2]),
        ({"temperature": 5.0}, [900, 300, 30]),
    ],
    ids=str,
)
def test_tasks_are_drawn_by_their_weights(mixing, weights):
    plan = make_plan([900, 300, 30], ["a", "b", "c"], [one(20, 4)] * 3, 3, {**MIXING, **mixing})
    drawn = np.bincount([t for t, _ in plan], minlength=3) / len(plan)
    wanted = np.asarray(weights) / sum(weights)
    assert np.abs(drawn - wanted).max() < 4 * 0.5 / len(plan) ** 0.5


def test_more_steps_than_a_task_has_batches_go_round_again():
    batches = epochs_of(5, 2, 7, generator(1, "x"))
    assert [len(b) for b in batches] == [2, 2, 1, 2, 2, 1, 2]


def test_caps_keep_a_seeded_sorted_sample():
    assert cap_examples(5, 0, 1, "a").tolist() == cap_examples(5, 9, 1, "a").tolist() == [0, 1, 2, 3, 4]
    kept = cap_examples(100, 10, 1, "a")
    assert sorted(set(kept.tolist())) == kept.tolist()
    assert len(kept) == 10
    assert kept.tolist() == cap_examples(100, 10, 1, "a").tolist()
    assert kept.tolist() != cap_examples(100, 10, 2, "a").tolist()
    assert kept.tolist() != cap_examples(100, 10, 1, "b").tolist()
    assert set(cap_examples(100, 10, 1, "a").tolist()) <= set(cap_examples(100, 50, 1, "a").tolist())


# --- text for masked language modelling


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    """Return documents in three languages, 160, 30 and 10 of them."""
    folder = tmp_path_factory.mktemp("text")
    languages = ["aa"] * 160 + ["bb"] * 30 + ["cc"] * 10
    rows = {"text": [f"ba ce di {'fo ' * (i % 7)}\tgu ha" for i in range(200)], "language": languages}
    return split_of("masked_lm", make_tokenizer(folder), folder / "t", rows)


@pytest.mark.parametrize(
    ("alpha", "shares"), [(1.0, [160, 30, 10]), (0.3, [160**0.3, 30**0.3, 10**0.3]), (0.0, [1] * 3)]
)
def test_languages_are_sampled_by_their_shares(text, alpha, shares):
    stream = TextStream(text, 1, 60, alpha)
    owner = {}
    counts = np.zeros(3)
    for group in stream.groups:
        for example in group:
            owner[int(example)] = int(text.language[example])
    seen = []
    draw = text.segments_of
    try:
        text.segments_of = lambda example: (seen.append(example), draw(example))[1]
        for _ in range(3000):
            stream.sequence()
    finally:
        del text.segments_of
    for example in seen:
        counts[owner[example]] += 1
    wanted = np.asarray(shares) / sum(shares)
    assert np.abs(counts / 3000 - wanted).max() < 4 * 0.5 / 3000**0.5
    for k in range(3):  # within a language, no document comes again before all others came
        own = [e for e in seen if owner[e] == k]
        size = sum(v == k for v in owner.values())
        if alpha != 1.0:
            assert len(set(own[:size])) == min(size, len(own))
    if alpha == 1.0:
        assert len(set(seen[:200])) == 200


def test_sequences_hold_every_segment_and_are_cut(text):
    stream = TextStream(text, 1, 12, 1.0)
    ends = set()
    for _ in range(200):
        ids = stream.sequence()
        assert ids[0] == 0
        assert ids[-1] == 2
        assert len(ids) <= 12
        ends.add(len(ids))
    assert max(ends) == 12
    long = TextStream(text, 1, 60, 1.0).sequence()
    assert (long == 2).sum() == 3  # <s> a </s></s> b </s>, as the encoder is tuned later


def test_the_stream_is_seeded_and_batches_reach_their_size(text):
    one, same, other = (TextStream(text, seed, 60, 0.5) for seed in (1, 1, 2))
    batches = [[b.tolist() for b in s.batch(300)] for s in (one, same, other)]
    assert batches[0] == batches[1] != batches[2]
    sizes = [len(s) for s in batches[0]]
    assert sum(sizes) >= 300 > sum(sizes[:-1])


def test_no_text_is_one_message(tmp_path):
    split = split_of("masked_lm", make_tokenizer(tmp_path), tmp_path / "t", {"text": []})
    with pytest.raises(UserError, match="there is no text to pretrain on"):
        TextStream(split, 1, 60, 1.0)


def test_masks_are_80_10_10_of_the_share_asked_for():
    rng = np.random.default_rng(0)
    ids = np.tile(np.r_[0, np.arange(4, 99), 3, 2], 400)
    changed, targets = mask_tokens(ids, [0, 1, 2, 3, 99], 100, 99, 0.15, rng)
    chosen = targets != IGNORE
    assert (targets[chosen] == ids[chosen]).all()
    assert (changed[~chosen] == ids[~chosen]).all()
    assert not chosen[np.isin(ids, [0, 2, 3])].any()
    ordinary = ~np.isin(ids, [0, 2, 3])
    n = chosen.sum()
    assert abs(n / ordinary.sum() - 0.15) < 0.01
    masked, same = (changed[chosen] == 99).mean(), (changed[chosen] == ids[chosen]).mean()
    assert abs(masked - 0.8) < 0.03
    assert abs(same - 0.1 - 0.1 / 95) < 0.02
    swapped = changed[chosen][(changed[chosen] != 99) & (changed[chosen] != ids[chosen])]
    assert swapped.min() >= 4
    assert swapped.max() <= 98
    assert (ids == np.tile(np.r_[0, np.arange(4, 99), 3, 2], 400)).all(), "the input is not changed in place"


def test_at_least_one_token_is_predicted_where_there_is_one():
    rng = np.random.default_rng(0)
    _, targets = mask_tokens(np.asarray([0, 7, 2]), [0, 1, 2, 3, 99], 100, 99, 0.0, rng)
    assert targets.tolist() == [IGNORE, 7, IGNORE]
    _, targets = mask_tokens(np.asarray([0, 2]), [0, 1, 2, 3, 99], 100, 99, 0.5, rng)
    assert targets.tolist() == [IGNORE, IGNORE]
