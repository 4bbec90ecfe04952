"""Dual encoders: what they read, their loss, that batches stay whole, that they learn, how they are judged."""

from __future__ import annotations

import math
import shutil

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from stilts.data.search import SCHEMA
from stilts.errors import UserError
from stilts.metrics.ranking import mean_reciprocal_rank, ranks_of
from stilts.model.encoder import Layout
from stilts.model.heads import DualHead, build_head, pool
from stilts.predict import dual
from stilts.predict.dual import dev_rank_score, encode
from stilts.provenance.manifest import write_manifest
from stilts.tokens.build import build_tokens
from stilts.tokens.dual import DualItems, trained_queries
from stilts.tokens.store import TokenSplit
from stilts.train import loop
from stilts.train.compaction import train_compact
from stilts.train.loop import train
from stilts.train.plan import make_plan
from stilts.train.setup import Sources, make_part
from tests.engine_case import WORDS, make_tokenizer, random_encoder, random_flat, settings, task_of, tiny_config

ONE = {"sampling": "proportional", "temperature": 1.0, "examples_cap": 1}


def row(name: str, side: str, text: str, gold: tuple[str, ...] = (), context: str = "") -> dict:
    return {"id": name, "language": "en", "side": side, "text": text, "context": context, "gold": list(gold)}


