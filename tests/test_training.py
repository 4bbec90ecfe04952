"""Training: splitting changes nothing, every kind learns, equal seeds give equal bytes, the best model is kept."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from stilts.errors import UserError
from stilts.model.checkpoint import save_encoder, save_head
from stilts.model.encoder import Layout
from stilts.tokens.sequences import Items
from stilts.tokens.store import TokenSplit
from stilts.train import loop
from stilts.train.loop import Part, train
from stilts.train.plan import make_plan
from stilts.train.pretrain import pretrain
from stilts.train.setup import Sources, make_head, make_part
from tests.engine_case import (
    TRAINED,
    WORDS,
    make_tokenizer,
    random_encoder,
    settings,
    task_of,
    tiny_config,
    tokenised,
    toy,
)

MIXING = {"sampling": "proportional", "temperature": 1.0, "examples_cap": 10**9}


@pytest.fixture(scope="module")
def places(tmp_path_factory) -> dict[str, Path]:
    """Return kind -> folder with data/ and tokens/ of a learnable task."""
    folder = tmp_path_factory.mktemp("tasks")
    tokenizer = make_tokenizer(folder / "tokenizer")
    made = {}
    for kind in TRAINED:
        splits = {"train": toy(kind, 64, seed=1), "validation": toy(kind, 24, seed=2, languages=("en", "de"))}
        made[kind] = tokenised(kind, tokenizer, folder / kind, **splits)
    text = {"text": [" ".join(WORDS[i % 5 : i % 5 + 12]) for i in range(200)]}
    made["masked_lm"] = tokenised("masked_lm", tokenizer, folder / "text", train=text)
    return made


def part_of(kind: str, places, encoder, seed: int = 1, name: str = "toy", blind: bool = False, **changes) -> tuple:
    """Return (part, settings) of a kind."""
    own = settings(**changes)
    where = Sources(places[kind] / "tokens", places[kind] / "data")
    spec = {"settings": own, "seed": seed, "source_language": "en", "blind": blind}
    task = task_of(kind, name)
    return make_part(encoder, task, where, where, task, spec), own


def fit(kind: str, places, folder: Path, seed: int = 1, **changes):
    """Train a fresh encoder; return (encoder, part, outcome, history)."""
    folder.mkdir(parents=True, exist_ok=True)
    # Like the untrained encoder of a study, not random_encoder: its noise would take long to unlearn.
    encoder = random_encoder(tiny_config(num_hidden_layers=2), std=0.1)
    part, own = part_of(kind, places, encoder, seed, **changes)
    plan = make_plan([len(part.items)], [part.name], [own], seed, {})
    encoder.freeze(own["frozen_layers"])
    torch.manual_seed(seed)
    outcome = train(encoder, [part], plan, own, folder / "history.jsonl")
    history = [json.loads(x) for x in (folder / "history.jsonl").read_text().splitlines()]
    return encoder, part, outcome, history


# --- a batch is the sum of its pieces


@pytest.mark.parametrize("kind", TRAINED)
def test_micro_batches_give_the_same_loss_and_gradients(places, kind, monkeypatch):
    encoder = random_encoder(tiny_config()).train()
    part, _ = part_of(kind, places, encoder, max_length=20, doc_stride=4)
    chosen = np.random.default_rng(0).permutation(len(part.items))[:17]
    runs = []
    for budget in (10**6, 150, 40, 1):
        monkeypatch.setattr(loop, "MICRO_BATCH", budget)
        before = part.work.tokens
        loss = loop._backward(encoder, part, chosen)
        tokens = part.work.tokens - before
        modules = torch.nn.ModuleList([encoder, part.head])
        runs.append((loss, tokens, {k: p.grad.clone() for k, p in modules.named_parameters()}))
        modules.zero_grad(set_to_none=True)
    loss, tokens, gradients = runs[0]
    for other, count, pieces in runs[1:]:
        assert other == pytest.approx(loss, abs=1e-6)
        assert count == tokens
        for name, gradient in gradients.items():
            torch.testing.assert_close(pieces[name], gradient, atol=1e-5, rtol=1e-4, msg=name)
    assert max(g.abs().max() for g in gradients.values()) > 1e-3


@pytest.mark.parametrize("kind", TRAINED)
def test_the_loss_is_the_mean_over_real_targets(places, kind):
    """The whole optimizer batch at once, against each item alone."""
    encoder = random_encoder(tiny_config()).train()
    part, _ = part_of(kind, places, encoder, max_length=20, doc_stride=4)
    chosen = np.arange(11)
    total, count = 0.0, 0
    for i in chosen:
        batch = part.items.batch(np.asarray([i]))
        total += loop.batch_loss(encoder, part.head, batch).item()
        count += batch.count
    loss = loop._backward(encoder, part, chosen)
    assert loss == pytest.approx(total / count, rel=1e-5)
    assert part.work.tokens == sum(len(s) for i in chosen for s in part.items.sequences(int(i)))
    if kind == "token_tagging":
        assert count > len(chosen)
    else:
        assert count == len(chosen)


# --- learning


@pytest.mark.parametrize("kind", TRAINED)
def test_every_kind_learns_what_can_be_learnt(places, kind, tmp_path):
    epochs = 24 if kind == "span_extraction" else 12
    _, part, outcome, history = fit(kind, places, tmp_path, epochs=epochs, eval_every=24, learning_rate=4e-3)
    assert history[0]["loss"] > 0.5
    assert np.mean([h["loss"] for h in history[-8:]]) < 0.25 * history[0]["loss"]
    assert outcome.dev > 85
    assert outcome.steps == len(history) == 8 * epochs
    assert outcome.tokens == epochs * sum(len(s) for i in range(len(part.items)) for s in part.items.sequences(i))


def test_a_blind_model_cannot_learn_what_stands_in_the_first_input(places, tmp_path):
    encoder = random_encoder(tiny_config(), std=0.1)
    part, own = part_of("pair_classification", places, encoder, blind=True, epochs=6, eval_every=48)
    outcome = train(encoder, [part], make_plan([64], ["toy"], [own], 1, {}), own, tmp_path / "h")
    assert outcome.dev < 80


def saved(folder: Path, encoder, part) -> dict[str, bytes]:
    save_encoder(folder, encoder)
    save_head(folder, part.head)
    return {p.name: p.read_bytes() for p in folder.iterdir()}


@pytest.mark.parametrize("kind", TRAINED)
def test_equal_seeds_give_equal_bytes_and_others_do_not(places, kind, tmp_path):
    more = {"dropout": 0.1, "eval_every": 4, "epochs": 1}
    runs = [
        saved(tmp_path / n, *fit(kind, places, tmp_path / n, s, **more)[:2]) for n, s in (("a", 1), ("b", 1), ("c", 2))
    ]
    assert runs[0] == runs[1]
    assert all(runs[0][k] != runs[2][k] for k in ("model.safetensors", "head.safetensors", "history.jsonl"))


def test_evaluating_on_the_way_does_not_change_the_way(places, tmp_path):
    more = {"dropout": 0.1, "epochs": 1}
    _, _, _, plain = fit("pair_classification", places, tmp_path / "a", **more)
    _, _, _, watched = fit("pair_classification", places, tmp_path / "b", **more, eval_every=2)
    assert [h["loss"] for h in plain] == [h["loss"] for h in watched]
    assert [h.get("dev") is not None for h in watched] == [False, True] * 4
    assert not [h for h in plain if "dev" in h]


@pytest.mark.parametrize("frozen", [1, 2, 3])
def test_frozen_layers_stay_as_they_were(places, tmp_path, frozen):
    start = random_encoder(tiny_config(num_hidden_layers=2), std=0.1).state_dict()
    encoder, _, _, _ = fit("pair_classification", places, tmp_path, epochs=0.3, frozen_layers=frozen, weight_decay=0.1)
    same = {k for k, v in encoder.state_dict().items() if torch.equal(v, start[k])}
    still = ("embeddings.", *(f"encoder.layer.{k}." for k in range(frozen - 1)))
    assert same == {k for k in start if k.startswith(still)}


# --- selection


class Script:
    """Gives dev scores from a list and remembers the head's weights it saw."""

    def __init__(self, scores: list[float]):
        self.scores, self.seen = iter(scores), []

    def __call__(self, encoder, head) -> float:
        self.seen.append({k: v.clone() for k, v in (*encoder.state_dict().items(), *head.state_dict().items())})
        return next(self.scores)


