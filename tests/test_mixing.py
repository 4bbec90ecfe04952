"""Mixing of tasks, text and translations in one run: jiant's formula, shares, order, masks."""

from __future__ import annotations

import json
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoModelForMaskedLM

from stilts.errors import UserError
from stilts.model.checkpoint import save_encoder
from stilts.tokens.joined import JoinedItems, join
from stilts.tokens.sequences import Items
from stilts.train import loop
from stilts.train.cotraining import IGNORE, TextItems, draw_documents
from stilts.train.plan import make_plan, task_shares, task_steps, text_steps, with_text
from stilts.train.setup import Sources, make_part, make_text_part
from tests.engine_case import (
    TRAINED,
    make_tokenizer,
    random_encoder,
    settings,
    split_of,
    task_of,
    tiny_config,
    tokenised,
    toy,
)

# Training examples of the paper's nine tasks: anli+, mnli, qqp, squad2, squad1, hellaswag, ccg, cosmosqa, csqa.
NINE = [1_104_934, 392_702, 363_846, 130_319, 87_599, 39_905, 38_015, 25_262, 9_741]
CAPPED = [131_072, 131_072, 131_072, 130_319, 87_599, 39_905, 38_015, 25_262, 9_741]  # by hand; they sum to 724,057
TEXT = {"corpus": "mlm_text", "rate": 0.5, "language_alpha": 1.0, "mask_probability": 0.3, "languages": ["aa", "bb"]}
TEXT |= {"batch_size": 4, "max_length": 20}


# --- several tasks: jiant's formula


def test_shares_of_the_nine_tasks_are_jiants():
    cap = {"sampling": "proportional", "temperature": 1.0, "examples_cap": 131_072}
    wanted = [float(Fraction(n, 724_057)) for n in CAPPED]
    assert task_shares(NINE, cap) == pytest.approx(wanted, abs=1e-15)
    # Without a cap: 1,104,934 of 2,192,323.
    assert task_shares(NINE, {**cap, "examples_cap": 10**9})[0] == pytest.approx(1_104_934 / 2_192_323, abs=1e-15)
    # Square roots of 400, 100 and 25 (capped from 900): 20, 10, 5.
    hot = {"sampling": "temperature", "temperature": 2.0, "examples_cap": 400}
    assert task_shares([900, 100, 25], hot) == pytest.approx([20 / 35, 10 / 35, 5 / 35], abs=1e-15)


def test_steps_of_the_nine_tasks_are_jiants():
    # Three epochs of ceil(capped / 24): 5462 x 3 tasks, 5430, 3650, 1663, 1584, 1053, 406.
    by_hand = [5462, 5462, 5462, 5430, 3650, 1663, 1584, 1053, 406]
    assert [task_steps(n, 131_072, {"epochs": 3, "batch_size": 24}) for n in NINE] == [3 * k for k in by_hand]


