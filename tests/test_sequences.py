"""Items: special tokens, truncation, windows, targets, batches, of every kind and under every maximal length."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stilts.errors import UserError
from stilts.tokens.sequences import IGNORE, MAX_QUESTION, Items, token_budget_batches
from stilts.tokens.store import INFO, TokenSplit, write_split
from stilts.tokens.tokenizer import Tokenizer
from tests.engine_case import TRAINED, make_tokenizer, split_of, toy


def fake_split(folder, kind: str, segments: list[list[int]], **arrays) -> TokenSplit:
    """Write token files with segments of the given sizes; sub-words count upwards from 10, so that each is unique."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"train.{INFO}").write_text(
        f'{{"kind": "{kind}", "languages": ["en"], "special": [0, 1, 2, 3, 9], "vocabulary": 10}}'
    )
    sizes = [n for example in segments for n in example]
    base = {
        "ids": np.arange(10, 10 + sum(sizes), dtype=np.int32),
        "segments": np.cumsum([0, *sizes]),
        "examples": np.cumsum([0, *(len(e) for e in segments)]),
        "language": np.zeros(len(segments), np.int16),
    }
    write_split(folder, "train", base | {k: np.asarray(v, np.int32) for k, v in arrays.items()})
    return TokenSplit(folder, "train")


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory) -> Tokenizer:
    return make_tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="module")
def toys(tokenizer, tmp_path_factory) -> dict[str, TokenSplit]:
    """Return a split of each kind."""
    return {k: split_of(k, tokenizer, tmp_path_factory.mktemp(k) / "t", toy(k, 12)) for k in TRAINED}


@pytest.mark.parametrize("blind", [False, True])
@pytest.mark.parametrize("length", [16, 24, 200])
@pytest.mark.parametrize("kind", TRAINED)
def test_lengths_promise_what_sequences_hold(toys, kind, length, blind):
    items = Items(toys[kind], length, 5, blind=blind)
    for i in range(len(items)):
        sequences = items.sequences(i)
        assert len(sequences) == (3 if kind == "multiple_choice" else 1)
        assert max(len(s) for s in sequences) == items.lengths[i] <= length
        for s in sequences:
            assert (s[0], s[-1]) == (0, 2)
            assert (s == 2).sum() == (1 if kind == "token_tagging" else 3)


@pytest.mark.parametrize(
    ("a", "b", "kept_a", "kept_b"),
    [(3, 4, 3, 4), (6, 6, 6, 6), (20, 4, 8, 4), (4, 20, 4, 8), (20, 30, 6, 6), (0, 30, 0, 12), (30, 0, 12, 0)],
)
def test_the_longer_of_a_pair_is_cut(tmp_path, a, b, kept_a, kept_b):
    split = fake_split(tmp_path, "pair_classification", [[a, b]], labels=[0])
    (ids,) = Items(split, 16, 8).sequences(0)
    first, second = range(10, 10 + kept_a), range(10 + a, 10 + a + kept_b)
    assert ids.tolist() == [0, *first, 2, 2, *second, 2]
    (ids,) = Items(split, 16, 8, blind=True).sequences(0)
    assert ids.tolist() == [0, 2, 2, *range(10 + a, 10 + a + min(b, 12)), 2]


def test_blind_items_show_the_second_input_only(toys):
    for kind in ("pair_classification", "multiple_choice", "span_extraction"):
        split = toys[kind]
        for i, example in enumerate(Items(split, 200, 50, blind=True).rows[:, 0]):
            for k, ids in enumerate(Items(split, 200, 50, blind=True).sequences(i), start=1):
                assert ids.tolist() == [0, 2, 2, *split.segment(int(example), k), 2]


# --- question answering