@pytest.mark.parametrize(
    ("scores", "patience", "best", "steps"),
    [
        ([10, 30, 20, 25], 30, 1, 8),
        ([10, 30, 30, 25], 30, 1, 8),  # of equal scores the first is kept
        ([40, 30, 20, 25], 30, 0, 8),
        ([10, 20, 30, 40], 30, 3, 8),
        ([40, 30, 20, 99], 2, 0, 6),  # stopped before the fourth
        ([40, 30, 41, 35], 2, 2, 8),
    ],
)
def test_the_best_model_on_dev_is_kept(places, tmp_path, scores, patience, best, steps):
    encoder = random_encoder(tiny_config(), std=0.1)
    part, own = part_of("pair_classification", places, encoder, eval_every=2, patience=patience)
    part.evaluate = script = Script(scores)
    outcome = train(encoder, [part], make_plan([64], ["toy"], [own], 1, {}), own, tmp_path / "h")
    assert (outcome.dev, outcome.best_step, outcome.steps) == (scores[best], 2 * (best + 1), steps)
    state = encoder.state_dict() | part.head.state_dict()
    assert all(torch.equal(v, script.seen[best][k]) for k, v in state.items())


def test_without_selection_the_last_model_is_kept(places, tmp_path):
    _, part, outcome, _ = fit("pair_classification", places, tmp_path, eval_every=0)
    assert part.evaluate is None
    assert (outcome.dev, outcome.best_step, outcome.steps) == (None, 8, 8)


