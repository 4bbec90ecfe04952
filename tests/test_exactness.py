"""How a batch is computed changes nothing: packing, pieces, chunks, oneDNN, precision, memory that is short."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from stilts.errors import UserError
from stilts.model import heads, layout, linear, loss, precision
from stilts.model.heads import DualHead, MaskedLMHead, build_head
from stilts.model.layout import Layout
from stilts.predict.infer import in_batches, run_head
from stilts.tokens.dual import DualItems
from stilts.tokens.sequences import Items
from stilts.tokens.store import TokenSplit
from stilts.train import loop
from stilts.train.cotraining import TextItems
from stilts.train.loop import Part, batch_loss
from stilts.train.work import Work
from tests.engine_case import TRAINED, WORDS, make_tokenizer, padded, random_encoder, tiny_config, tokenised, toy
from tests.test_model_peers import real, theirs

KINDS = (*TRAINED, "masked_lm", "answer_retrieval")


# --- every kind: packed = padded (transformers) = in pieces


@pytest.fixture(scope="module")
def parts(tmp_path_factory) -> dict[str, Part]:
    """Return kind -> items and a head of random weights; sequences differ much in length."""
    folder = tmp_path_factory.mktemp("kinds")
    tokenizer, config, made = make_tokenizer(folder / "tokenizer"), tiny_config(), {}
    embedding = random_encoder(config).embeddings.word_embeddings
    for kind in TRAINED:
        rows = toy(kind, 24, seed=1)
        if kind == "token_tagging":
            rows = {
                k: [x * (1 + i % 4) if k in ("tokens", "tags") else x for i, x in enumerate(v)] for k, v in rows.items()
            }
        split = TokenSplit(tokenised(kind, tokenizer, folder / kind, train=rows) / "tokens", "train")
        made[kind] = Part(kind, Items(split, 40, 4), build_head(kind, config, 3, "mean", 0.0), Work(kind, 3))
    text = {"text": [" ".join(WORDS[i % 5 : 1 + i % 5 + i % 13]) for i in range(24)]}
    split = TokenSplit(tokenised("masked_lm", tokenizer, folder / "text", train=text) / "tokens", "train")
    items, head = TextItems(split, np.arange(24), 40, 0.3, 1), MaskedLMHead(config, embedding)
    made["masked_lm"] = Part("text", items, head, Work("masked_lm", config.vocab_size))
    return made


def dual(folder) -> Part:
    """Return queries and candidates as a part."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    from stilts.data.search import SCHEMA
    from stilts.provenance.manifest import write_manifest
    from stilts.tokens.build import build_tokens
    from tests.test_dual import pairs

    (folder / "data").mkdir()
    (folder / "tokens").mkdir()
    pq.write_table(pa.Table.from_pylist(pairs(24, 1), schema=SCHEMA), folder / "data" / "train.parquet")
    made = build_tokens("answer_retrieval", folder / "data", make_tokenizer(folder / "tokenizer"), folder / "tokens")
    write_manifest(folder / "tokens", made)
    head = DualHead(tiny_config(), "first")
    return Part("dual", DualItems(TokenSplit(folder / "tokens", "train"), 16, 40), head, Work("answer_retrieval", 0))