def pairs(count: int, seed: int) -> list[dict]:
    """Return queries and candidates that share a word which no other pair of the split has."""
    make = np.random.default_rng(seed)
    rows = []
    for k in range(count):
        word = WORDS[k % len(WORDS)] * 2 + WORDS[k // len(WORDS)]
        noise = ["".join(make.choice(WORDS, 2)) for _ in range(4)]
        rows.append(row(f"q{k}", "query", f"{word} {noise[0]} {noise[1]}", (f"c{k}",)))
        rows.append(row(f"c{k}", "candidate", f"{noise[2]} {word}", (), f"{noise[3]} {word} {noise[2]} " * 2))
    return rows


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with the tokens of a learnable search task."""
    home = tmp_path_factory.mktemp("dual")
    odd = [row("q", "query", "ba ce", ("c",)), row("r", "query", "di", ("nowhere",)), row("c", "candidate", "fo")]
    (home / "data").mkdir()
    for split, rows in {"train": pairs(60, 1), "validation": pairs(40, 2), "odd": odd}.items():
        pq.write_table(pa.Table.from_pylist(rows, schema=SCHEMA), home / "data" / f"{split}.parquet")
    (home / "tokens").mkdir()
    made = build_tokens("answer_retrieval", home / "data", make_tokenizer(home / "tokenizer"), home / "tokens")
    write_manifest(home / "tokens", made)
    return home


def part_of(folder, encoder, **changes):
    own = settings(**{"max_length": 40, "query_length": 20, **changes})
    where = Sources(folder / "tokens", folder / "data")
    task = task_of("answer_retrieval")
    return make_part(encoder, task, where, where, task, {"settings": own, "seed": 1, "source_language": "en"}), own


# --- input


def test_what_the_tower_reads(folder):
    split = TokenSplit(folder / "tokens", "train")
    items = DualItems(split, 16, 16)
    query, candidate = items.sequence(0), items.sequence(1)
    text, context = split.segment(1, 0), split.segment(1, 1)
    assert len(text) < 14 < len(text) + len(context)
    assert query.tolist() == [split.cls, *split.segment(0, 0)[:14], split.sep]
    assert candidate.tolist() == [split.cls, *text, *context[: 14 - len(text)], split.sep]
    odd = DualItems(TokenSplit(folder / "tokens", "odd"), 16, 16)
    assert odd.sequence(2).tolist() == [split.cls, *odd.split.segment(2, 0), split.sep]


def test_only_queries_with_a_right_candidate_are_trained_on(folder):
    odd = TokenSplit(folder / "tokens", "odd")
    assert trained_queries(odd).tolist() == [0]
    assert odd.gold.tolist() == [2, -1, -1]
    items = DualItems(odd, 16, 16)
    batch = items.batch(np.asarray([0]))
    assert (len(items), batch.count, len(batch.lengths)) == (1, 1, 2)
    assert batch.ids.tolist() == [*items.sequence(0), *items.sequence(2)]
    assert items.lengths.tolist() == [max(len(items.sequence(k)) for k in (0, 2))]


def test_too_short_a_length_is_refused(folder):
    with pytest.raises(UserError, match="query_length 8"):
        DualItems(TokenSplit(folder / "tokens", "train"), 8, 40)


# --- loss


def by_hand(vectors: torch.Tensor, scale: float) -> float:
    """The in-batch softmax of XTREME-R's baseline, pair by pair."""
    n = len(vectors) // 2
    total = 0.0
    for i in range(n):
        scores = [scale * float(vectors[i] @ vectors[n + j]) for j in range(n)]
        total += math.log(sum(math.exp(s - max(scores)) for s in scores)) + max(scores) - scores[i]
    return total


@pytest.mark.parametrize("pooling", ["first", "mean"])
def test_the_loss_is_an_in_batch_softmax_over_scaled_cosines(pooling):
    config = tiny_config()
    encoder, head = random_encoder(config), build_head("entity_retrieval", config, 0, pooling, 0.0)
    torch.nn.init.normal_(head.dense.weight, std=0.2)
    ids, layout = random_flat(config, [5, 9, 4, 7, 6, 3])
    states = encoder(ids, layout)
    vectors = head(states, layout)
    plain = torch.tanh(pool(states, layout, pooling) @ head.dense.weight.T + head.dense.bias)
    torch.testing.assert_close(vectors, plain / plain.norm(dim=1, keepdim=True))
    loss, count = head.loss(states, layout)
    assert count == 3
    assert loss.item() == pytest.approx(by_hand(vectors.detach().double(), 100.0), rel=1e-4)


def test_small_groups_are_small_batches_whose_gradients_add_up():
    """XTREME's gradient accumulation: three batches of 2, 2 and 1 pairs, each with its own softmax."""
    config = tiny_config()
    encoder = random_encoder(config)
    torch.manual_seed(0)
    head = build_head("answer_retrieval", config, 0, "first", 0.0, softmax_pairs=2)
    torch.nn.init.normal_(head.dense.weight, std=0.2)
    ids, layout = random_flat(config, [5, 9, 4, 7, 6, 3, 8, 5, 4, 6])
    loss, count = head.loss(encoder(ids, layout), layout)
    loss.backward()
    found = head.dense.weight.grad.clone()
    head.zero_grad()
    vectors = head(encoder(ids, layout), layout)
    assert count == 5
    parts = [torch.cat([vectors[a:b], vectors[5 + a : 5 + b]]) for a, b in ((0, 2), (2, 4), (4, 5))]
    assert loss.item() == pytest.approx(sum(by_hand(p.detach().double(), 100.0) for p in parts), rel=1e-4)
    assert loss.item() != pytest.approx(by_hand(vectors.detach().double(), 100.0), rel=0.05)
    for queries, candidates in ((p[: len(p) // 2], p[len(p) // 2 :]) for p in parts):
        logits = 100.0 * queries @ candidates.T
        torch.nn.functional.cross_entropy(logits, torch.arange(len(queries)), reduction="sum").backward(
            retain_graph=True
        )
    torch.testing.assert_close(found, head.dense.weight.grad, rtol=1e-4, atol=1e-5)


def test_the_setting_reaches_the_head(folder):
    part, _ = part_of(folder, random_encoder(tiny_config()), softmax_pairs=4)
    assert part.head.softmax_pairs == 4


@pytest.mark.parametrize(("together", "pairs"), [(0, 6 * 10 * 10), (4, 6 * (16 + 16 + 4)), (10, 600), (99, 600)])
def test_compared_pairs_are_counted_as_the_loss_compares_them(folder, tmp_path, monkeypatch, together, pairs):
    encoder, found, loss = random_encoder(tiny_config()), [], torch.nn.functional.cross_entropy

    def watched(logits, *args, **how):
        found.append(logits.numel())
        return loss(logits, *args, **how)

    monkeypatch.setattr(torch.nn.functional, "cross_entropy", watched)
    part, own = part_of(folder, encoder, epochs=1, batch_size=10, softmax_pairs=together)
    plan = make_plan([len(part.items)], ["toy"], [own], 1, ONE)
    train(encoder, [part], plan, own, tmp_path / "history.jsonl")
    assert part.work.pairs == sum(found) == pairs


@pytest.mark.parametrize("split", ["train", "validation"])
def test_queries_without_any_right_candidate_are_refused(folder, tmp_path, split):
    """Nothing would be trained, or the first model kept by a mean over nothing."""
    for path in (folder / "tokens").iterdir():
        shutil.copy(path, tmp_path)
    gold = TokenSplit(tmp_path, split).gold
    np.save(tmp_path / f"{split}.gold.npy", np.full_like(gold, -1), allow_pickle=False)
    where, own, task = Sources(tmp_path, folder / "data"), settings(eval_every=5), task_of("answer_retrieval")
    spec = {"settings": own, "seed": 1, "source_language": "en"}
    with pytest.raises(UserError, match=f"no query of the {split} split.* has its right candidate there; check that"):
        make_part(random_encoder(tiny_config()), task, where, where, task, spec)


def test_the_scale_begins_at_100_and_learns():
    config = tiny_config()
    encoder, head = random_encoder(config), DualHead(config, "first")
    assert head.logit_scale.tolist() == [100.0]
    ids, layout = random_flat(config, [5, 9, 4, 7])
    head.loss(encoder(ids, layout), layout)[0].backward()
    assert head.logit_scale.grad.abs().item() > 0
    assert "logit_scale" in head.state_dict()


def test_a_batch_is_never_split(folder, monkeypatch):
    """Splitting a batch would take negatives away: the gradients are those of the whole batch, whatever fits."""
    encoder = random_encoder(tiny_config())
    part, _ = part_of(folder, encoder)
    chosen = np.arange(8)
    whole = loop.batch_loss(encoder, part.head, part.items.batch(chosen)).item() / 8
    monkeypatch.setattr(loop, "MICRO_BATCH", 1)
    found = loop._backward(encoder, part, chosen)
    assert found == pytest.approx(whole, rel=1e-5)


# --- learning and judging


def test_it_learns_and_is_judged_on_unseen_pairs(folder, tmp_path):
    encoder = random_encoder(tiny_config(), std=0.05)
    part, own = part_of(folder, encoder, epochs=25, learning_rate=5e-3, batch_size=20, eval_every=5, pooling="mean")
    before = part.evaluate(encoder, part.head)
    plan = make_plan([len(part.items)], ["toy"], [own], 1, ONE)
    outcome = train(encoder, [part], plan, own, tmp_path / "history.jsonl")
    # Chance: the mean of 1/rank over 20 places of 40 is 9.
    assert outcome.dev > max(2 * before, 30)
    assert part.evaluate(encoder, part.head) == pytest.approx(outcome.dev, abs=1e-4)


def test_embedding_rows_that_are_not_read_may_stay_out_of_training(folder, tmp_path):
    def fit(trainer):
        encoder = random_encoder(tiny_config(vocab_size=400), std=0.05)
        part, own = part_of(folder, encoder, batch_size=20, eval_every=2, weight_decay=0.1, max_grad_norm=0.1)
        trainer(encoder, [part], make_plan([len(part.items)], ["toy"], [own], 1, ONE), own, tmp_path / "history.jsonl")
        return encoder.state_dict() | {f"head.{k}": v for k, v in part.head.state_dict().items()}

    whole, compact = fit(train), fit(train_compact)
    words = "embeddings.word_embeddings.weight"
    assert all(torch.equal(whole[k], compact[k]) for k in whole.keys() - {words})
    assert (whole[words] - compact[words]).abs().max() <= 1e-7


def test_vectors_do_not_depend_on_the_batches_and_may_go_to_a_file(folder, tmp_path):
    encoder = random_encoder(tiny_config())
    part, _ = part_of(folder, encoder)
    rows = np.arange(20)
    one, other = (encode(encoder, part.head, part.items, rows, budget) for budget in (40, 10**6))
    np.testing.assert_allclose(one, other, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(one, axis=1), 1.0, atol=1e-5)
    out = np.lib.format.open_memmap(tmp_path / "v.npy", mode="w+", dtype=np.float32, shape=one.shape)
    encode(encoder, part.head, part.items, rows, 10**6, out)
    np.testing.assert_array_equal(np.load(tmp_path / "v.npy"), other)
    sequence = part.items.sequence(3)
    alone = encoder(torch.from_numpy(sequence.astype(np.int64)), Layout(torch.tensor([len(sequence)])))
    direct = part.head(alone, Layout(torch.tensor([len(sequence)])))[0]
    np.testing.assert_allclose(other[3], direct.detach().numpy(), atol=1e-5)


def test_the_dev_score_is_the_mean_reciprocal_rank_among_right_candidates(folder):
    encoder = random_encoder(tiny_config())
    part, _ = part_of(folder, encoder)
    split = TokenSplit(folder / "tokens", "validation")
    items = DualItems(split, 20, 40)
    queries = trained_queries(split)[:12]
    vectors = encode(encoder, part.head, items, np.arange(len(split)), 10**6)
    scores = vectors[queries] @ vectors[split.gold[queries]].T
    ranks = [ranks_of(line, [k])[0] for k, line in enumerate(scores)]
    wanted = mean_reciprocal_rank(ranks).value
    assert dev_rank_score(encoder, part.head, items, queries, 999) == pytest.approx(wanted, abs=1e-4)


def test_right_candidates_below_twenty_count_nothing(folder, monkeypatch):
    split = TokenSplit(folder / "tokens", "train")
    queries = trained_queries(split)[:30]
    vectors = np.eye(30, dtype=np.float32)
    turned = np.roll(vectors, 1, axis=0)  # every right candidate ties with 28 others, and one is better
    made = iter([vectors, turned])
    monkeypatch.setattr(dual, "encode", lambda *_: next(made))
    ranks = [ranks_of(vectors[k] @ turned.T, [k])[0] for k in range(30)]
    assert max(ranks) > 20
    found = dev_rank_score(None, None, DualItems(split, 20, 40), queries, 999)
    assert found == pytest.approx(mean_reciprocal_rank(ranks).value)