def test_the_last_step_is_evaluated_too(places, tmp_path):
    _, _, _, history = fit("pair_classification", places, tmp_path, eval_every=5)
    assert [h["step"] for h in history if "dev" in h] == [5, 8]


def test_selection_reads_source_language_examples_only(places):
    part, _ = part_of("pair_classification", places, random_encoder(tiny_config()), eval_every=1)
    items = next(c.cell_contents for c in part.evaluate.__closure__ if isinstance(c.cell_contents, Items))
    split = TokenSplit(places["pair_classification"] / "tokens", "validation")
    seen = split.language[items.rows[:, 0]].tolist()
    assert {split.languages[k] for k in seen} == {"en"}
    assert len(seen) == 12


def test_a_diverging_run_is_one_message(places, tmp_path):
    with pytest.raises(UserError, match=r"training diverged: the loss of step \d+ \(toy\) is .* Lower learning_rate"):
        fit("pair_classification", places, tmp_path, learning_rate=1e30, warmup_ratio=0.0, epochs=3)


def test_an_empty_training_split_is_one_message(tmp_path):
    tokenizer = make_tokenizer(tmp_path / "k")
    empty: dict[str, list] = {"language": [], "text_a": [], "text_b": [], "label": []}
    place = tokenised("pair_classification", tokenizer, tmp_path / "t", train=empty)
    with pytest.raises(UserError, match="the training split is empty"):
        part_of("pair_classification", {"pair_classification": place}, random_encoder(tiny_config()))


# --- both arms of a comparison, several tasks


def test_head_and_order_do_not_depend_on_the_encoder(places):
    heads = []
    for config, seed in ((tiny_config(), 0), (tiny_config(), 7)):
        torch.manual_seed(seed)
        heads.append(make_head(random_encoder(config, seed), task_of("token_tagging"), 3, settings(), 1).state_dict())
    assert all(torch.equal(v, heads[1][k]) for k, v in heads[0].items())
    other = make_head(random_encoder(tiny_config()), task_of("token_tagging"), 3, settings(), 2).state_dict()
    assert not torch.equal(other["classifier.weight"], heads[0]["classifier.weight"])