@pytest.mark.parametrize("call", [0, 300, 10**9], ids=lambda c: f"call {c}")
@pytest.mark.parametrize("kind", KINDS)
def test_packed_is_padded_is_in_pieces(parts, kind, call, monkeypatch, tmp_path):
    """Loss and gradients of an optimizer batch against transformers' padded encoder under the same head."""
    monkeypatch.setattr(layout, "CALL", call)
    part = parts[kind] if kind in parts else dual(tmp_path)
    encoder = random_encoder(tiny_config()).train()
    if kind == "masked_lm":
        part.head._embedding[0] = encoder.embeddings.word_embeddings
    model = theirs(encoder)
    modules = torch.nn.ModuleList([encoder, part.head])
    modules.zero_grad(set_to_none=True)
    chosen = np.random.default_rng(0).permutation(len(part.items))[:19]
    batch = part.items.batch(chosen)
    flat = Layout(torch.from_numpy(batch.lengths))
    block, mask = padded(torch.from_numpy(batch.ids), flat)
    states = real(model(block, attention_mask=mask).last_hidden_state, mask)
    targets = {k: torch.from_numpy(v) for k, v in batch.targets.items()}
    summed, count = part.head.loss(states, flat, **targets)
    assert count == batch.count
    (summed / count).backward()
    wanted = {f"0.{k}": p.grad for k, p in model.named_parameters()}
    wanted |= {f"1.{k}": p.grad.clone() for k, p in part.head.named_parameters()}
    if kind == "masked_lm":  # the output matrix is ours, the input matrix theirs
        tied = "0.embeddings.word_embeddings.weight"
        wanted[tied] = wanted[tied] + encoder.embeddings.word_embeddings.weight.grad
    for budget, shapes in ((10**6, "many"), (150, "many"), (1, "many"), (10**6, "few")):
        modules.zero_grad(set_to_none=True)
        monkeypatch.setattr(loop, "MICRO_BATCH", budget)
        monkeypatch.setenv(layout.SWITCH, shapes)
        before = part.work.tokens
        value = loop._backward(encoder, part, chosen)
        assert value == pytest.approx(summed.item() / count, abs=1e-6, rel=1e-6)
        assert part.work.tokens - before == batch.lengths.sum()
        for name, p in modules.named_parameters():
            torch.testing.assert_close(p.grad, wanted[name], atol=1e-5, rtol=1e-4, msg=name)


# --- linear layers


@pytest.mark.skipif(not linear.ONEDNN, reason="this torch has no oneDNN")
@pytest.mark.parametrize("shape", [(64, 24, 40), (640, 96, 288), (130, 192, 96)], ids=str)
def test_onednn_multiplies_as_torch_does(shape, monkeypatch):
    monkeypatch.setattr(linear, "LITTLE", 0)
    rows, wide, out = shape
    torch.manual_seed(0)
    x, weight, bias, over = (
        torch.randn(*s, dtype=torch.float64) for s in ((rows, wide), (out, wide), (out,), (rows, out))
    )
    results, names = [], []
    for product, kind in ((F.linear, torch.float64), (linear.linear, torch.float32)):
        own = [t.detach().to(kind, copy=True).requires_grad_() for t in (x, weight, bias)]
        y = product(*own)
        (y * over.to(kind)).sum().backward()
        names.append(type(y.grad_fn).__name__)
        results.append([y.detach(), *(t.grad for t in own)])
    assert names[1] == "_LinearBackward"
    monkeypatch.setenv(linear.SWITCH, "torch")
    assert type(linear.linear(*own).grad_fn).__name__ != "_LinearBackward"
    for wanted, got in zip(*results, strict=True):
        torch.testing.assert_close(got.double(), wanted, atol=2e-5 * wanted.abs().max().item(), rtol=1e-5)


# --- the loss over a large vocabulary


@pytest.mark.parametrize("rows", [1, 7, 100])
def test_cross_entropy_in_chunks_is_the_plain_one(rows, monkeypatch):
    encoder = random_encoder(tiny_config(vocab_size=301)).train()
    head = MaskedLMHead(encoder.config, encoder.embeddings.word_embeddings)
    flat = Layout(torch.tensor([20, 9, 31]))
    torch.manual_seed(4)
    torch.nn.init.normal_(head.bias)
    ids = torch.randint(4, 300, (60,))
    targets = torch.where(torch.rand(60) < 0.5, torch.randint(4, 300, (60,)), heads.IGNORE)
    modules = torch.nn.ModuleList([encoder, head])
    runs = []
    for limit in (10**9, rows * 301):
        monkeypatch.setattr(heads, "LOGITS", limit)
        monkeypatch.setattr(loss, "LOGITS", limit)
        summed, count = head.loss(encoder(ids, flat), flat, targets)
        (summed / count).backward()
        runs.append((summed.item() / count, {k: p.grad for k, p in modules.named_parameters()}))
        modules.zero_grad(set_to_none=True)
    assert runs[1][0] == pytest.approx(runs[0][0], abs=1e-6)
    for name, wanted in runs[0][1].items():
        torch.testing.assert_close(runs[1][1][name], wanted, atol=1e-6, rtol=1e-5, msg=name)


def test_the_memory_of_the_loss_is_bounded_by_the_limit(monkeypatch):
    seen, plain = [], F.log_softmax

    def watched(logits, dim):
        seen.append(tuple(logits.shape))
        return plain(logits, dim)

    monkeypatch.setattr(loss, "LOGITS", 4 * 301)
    monkeypatch.setattr(F, "log_softmax", watched)
    with torch.no_grad():
        loss.vocabulary_loss(torch.randn(10, 8), torch.randn(301, 8), torch.randn(301), torch.arange(10))
    assert seen == [(4, 301), (4, 301), (2, 301)]