@given(
    st.lists(st.integers(1, 400), min_size=2, max_size=5),
    st.integers(1, 300),
    st.floats(1.0, 5.0),
    st.integers(1, 40),
    st.integers(1, 3),
)
def test_any_mixture_follows_jiants_formula(counts, cap, temperature, size, epochs):
    mixing = {"sampling": "temperature", "temperature": temperature, "examples_cap": cap}
    raw = np.array(counts).clip(max=cap) ** (1 / temperature)
    assert task_shares(counts, mixing) == pytest.approx(raw / raw.sum())
    plan = make_plan(
        counts,
        [f"t{k}" for k in range(len(counts))],
        [settings(epochs=epochs, batch_size=size)] * len(counts),
        1,
        mixing,
    )
    assert len(plan) == sum(epochs * -(-min(n, cap) // size) for n in counts)


def test_draws_have_the_shares_of_the_formula():
    """Chi-square over nine tasks; 26.1 is its 99.9 % point with 8 degrees of freedom (tables)."""
    mixing = {"sampling": "proportional", "temperature": 1.0, "examples_cap": 1311}
    counts = [n // 100 for n in NINE]
    plan = make_plan(counts, [f"t{k}" for k in range(9)], [settings(epochs=20, batch_size=24)] * 9, 1, mixing)
    drawn = np.bincount([t for t, _ in plan], minlength=9)
    wanted = task_shares(counts, mixing) * len(plan)
    assert len(plan) > 5000
    assert ((drawn - wanted) ** 2 / wanted).sum() < 26.1


# --- masked-LM steps between the tasks' steps


@given(st.integers(1, 200), st.floats(0.05, 0.95), st.integers(1, 9), st.integers(0, 3))
def test_text_steps_have_their_rate_and_leave_the_tasks_as_they_were(steps, rate, size, seed):
    plan = make_plan([steps * 4], ["a"], [settings(batch_size=4)], seed, {})
    mixed = with_text(plan, rate, size, 1, seed)
    own = [b.tolist() for t, b in mixed if t == 0]
    text = [b for t, b in mixed if t == 1]
    assert own == [b.tolist() for _, b in plan]
    assert len(text) == text_steps(steps, rate)
    assert abs(len(text) - rate * len(mixed)) <= 1
    assert np.concatenate([*text, np.zeros(0, int)]).tolist() == list(range(size * len(text)))
    again = with_text(plan, rate, size, 1, seed)
    assert [(t, b.tolist()) for t, b in mixed] == [(t, b.tolist()) for t, b in again]


def test_text_steps_lie_anywhere():
    plan = make_plan([4000], ["a"], [settings(batch_size=4)], 1, {})
    places = [[k for k, (t, _) in enumerate(with_text(plan, 0.5, 2, 1, seed)) if t == 1] for seed in (1, 2)]
    assert places[0] != places[1]
    halves = np.histogram(places[0], bins=4, range=(0, 2000))[0] / 1000
    assert np.abs(halves - 0.25).max() < 4 * (0.25 * 0.75 / 2000) ** 0.5


# --- text


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    """Return documents in three languages, 60, 30 and 10 of them, of one or two segments."""
    folder = tmp_path_factory.mktemp("text")
    rows = toy("masked_lm", 100, 3)
    rows["language"] = ["aa"] * 60 + ["bb"] * 30 + ["cc"] * 10
    return split_of("masked_lm", make_tokenizer(folder / "tokenizer"), folder / "text", rows)


@pytest.mark.parametrize("alpha", [1.0, 0.3, 0.0])
def test_documents_are_drawn_by_language_and_come_again_only_after_all_others(text, alpha):
    drawn = draw_documents(text, ["aa", "cc"], 4000, alpha, 1)
    language = np.asarray(text.languages)[text.language[drawn]]
    weights = {"aa": 60**alpha, "cc": 10**alpha}
    for code, size in (("aa", 60), ("cc", 10)):
        own = drawn[language == code]
        share = weights[code] / sum(weights.values())
        assert abs(len(own) / 4000 - share) < 4 * (share * (1 - share) / 4000) ** 0.5
        for at in range(0, len(own) - size + 1, size):
            assert len(set(own[at : at + size].tolist())) == size
    assert set(language) == {"aa", "cc"}, "a language nobody asked for is not read"
    assert drawn.tolist() == draw_documents(text, ["aa", "cc"], 4000, alpha, 1).tolist()
    assert drawn.tolist() != draw_documents(text, ["aa", "cc"], 4000, alpha, 2).tolist()


def test_a_language_without_text_is_one_message(text):
    with pytest.raises(UserError, match='no example in "xx"; there are aa, bb, cc'):
        draw_documents(text, ["aa", "xx"], 5, 1.0, 1)


def test_masks_depend_on_seed_and_item_alone(text):
    items = TextItems(text, np.asarray([5, 5, *range(40)]), 12, 0.3, 1)
    whole = items.batch(np.arange(42))
    assert whole.lengths.tolist() == items.lengths.tolist()
    assert max(whole.lengths) == 12
    pieces = [items.batch(np.asarray([k])) for k in range(42)]
    assert np.concatenate([p.ids for p in pieces]).tolist() == whole.ids.tolist()
    assert np.concatenate([p.targets["targets"] for p in pieces]).tolist() == whole.targets["targets"].tolist()
    assert sum(p.count for p in pieces) == whole.count == (whole.targets["targets"] != IGNORE).sum()
    long = TextItems(text, np.asarray([5, 5]), 40, 0.5, 1)
    first, second = (long.batch(np.asarray([k])).targets["targets"] for k in (0, 1))
    assert len(first) == len(second)
    assert first.tolist() != second.tolist(), "a document drawn again has another mask"
    other = TextItems(text, np.asarray([5, 5]), 40, 0.5, 2).batch(np.asarray([0])).targets["targets"]
    assert first.tolist() != other.tolist()


def test_masks_are_80_10_10_of_the_share_asked_for(text):
    items = TextItems(text, np.tile(np.arange(100), 60), 60, 0.15, 1)
    batch = items.batch(np.arange(6000))
    plain = TextItems(text, np.tile(np.arange(100), 60), 60, 0.0, 1).batch(np.arange(6000))
    assert plain.count == 0
    targets, special = batch.targets["targets"], np.isin(plain.ids, items.special)
    chosen = targets != IGNORE
    assert (targets[chosen] == plain.ids[chosen]).all()
    assert (batch.ids[~chosen] == plain.ids[~chosen]).all()
    assert not chosen[special].any()
    n = (~special).sum()
    assert abs(chosen.sum() / n - 0.15) < 4 * (0.15 * 0.85 / n) ** 0.5, "short documents do not raise the share"
    masked = (batch.ids[chosen] == text.mask).mean()
    assert abs(masked - 0.8) < 4 * (0.8 * 0.2 / chosen.sum()) ** 0.5


# --- masked LM as one task of a run


def text_part(text, encoder, steps: int = 5, seed: int = 1, weights=None, **changes):
    own = {**TEXT, **changes}
    return make_text_part(encoder, text.folder, steps, own, seed, weights or {})


def test_the_loss_of_a_text_step_is_transformers(text, tmp_path):
    encoder = random_encoder(tiny_config(), std=0.1).eval()
    part = text_part(text, encoder)
    batch = part.items.batch(np.arange(20))
    ours = loop.batch_loss(encoder, part.head.eval(), batch).item() / batch.count
    save_encoder(tmp_path, encoder, part.head)
    reference = AutoModelForMaskedLM.from_pretrained(tmp_path).eval()
    width = int(batch.lengths.max())
    ids, labels, mask = (np.full((20, width), fill) for fill in (1, IGNORE, 0))
    starts = np.cumsum([0, *batch.lengths])
    for b, (at, n) in enumerate(zip(starts, batch.lengths, strict=False)):
        ids[b, :n], labels[b, :n], mask[b, :n] = batch.ids[at : at + n], batch.targets["targets"][at : at + n], 1
    with torch.no_grad():
        loss = reference(*map(torch.from_numpy, (ids, mask)), labels=torch.from_numpy(labels)).loss.item()
    assert ours == pytest.approx(loss, rel=1e-5)


def test_the_backbones_head_goes_on_and_a_drawn_one_is_fixed_by_the_seed(text):
    encoder = random_encoder(tiny_config())
    heads = [text_part(text, encoder, seed=seed).head.state_dict() for seed in (1, 1, 2)]
    assert all((heads[0][k] == heads[1][k]).all() for k in heads[0])
    assert not (heads[0]["dense.weight"] == heads[2]["dense.weight"]).all()
    weights = {f"lm_head.{k}": torch.randn_like(v) for k, v in heads[0].items()} | {"lm_head.decoder.bias": None}
    kept = text_part(text, encoder, weights=weights).head.state_dict()
    assert all((kept[k] == weights[f"lm_head.{k}"]).all() for k in kept)


def test_splitting_a_text_step_gives_the_same_gradients(text, monkeypatch):
    found = []
    for budget in (10**6, 24):
        monkeypatch.setattr(loop, "MICRO_BATCH", budget)
        encoder = random_encoder(tiny_config()).train()
        part = text_part(text, encoder)
        loss = loop._backward(encoder, part, np.arange(12))
        found.append((loss, part.work.tokens, encoder.embeddings.word_embeddings.weight.grad.clone()))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-5)
    assert found[0][1] == found[1][1]
    assert torch.allclose(found[0][2], found[1][2], atol=1e-5)


def test_text_steps_between_those_of_a_task_learn_the_text(text, pairs, tmp_path):
    own = settings(epochs=12)
    encoder = random_encoder(tiny_config(num_hidden_layers=2), std=0.1)
    where = Sources(pairs["pair_classification"][0] / "tokens", tmp_path)
    spec = {"settings": own, "seed": 1, "source_language": "en"}
    task = make_part(encoder, task_of("pair_classification"), where, None, task_of("pair_classification"), spec)
    plan = make_plan([len(task.items)], ["toy"], [own], 1, {})
    words = text_part(text, encoder, text_steps(len(plan), 0.8), batch_size=16, max_length=40)
    mixed = with_text(plan, 0.8, 16, 1, 1)
    torch.manual_seed(1)
    loop.train(encoder, [task, words], mixed, own, tmp_path / "history.jsonl")
    history = [json.loads(line) for line in (tmp_path / "history.jsonl").read_text().splitlines()]
    losses = [h["loss"] for h in history if h["task"] == "mlm_text"]
    assert np.mean(losses[-8:]) < np.mean(losses[:8]) - 0.5


# --- translations beside or instead of the source-language rows


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Return kind -> (folder of source-language rows, folder of their translations), 24 and 16 rows."""
    folder = tmp_path_factory.mktemp("pairs")
    tokenizer = make_tokenizer(folder / "tokenizer")
    made = {}
    for kind in TRAINED:
        sides = (("own", 24, 1, ("en",)), ("other", 16, 2, ("de",)))
        made[kind] = [tokenised(kind, tokenizer, folder / kind / n, train=toy(kind, c, s, k)) for n, c, s, k in sides]
    return made


@pytest.mark.parametrize("kind", TRAINED)
def test_joined_items_are_the_items_of_their_members(pairs, kind):
    from stilts.tokens.store import TokenSplit

    members = [Items(TokenSplit(f / "tokens", "train"), 20, 4) for f in pairs[kind]]
    joined = join(members)
    assert isinstance(joined, JoinedItems)
    assert join(members[:1]) is members[0]
    assert len(joined) == len(members[0]) + len(members[1])
    assert joined.lengths.tolist() == [*members[0].lengths, *members[1].lengths]

    def content(items: list) -> Counter:
        return Counter((i.ids.tobytes(), *(t.tobytes() for t in i.targets.values())) for i in items)

    chosen = np.random.default_rng(0).permutation(len(joined))[:17]
    first = len(members[0])
    alone = [members[int(k >= first)].batch(np.asarray([k - first * (k >= first)])) for k in chosen]
    assert content(joined.batch(np.asarray([k])) for k in chosen) == content(alone)
    batch = joined.batch(chosen)
    assert batch.count == sum(b.count for b in alone)
    assert sorted(batch.lengths.tolist()) == sorted(n for b in alone for n in b.lengths.tolist())
    assert len(batch.ids) == sum(len(b.ids) for b in alone)
    assert {len(t) for t in batch.targets.values()} == {len(t) for t in joined.batch(np.sort(chosen)).targets.values()}


@pytest.mark.parametrize(("source_rows", "cap", "wanted"), [(True, 0, 40), (False, 0, 16), (True, 10, 10)])
def test_translated_rows_are_trained_on_beside_or_instead(pairs, source_rows, cap, wanted):
    own, other = (f / "tokens" for f in pairs["pair_classification"])
    spec = {
        "settings": settings(max_train_examples=cap),
        "seed": 1,
        "source_language": "en",
        "source_rows": source_rows,
    }
    task, encoder = task_of("pair_classification"), random_encoder(tiny_config())
    part = make_part(encoder, task, Sources(own, own), None, task, spec, [other])
    assert len(part.items) == wanted
    labels = part.items.batch(np.arange(wanted)).targets["labels"]
    rows = [toy("pair_classification", n, s)["label"] for n, s in ((24, 1), (16, 2))]
    if not cap:
        assert labels.tolist() == [*(rows[0] if source_rows else []), *rows[1]]