def test_several_tasks_share_the_encoder_and_keep_their_heads(places, tmp_path):
    encoder = random_encoder(tiny_config(num_hidden_layers=2), std=0.1)
    made = [part_of(k, places, encoder, name=k, epochs=12, eval_every=60, learning_rate=4e-3) for k in TRAINED]
    parts, own = [p for p, _ in made], [s for _, s in made]
    before = [{k: v.clone() for k, v in p.head.state_dict().items()} for p in parts]
    plan = make_plan([len(p.items) for p in parts], [p.name for p in parts], own, 1, MIXING)
    outcome = train(encoder, parts, plan, own[0], tmp_path / "h")
    history = [json.loads(x) for x in (tmp_path / "h").read_text().splitlines()]
    assert {h["task"] for h in history} == set(TRAINED)
    assert outcome.steps == len(plan) == 12 * 8 * 4
    for kind in TRAINED:
        losses = [h["loss"] for h in history if h["task"] == kind]
        assert np.mean(losses[-6:]) < 0.7 * np.mean(losses[:3]), kind
    for part, old in zip(parts, before, strict=True):
        assert all(not torch.equal(v, old[k]) for k, v in part.head.state_dict().items())
    assert outcome.dev == pytest.approx(np.mean([p.evaluate(encoder, p.head) for p in parts]), abs=1e-5)


def test_a_task_that_is_never_drawn_keeps_its_head(places, tmp_path):
    encoder = random_encoder(tiny_config(), std=0.1)
    parts = [part_of(k, places, encoder, name=k)[0] for k in TRAINED[:2]]
    old = {k: v.clone() for k, v in parts[1].head.state_dict().items()}
    train(encoder, parts, [(0, np.arange(4))] * 2, settings(weight_decay=0.5), tmp_path / "h")
    assert all(torch.equal(v, old[k]) for k, v in parts[1].head.state_dict().items())


# --- pretraining

PRETRAINING = {
    "hidden_size": 24,
    "layers": 2,
    "heads": 2,
    "ffn_size": 32,
    "max_positions": 40,
    "steps": 60,
    "batch_tokens": 200,
    "shards": 1,
    "mask_probability": 0.15,
    "language_alpha": 1.0,
    "initializer_range": 0.05,
    "training": settings(learning_rate=1e-2, adam_beta2=0.98, dropout=0.1),
}


def test_pretraining_lowers_the_loss_and_is_repeatable(places, tmp_path):
    split = TokenSplit(places["masked_lm"] / "tokens", "train")
    runs = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        encoder, head, facts = pretrain(split, PRETRAINING, seed, tmp_path / f"{name}.jsonl")
        save_encoder(tmp_path / name, encoder, head)
        runs.append(((tmp_path / name / "model.safetensors").read_bytes(), facts))
    assert runs[0] == runs[1]
    assert runs[0][0] != runs[2][0]
    losses = [json.loads(x)["loss"] for x in (tmp_path / "a.jsonl").read_text().splitlines()]
    assert losses[-1] < losses[0] - 1.0
    assert losses[0] < 1.2 * np.log(split.vocabulary)
    facts = runs[0][1]
    assert facts["steps"] == 60
    assert 60 * 200 <= facts["tokens"] < 60 * 240
    assert facts["loss"] < losses[0]
    ids = torch.tensor([0, *split.segment(0, 0).tolist()[:30], 2])
    assert encoder(ids, Layout(torch.tensor([len(ids)]))).shape == (len(ids), 24)


def test_diverging_pretraining_is_one_message(places, tmp_path):
    split = TokenSplit(places["masked_lm"] / "tokens", "train")
    wild = {**PRETRAINING, "training": settings(learning_rate=1e30)}
    with pytest.raises(UserError, match=r"diverged at step \d+: lower pretraining\.training\.learning_rate"):
        pretrain(split, wild, 1, tmp_path / "h")


def test_part_is_what_make_part_makes(places):
    part, _ = part_of("span_extraction", places, random_encoder(tiny_config(max_position_embeddings=30)), max_length=48)
    assert isinstance(part, Part)
    assert part.items.max_length == 28, "no longer than the encoder has positions for"
    part, _ = part_of("span_extraction", places, random_encoder(tiny_config()), max_train_examples=10)
    assert len(set(part.items.rows[:, 0].tolist())) == 10
