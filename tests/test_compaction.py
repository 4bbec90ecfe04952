"""Training on the embedding rows that are read gives what training on all of them gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from stilts.model.encoder import Encoder, initialise
from stilts.tokens.store import TokenSplit
from stilts.train import compaction
from stilts.train.compaction import CompactEmbedding, decay, train_compact
from stilts.train.loop import train
from stilts.train.plan import make_plan
from stilts.train.setup import Sources, make_part, make_text_part
from tests.engine_case import TRAINED, make_tokenizer, settings, task_of, tiny_config, tokenised, toy

WORDS = "embeddings.word_embeddings.weight"
VOCABULARY = 400  # most of it in no example
MIXING = {"sampling": "proportional", "temperature": 1.0, "examples_cap": 10**9}


@pytest.fixture(scope="module")
def places(tmp_path_factory) -> dict[str, Path]:
    """Return kind -> folder with data/ and tokens/; every kind has sub-words that no other has."""
    folder = tmp_path_factory.mktemp("tasks")
    tokenizer = make_tokenizer(folder / "tokenizer")
    made = {}
    for kind in TRAINED:
        splits = {"train": toy(kind, 24, seed=1), "validation": toy(kind, 12, seed=2, languages=("en", "de"))}
        made[kind] = tokenised(kind, tokenizer, folder / kind, **splits)
    made["masked_lm"] = tokenised("masked_lm", tokenizer, folder / "text", train=toy("masked_lm", 40))
    return made


def run(kinds: tuple[str, ...], places, folder: Path, trainer, **changes) -> tuple[Encoder, list, str]:
    """Train a fresh encoder on some kinds; return it, the heads and the history."""
    folder.mkdir(parents=True)
    torch.manual_seed(0)
    encoder = Encoder(tiny_config(vocab_size=VOCABULARY, num_hidden_layers=2))
    initialise(encoder, 0.1)
    own = settings(max_grad_norm=0.05, dropout=0.1, **changes)
    spec = {"settings": own, "seed": 1, "source_language": "en"}
    parts = []
    for kind in kinds:
        where = Sources(places[kind] / "tokens", places[kind] / "data")
        if kind == "masked_lm":
            how = {"corpus": "text", "languages": ["en"], "language_alpha": 1.0, "mask_probability": 0.3}
            parts.append(make_text_part(encoder, where.tokens, 3, {**how, "batch_size": 8, "max_length": 48}, 1, {}))
        else:
            task = task_of(kind, kind)
            parts.append(make_part(encoder, task, where, where, task, spec))
    plan = make_plan([len(p.items) for p in parts], [p.name for p in parts], [own] * len(parts), 1, MIXING)
    encoder.freeze(own["frozen_layers"])
    torch.manual_seed(1)
    trainer(encoder, parts, plan, own, folder / "history.jsonl")
    return encoder, [p.head for p in parts], (folder / "history.jsonl").read_text()


@pytest.mark.parametrize("weight_decay", [0.0, 0.3])
@pytest.mark.parametrize("kinds", [*((kind,) for kind in TRAINED), TRAINED], ids="_".join)
def test_the_same_model_as_with_all_rows(places, tmp_path, kinds, weight_decay):
    # Steps with a dev score, the best of which is not the last: the rows decay to that one.
    changes = {"weight_decay": weight_decay, "epochs": 3, "eval_every": 2, "eval_examples": 4, "patience": 3}
    whole, heads, told = run(kinds, places, tmp_path / "whole", train, **changes)
    compact, same, also = run(kinds, places, tmp_path / "compact", train_compact, **changes)
    assert told == also
    state, other = whole.state_dict(), compact.state_dict()
    assert state.keys() == other.keys()
    for name in state.keys() - {WORDS}:
        assert torch.equal(state[name], other[name]), name
    for a, b in zip(heads, same, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a.parameters(), b.parameters(), strict=True))
    assert (state[WORDS] - other[WORDS]).abs().max() <= (1e-7 if weight_decay else 0)
    assert bool(compact.decays) == bool(weight_decay)


@pytest.mark.parametrize(
    ("kinds", "changes", "reason"),
    [
        (("pair_classification", "masked_lm"), {}, "text reads any"),
        (("pair_classification",), {"frozen_layers": 1}, "they are frozen"),
    ],
)
def test_all_rows_stay_where_leaving_some_out_would_be_wrong_or_useless(
    places, tmp_path, capsys, kinds, changes, reason
):
    whole, _, told = run(kinds, places, tmp_path / "whole", train, weight_decay=0.1, **changes)
    compact, _, also = run(kinds, places, tmp_path / "compact", train_compact, weight_decay=0.1, **changes)
    assert reason in capsys.readouterr().out
    assert told == also
    assert all(torch.equal(a, b) for a, b in zip(whole.parameters(), compact.parameters(), strict=True))


def test_rows_that_are_not_read_are_out_of_the_optimizer(places, tmp_path, monkeypatch):
    shapes = []

    def spy(encoder, parts, *rest):
        shapes.append(tuple(encoder.state_dict()[WORDS].shape))
        held = {int(i) for p in parts for item in range(len(p.items)) for s in p.items.sequences(item) for i in s}
        assert held <= set(np.flatnonzero(encoder.embeddings.word_embeddings.places.numpy() >= 0).tolist())
        return train(encoder, parts, *rest)

    monkeypatch.setattr(compaction, "train", spy)
    run(("token_tagging",), places, tmp_path / "run", train_compact)
    assert 10 < shapes[0][0] < 120


def test_an_id_that_was_left_out_is_an_error():
    whole = torch.nn.Embedding(10, 8)
    some = CompactEmbedding(whole, torch.tensor([2, 3, 7]))
    assert torch.equal(some(torch.tensor([7, 2])), whole.weight[[7, 2]])
    with pytest.raises(IndexError):
        some(torch.tensor([4]))


def test_the_sub_words_of_examples(places):
    split = TokenSplit(places["span_extraction"] / "tokens", "train")
    for chosen in ([], [3], [5, 2, 2], range(len(split))):
        held = {int(i) for e in chosen for k in range(split.segments_of(e)) for i in split.segment(e, k)}
        special = {split.cls, split.pad, split.sep, split.unk, split.mask}
        assert split.sub_words(np.asarray(chosen, np.int64)).tolist() == sorted(held | special)


@examples(max_examples=40, deadline=None)
@given(
    steps=st.integers(1, 60),
    share=st.floats(0, 1),
    rate=st.floats(1e-6, 1e-2),
    weight_decay=st.floats(0, 1),
    warmup=st.floats(0, 1),
)
def test_decay_is_what_adamw_does_to_a_weight_without_gradient(steps, share, rate, weight_decay, warmup):
    own = settings(learning_rate=rate, weight_decay=weight_decay, warmup_ratio=warmup)
    done, first = round(share * steps), round(warmup * steps)
    weight = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))
    optimizer = torch.optim.AdamW([weight], lr=rate, weight_decay=weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda k: (k + 1) / first if k < first else (steps - k) / max(1, steps - first)
    )
    for _ in range(done):
        weight.grad = torch.zeros_like(weight)
        optimizer.step()
        schedule.step()
    assert decay(steps, done, own) == pytest.approx(weight.item(), rel=1e-12)
