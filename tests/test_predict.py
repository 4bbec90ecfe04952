"""Predictions: decoding against brute force, independence of the batch, what is written and selected by."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from stilts.errors import UserError
from stilts.model.heads import build_head
from stilts.predict.decode import MAX_ANSWER, NBEST, _most_context, decode_spans, decode_tags
from stilts.predict.embed import embed, resolve_layers
from stilts.predict.infer import run_head
from stilts.predict.records import dev_score, predict, read_examples, write_predictions
from stilts.tokens.sequences import Items
from stilts.tokens.store import TokenSplit
from tests.engine_case import TRAINED, make_tokenizer, random_encoder, split_of, task_of, tiny_config, tokenised, toy
from tests.test_sequences import fake_split

OUTPUTS = {"pair_classification": 2, "multiple_choice": 3, "token_tagging": 3, "span_extraction": 0}


# --- spans


def most_context(windows: list[tuple[int, int]], k: int, position: int) -> bool:
    """`_check_is_max_context` of the SQuAD script."""
    best_score, best = None, None
    for i, (first, last) in enumerate(windows):
        length, end = last - first, last - 1
        if position < first or position > end:
            continue
        score = min(position - first, end - position) + 0.01 * length
        if best_score is None or score > best_score:
            best_score, best = score, i
    return best == k


def brute_force(windows, scores, chars, nbest: int) -> list[tuple]:
    """Return (start score, end score, first character, last character) of all allowed spans, best first."""
    found = []
    for k, ((first, last), s) in enumerate(zip(windows, scores, strict=True)):
        start, end, n = s[1:, 0].tolist(), s[1:, 1].tolist(), last - first
        starts = sorted(range(n), key=lambda i: (-start[i], i))[:nbest]
        ends = sorted(range(n), key=lambda i: (-end[i], i))[:nbest]
        for i in (i for i in starts if most_context(windows, k, first + i)):
            for j in ends:
                if j >= i and j - i + 1 <= MAX_ANSWER:
                    found.append((-(start[i] + end[j]), first + i, first + j, start[i], end[j]))
    found.sort(key=lambda f: f[:3])
    best: dict[tuple, tuple] = {}
    for _, i, j, s, e in found:
        place = (int(chars[i][0]), int(chars[j][1]))
        if place[0] < place[1]:
            best.setdefault(place, (s, e, *place))
    return list(best.values())[:nbest]


@settings(max_examples=80)
@given(
    contexts=st.lists(st.integers(0, 70), min_size=1, max_size=3),
    length=st.integers(16, 80),
    stride=st.integers(1, 60),
    seed=st.integers(0, 10**6),
    nbest=st.sampled_from([1, 3, NBEST, 1000]),
    rounded=st.booleans(),
)
def test_spans_are_those_of_brute_force(tmp_path_factory, contexts, length, stride, seed, nbest, rounded):
    make = np.random.default_rng(seed)
    chars = []
    for n in contexts:
        edges = np.sort(make.integers(0, 3 * n + 1, 2 * n)).reshape(n, 2)  # some are empty, neighbours may touch
        chars += [np.zeros((5, 2), int), edges]
    segments = [[5, n] for n in contexts]
    answers = [[-1, -1]] * len(contexts)
    split = fake_split(
        tmp_path_factory.mktemp("s"), "span_extraction", segments, chars=np.concatenate(chars), answers=answers
    )
    items = Items(split, length, stride)
    outputs = [make.normal(size=(1 + b - a, 2)).astype(np.float32) for _, a, b in items.rows]
    if rounded:  # many equal scores: the order must still be fixed
        outputs = [np.round(o) for o in outputs]
    decoded = decode_spans(items, outputs, nbest)
    assert list(decoded) == list(range(len(contexts)))
    for e, spans in decoded.items():
        at = np.flatnonzero(items.rows[:, 0] == e)
        windows = [(int(a), int(b)) for a, b in items.rows[at, 1:]]
        own = chars[2 * e + 1]
        wanted = brute_force(windows, [outputs[i] for i in at], own, nbest)
        *best, null = spans
        got = [(s["start_logit"], s["end_logit"], s["char_start"], s["char_end"]) for s in best]
        assert got == wanted
        assert null["char_start"] == null["char_end"] == -1
        assert null["start_logit"] + null["end_logit"] == min(
            float(outputs[i][0, 0]) + float(outputs[i][0, 1]) for i in at
        )


@pytest.mark.parametrize("windows", [[(0, 384), (378, 390)], [(0, 100), (50, 150), (100, 170)], [(0, 9)]], ids=str)
def test_the_window_with_most_context_is_squads(windows):
    for k, (first, last) in enumerate(windows):
        wanted = [most_context(windows, k, p) for p in range(first, last)]
        assert _most_context(np.asarray(windows), k).tolist() == wanted


@pytest.mark.parametrize(("unanswerable", "null", "answer"), [(False, 99, "ce"), (True, 99, ""), (True, -99, "ce")])
def test_no_answer_wins_only_where_the_task_knows_it(monkeypatch, tmp_path, unanswerable, null, answer):
    columns = {"question": ["di"], "context": ["ba ce"], "answers": [["ce"]], "answer_starts": [[3]]}
    split = split_of("span_extraction", make_tokenizer(tmp_path), tmp_path / "t", columns)
    items = Items(split, 32, 8)
    n = items.rows[0, 2]
    scores = np.full((1 + n, 2), -5.0, np.float32)
    scores[0] = null
    scores[n] = 3.0  # the last sub-word
    monkeypatch.setattr("stilts.predict.records.run_head", lambda *a: [scores])
    task = task_of("span_extraction", unanswerable=unanswerable)
    data = {"id": ["q"], "language": ["en"], **columns}
    out = predict(None, None, items, data, task, 100)
    assert out["text"] == [answer]
    assert out["nbest"][0][-1] == {"text": "", "start_logit": null, "end_logit": null, "char_start": -1, "char_end": -1}
    assert out["nbest"][0][0]["text"] == "ce"
    assert dev_score(task, out, data) == (100.0 if answer else 0.0)


# --- every kind


@pytest.fixture(scope="module")
def cases(tmp_path_factory):
    """Return kind -> (encoder, head, items, columns) of an untrained model on toy examples in two languages."""
    folder = tmp_path_factory.mktemp("cases")
    tokenizer = make_tokenizer(folder / "tokenizer")
    made = {}
    for kind in TRAINED:
        rows = toy(kind, 13, seed=2, languages=("en", "de"))
        rows |= {k: [3 * x for x in rows[k]] for k in ("tokens", "tags") if k in rows}  # long enough to be cut
        place = tokenised(kind, tokenizer, folder / kind, test=rows)
        items = Items(TokenSplit(place / "tokens", "test"), 20, 4)
        encoder = random_encoder(tiny_config())
        torch.manual_seed(1)
        head = build_head(kind, encoder.config, OUTPUTS[kind], "first", 0.0)
        made[kind] = (encoder, head, items, read_examples(place / "data", "test"))
    return made


@pytest.mark.parametrize("kind", TRAINED)
def test_predictions_do_not_depend_on_the_batch(cases, kind):
    encoder, head, items, _ = cases[kind]
    whole = run_head(encoder, head, items, 10**6)
    for budget in (1, 50, 300):
        for a, b in zip(whole, run_head(encoder, head, items, budget), strict=True):
            np.testing.assert_allclose(a, b, atol=2e-6)
            assert a.dtype == np.float32


@pytest.mark.parametrize("kind", TRAINED)
def test_outputs_are_the_heads_on_each_item_alone(cases, kind):
    encoder, head, items, _ = cases[kind]
    from stilts.model.encoder import Layout

    for i, out in enumerate(run_head(encoder, head, items, 200)):
        sequences = items.sequences(i)
        layout = Layout(torch.tensor([len(s) for s in sequences]))
        with torch.no_grad():
            scores = head(encoder(torch.from_numpy(np.concatenate(sequences)).long(), layout), layout).numpy()
        first, last = items.rows[i, 1:]
        if kind == "token_tagging":
            wanted = scores[1 : 1 + last - first]
        elif kind == "span_extraction":
            question = len(sequences[0]) - 4 - (last - first)
            wanted = np.concatenate([scores[:1], scores[question + 3 : -1]])
            assert len(wanted) == 1 + last - first
        else:
            wanted = scores[0]
        np.testing.assert_allclose(out, wanted, atol=2e-6)


def test_tags_are_read_at_the_first_subword_of_every_word(cases):
    _, _, items, data = cases["token_tagging"]
    assert len(items) > len(data["id"]), "some sentence must be cut for this test to mean something"
    make = np.random.default_rng(0)
    split = items.split
    wanted: dict[int, list[int]] = {}
    outputs = []
    for example, first, last in items.rows.tolist():
        scores = make.normal(size=(last - first, 3)).astype(np.float32)
        outputs.append(scores)
        start = split.bounds(example, 0)[0]
        wanted.setdefault(example, [])
        wanted[example] += [
            int(scores[i].argmax()) for i in range(last - first) if split.targets[start + first + i] >= 0
        ]
    tags = decode_tags(items, outputs)
    assert tags == wanted
    assert [len(tags[e]) for e in range(len(data["id"]))] == [len(t) for t in data["tokens"]]


@pytest.mark.parametrize("kind", TRAINED)
def test_prediction_files(cases, kind, tmp_path):
    encoder, head, items, data = cases[kind]
    columns = predict(encoder, head, items, data, task_of(kind), 300)
    for n in ("a", "b"):
        write_predictions(tmp_path / f"{n}.parquet", columns)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()
    table = pq.read_table(tmp_path / "a.parquet").to_pydict()
    assert table["id"] == data["id"]
    assert table["language"] == data["language"]
    if kind in ("pair_classification", "multiple_choice"):
        assert set(table) == {"id", "language", "logits", "label"}
        assert {len(x) for x in table["logits"]} == {OUTPUTS[kind]}
        assert table["label"] == data["label"]
    elif kind == "token_tagging":
        assert table["gold"] == data["tags"]
        assert [len(t) for t in table["tags"]] == [len(t) for t in data["tags"]]
    else:
        assert table["text"] == [n[0]["text"] for n in table["nbest"]]
        for n, context in zip(table["nbest"], data["context"], strict=True):
            assert all(s["text"] == context[s["char_start"] : s["char_end"]] != "" for s in n[:-1])
    assert 0 <= dev_score(task_of(kind), columns, data) <= 100


def test_perfect_logits_score_100_and_the_rows_must_agree(cases):
    data = {"id": ["a", "b"], "language": ["en", "en"]}
    columns = {**data, "logits": [[0.0, 1.0], [2.0, 1.0]], "label": [1, 0]}
    task = task_of("pair_classification")
    assert dev_score(task, columns, data) == 100.0
    assert dev_score(task, {**columns, "label": [1, 1]}, data) == 50.0
    with pytest.raises(UserError):
        dev_score(task, columns, {"id": ["b", "a"], "language": ["en", "en"]})


def test_rows_of_examples_come_in_the_order_asked_for(cases, tmp_path):
    folder = tokenised("pair_classification", make_tokenizer(tmp_path / "k"), tmp_path / "t", train=toy(TRAINED[0], 6))
    whole = read_examples(folder / "data", "train")
    some = read_examples(folder / "data", "train", np.asarray([4, 1]))
    assert some == {k: [v[4], v[1]] for k, v in whole.items()}


# --- embeddings (their values: test_model_peers.py)


def test_layers_are_resolved_and_bounded():
    encoder = random_encoder(tiny_config())
    assert resolve_layers("all", encoder) == [0, 1, 2, 3]
    assert resolve_layers([3, 0], encoder) == [0, 3]
    with pytest.raises(UserError, match="hidden state 4; the encoder has 3 layers"):
        resolve_layers([1, 4], encoder)


def test_layers_above_the_deepest_one_read_are_not_computed(tmp_path):
    split = split_of("bitext_retrieval", make_tokenizer(tmp_path), tmp_path / "t", toy("bitext_retrieval", 5))
    encoder = random_encoder(tiny_config())
    spec = {"pooling": "mean", "max_length": 20}
    rows = np.arange(5)
    whole = embed(encoder, split, 0, rows, [0, 1, 2, 3], spec, 100)
    encoder.layers[2].forward = None
    np.testing.assert_array_equal(embed(encoder, split, 0, rows, [1, 2], spec, 100), whole[[1, 2]])
    np.testing.assert_array_equal(embed(encoder, split, 0, rows, [0], spec, 100), whole[[0]])