# --- precision


@pytest.mark.parametrize(
    ("wanted", "device", "fast", "chosen", "words"),
    [
        ("auto", "cpu", False, "fp32", "fp32: a CPU"),
        ("auto", "cuda", True, "bf16", "bf16: Card has units for it"),
        ("auto", "cuda", False, "fp32", "fp32: Card"),
        ("fp32", "cuda", True, "fp32", "as the settings say"),
        ("bf16", "cpu", False, "bf16", "as the settings say"),
    ],
)
def test_precision_is_chosen_and_the_reason_is_printed(wanted, device, fast, chosen, words, monkeypatch, capsys):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: fast)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "Card")
    assert precision.choose(wanted, torch.device(device)) == chosen
    assert words in capsys.readouterr().out


@pytest.mark.parametrize("kind", KINDS)
def test_bf16_products_are_near_and_weights_and_gradients_stay_fp32(parts, kind, tmp_path):
    part = parts[kind] if kind in parts else dual(tmp_path)
    encoder = random_encoder(tiny_config(), std=0.1).train()
    if kind == "masked_lm":
        part.head._embedding[0] = encoder.embeddings.word_embeddings
    modules = torch.nn.ModuleList([encoder, part.head])
    runs = []
    for name in ("fp32", "bf16"):
        modules.zero_grad(set_to_none=True)
        value = loop._backward(encoder, part, np.arange(11), name)
        runs.append((value, torch.cat([p.grad.flatten() for p in modules.parameters()])))
    assert all(p.grad.dtype == p.dtype == torch.float32 for p in modules.parameters())
    assert runs[1][0] != runs[0][0]
    assert runs[1][0] == pytest.approx(runs[0][0], rel=0.03)
    # An untrained tower's vectors are all alike: what tells them apart is of the size of the rounding.
    assert F.cosine_similarity(runs[0][1], runs[1][1], dim=0) > (0.8 if kind == "answer_retrieval" else 0.99)


# --- memory that is short


def small(capacity: int, seen: list):
    """Return a forward pre-hook of an encoder that fails above a number of padded tokens."""

    def check(module, args):
        tokens = args[1].batch * args[1].longest
        seen.append(tokens)
        if tokens > capacity:
            raise torch.OutOfMemoryError("CUDA out of memory")

    return check


def test_prediction_goes_on_with_half_the_tokens_where_memory_is_short(parts, capsys):
    part, encoder = parts["span_extraction"], random_encoder(tiny_config())
    wanted = run_head(encoder, part.head, part.items, 10**6)
    seen: list[int] = []
    hook = encoder.register_forward_pre_hook(small(200, seen))
    got = run_head(encoder, part.head, part.items, 10**6)
    hook.remove()
    for a, b in zip(got, wanted, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-6)
    failed = [n for n in seen if n > 200]
    assert 1 < len(failed) < 6
    assert capsys.readouterr().out.count("out of memory on the device: going on with") == len(failed)


def test_an_item_that_never_fits_is_one_message(parts):
    part, encoder = parts["span_extraction"], random_encoder(tiny_config())
    hook = encoder.register_forward_pre_hook(small(10, []))
    with pytest.raises(UserError, match=r"memory does not hold one item of \d+ tokens"):
        run_head(encoder, part.head, part.items, 100)
    hook.remove()


def test_batches_done_are_not_done_again():
    done: list[int] = []

    def run(chosen: np.ndarray) -> None:
        if len(chosen) > 2 and len(done) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        done.extend(chosen.tolist())

    in_batches(np.arange(2, 22), 90, 1, run)
    assert sorted(done) == list(range(20))


def test_batch_loss_is_over_the_whole_batch(parts):
    """The sum, not the mean: pieces of a batch may be added."""
    part, encoder = parts["token_tagging"], random_encoder(tiny_config())
    whole = batch_loss(encoder, part.head, part.items.batch(np.arange(6)))
    pieces = [batch_loss(encoder, part.head, part.items.batch(np.asarray([i]))) for i in range(6)]
    assert whole.item() == pytest.approx(sum(p.item() for p in pieces), rel=1e-5)