@settings(max_examples=150)
@given(
    question=st.integers(0, 90),
    context=st.integers(0, 200),
    length=st.integers(16, 150),
    stride=st.integers(1, 120),
    answer=st.tuples(st.integers(0, 199), st.integers(0, 199)),
)
def test_windows_cover_the_context_as_the_squad_script_cuts_it(
    tmp_path_factory, question, context, length, stride, answer
):
    first, last = min(answer), max(answer)
    gold = [first, last] if last < context else [-1, -1]
    chars = np.zeros((question + context, 2))
    split = fake_split(
        tmp_path_factory.mktemp("s"), "span_extraction", [[question, context]], answers=[gold], chars=chars
    )
    items = Items(split, length, stride)
    asked = min(question, MAX_QUESTION, length // 2)
    room = length - asked - 4
    # The loop of `squad_convert_examples_to_features`: full windows, `doc_stride` apart, the last one ends the context.
    wanted, start = [], 0
    while True:
        wanted.append((start, min(context, start + room)))
        if start + room >= context:
            break
        start += min(room, stride)
    assert [tuple(r[1:]) for r in items.rows.tolist()] == wanted
    covered = {p for a, b in wanted for p in range(a, b)}
    assert covered == set(range(context))
    batch = items.batch(np.arange(len(items)))
    starts = np.cumsum([0, *batch.lengths])
    for i, (a, b) in enumerate(wanted):
        ids = batch.ids[starts[i] : starts[i + 1]]
        begin = 10 + question + a
        assert ids.tolist() == [0, *range(10, 10 + asked), 2, 2, *range(begin, begin + b - a), 2]
        assert len(ids) <= length
        allowed = np.flatnonzero(batch.targets["allowed"][starts[i] : starts[i + 1]])
        assert allowed.tolist() == [0, *range(asked + 3, asked + 3 + b - a)]
        s, e = batch.targets["spans"][i]
        if gold[0] >= a and gold[1] < b and gold[0] >= 0:
            assert ids[s] == 10 + question + gold[0]
            assert ids[e] == 10 + question + gold[1]
            assert {int(s), int(e)} <= set(allowed.tolist())
        else:
            assert (s, e) == (0, 0)
    assert batch.count == len(items)


def test_the_answer_of_a_real_text_is_found_in_its_window(tokenizer, toys):
    split = toys["span_extraction"]
    rows = toy("span_extraction", 12)
    items = Items(split, 26, 3)
    batch = items.batch(np.arange(len(items)))
    starts = np.cumsum([0, *batch.lengths])
    seen = set()
    for i, (example, first, _) in enumerate(items.rows):
        s, e = batch.targets["spans"][i]
        if s == 0:
            continue
        offset = split.bounds(int(example), 1)[0] + first - (len(split.segment(int(example), 0)[:13]) + 3)
        chars = split.chars[offset + s][0], split.chars[offset + e][1]
        assert rows["context"][example][chars[0] : chars[1]] == "gligli"
        assert batch.ids[starts[i] + s] == split.ids[offset + s]
        seen.add(int(example))
    assert seen == set(range(12))


# --- tagging


@settings(max_examples=150)
@given(st.lists(st.lists(st.integers(1, 30), max_size=25), min_size=1, max_size=3), st.integers(16, 60))
def test_every_word_of_a_long_sentence_is_in_exactly_one_window(tmp_path_factory, sentences, length):
    targets, tag = [], 0
    for words in sentences:
        for size in words:
            targets += [tag, *[IGNORE] * (size - 1)]
            tag += 1
    split = fake_split(tmp_path_factory.mktemp("s"), "token_tagging", [[sum(w)] for w in sentences], targets=targets)
    items = Items(split, length, 8)
    assert (items.lengths <= length).all()
    batch = items.batch(np.arange(len(items)))
    assert batch.targets["targets"][batch.targets["targets"] != IGNORE].tolist() == list(range(tag))
    assert batch.count == tag
    starts = np.cumsum([0, *batch.lengths])
    for i, (example, first, last) in enumerate(items.rows):
        ids, gold = (x[starts[i] : starts[i + 1]] for x in (batch.ids, batch.targets["targets"]))
        begin = split.bounds(int(example), 0)[0] + 10
        assert ids.tolist() == [0, *range(begin + first, begin + last), 2]
        assert gold[0] == gold[-1] == IGNORE
        assert first == last or gold[1] != IGNORE, "a window starts inside a word"
    for (e1, first, last), (e2, begin, end) in itertools.pairwise(items.rows.tolist()):
        if e1 == e2:  # the next word would not have fitted
            sizes = np.diff(
                np.flatnonzero(np.r_[split.targets[slice(*split.bounds(e1, 0))][begin:end] != IGNORE, True])
            )
            assert (last - first) + sizes[0] > length - 3
    # Only the tail of a word longer than a whole window is left out.
    left_out = sum(sum(w) for w in sentences) - int((items.rows[:, 2] - items.rows[:, 1]).sum())
    assert left_out == sum(max(0, n - (length - 3)) for w in sentences if sum(w) > length - 3 for n in w)


def xtreme_pieces(sizes: list[int], max_length: int) -> list[list[int]]:
    """Split a sentence (sub-words of its words) as utils_preprocess.py of google-research/xtreme does for XLM-R."""
    room, counter, pieces = max_length - 3, 0, [[]]
    for word, size in enumerate(sizes):
        if counter + size > room:
            pieces.append([word])
            counter = size
        else:
            pieces[-1].append(word)
            counter += size
    return pieces


@settings(max_examples=150)
@given(st.lists(st.integers(1, 13), min_size=1, max_size=60), st.integers(16, 60))
def test_long_sentences_are_split_where_xtreme_splits_them(tmp_path_factory, sizes, length):
    targets = [t for word, size in enumerate(sizes) for t in (word, *[IGNORE] * (size - 1))]
    split = fake_split(tmp_path_factory.mktemp("s"), "token_tagging", [[sum(sizes)]], targets=targets)
    batch = Items(split, length, 8).batch(np.arange(len(Items(split, length, 8))))
    ours = [part[part != IGNORE].tolist() for part in np.split(batch.targets["targets"], np.cumsum(batch.lengths)[:-1])]
    assert ours == xtreme_pieces(sizes, length)


# --- choices, labels, batches


def test_differing_numbers_of_choices_are_named(tmp_path):
    split = fake_split(tmp_path, "multiple_choice", [[2, 3, 3], [2, 3, 3, 3]], labels=[0, 1])
    with pytest.raises(UserError, match=r"number of choices differs between examples \(2 to 3\)"):
        Items(split, 32, 8).sequences(0)
    assert Items(split, 32, 8, np.asarray([1])).choices == 3


def test_choices_stand_side_by_side_and_labels_follow_the_items(toys):
    split = toys["multiple_choice"]
    batch = Items(split, 64, 8, np.asarray([7, 2, 5])).batch(np.asarray([2, 0]))
    assert len(batch.lengths) == 6
    assert batch.targets["labels"].tolist() == split.labels[[5, 7]].tolist()
    assert batch.count == 2
    start = 0
    for n, (example, k) in zip(batch.lengths, [(e, k) for e in (5, 7) for k in (1, 2, 3)], strict=True):
        ids = batch.ids[start : start + n]
        assert ids.tolist() == [0, *split.segment(example, 0), 2, 2, *split.segment(example, k), 2]
        start += n


def test_too_short_a_length_is_refused(toys):
    with pytest.raises(UserError, match="max_length 15 is too short"):
        Items(toys["token_tagging"], 15, 8)


@pytest.mark.parametrize("kind", TRAINED)
def test_no_examples_give_no_items(toys, kind):
    items = Items(toys[kind], 32, 8, np.asarray([], np.int64))
    assert len(items) == len(items.lengths) == 0
    assert token_budget_batches(items.lengths, 100, items.choices) == []


@given(st.lists(st.integers(2, 300), max_size=40), st.integers(1, 2000), st.integers(1, 5))
def test_budget_batches_hold_every_item_once_and_stay_within_the_budget(lengths, budget, choices):
    lengths = np.asarray(lengths, np.int64)
    batches = token_budget_batches(lengths, budget, choices)
    assert sorted(i for b in batches for i in b.tolist()) == list(range(len(lengths)))
    for b in batches:
        assert len(b) == 1 or lengths[b].max() * choices * len(b) <= budget
    flat = lengths[np.concatenate(batches)] if batches else lengths
    assert (np.diff(flat) <= 0).all()
