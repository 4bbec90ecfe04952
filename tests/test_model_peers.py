"""The encoder, the masked-LM head, model folders and the tokenizer against transformers, the reference."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer, XLMRobertaConfig, XLMRobertaModel
from transformers.models.xlm_roberta.modeling_xlm_roberta import XLMRobertaForMaskedLM

from stilts.model.checkpoint import load_encoder, save_encoder
from stilts.model.encoder import EncoderConfig
from stilts.model.heads import IGNORE, MaskedLMHead, build_head
from stilts.predict.embed import embed
from stilts.train.optimizer import AdamW
from tests.engine_case import (
    LENGTHS,
    compare,
    corpus,
    make_tokenizer,
    padded,
    random_encoder,
    random_flat,
    real,
    split_of,
    theirs,
    tiny_config,
)

transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
@pytest.mark.parametrize(
    "shape", [{}, {"num_attention_heads": 1, "layer_norm_eps": 1e-3, "num_hidden_layers": 1}], ids=str
)
def test_outputs_and_gradients_are_transformers(attention, lengths, shape):
    encoder = random_encoder(tiny_config(**shape)).eval()
    model = theirs(encoder, attention)
    ids, layout = random_flat(encoder.config, lengths)
    block, mask = padded(ids, layout)
    states = encoder(ids, layout)
    wanted = real(model(block, attention_mask=mask).last_hidden_state, mask)
    compare(encoder, states, model, wanted)


def test_every_hidden_state_is_transformers():
    encoder = random_encoder(tiny_config()).eval()
    ids, layout = random_flat(encoder.config, [4, 9, 2])
    block, mask = padded(ids, layout)
    states: dict[int, torch.Tensor] = {}
    encoder(ids, layout, visit=states.__setitem__)
    wanted = theirs(encoder)(block, attention_mask=mask, output_hidden_states=True).hidden_states
    assert len(wanted) == len(states) == 4
    for k, state in states.items():
        torch.testing.assert_close(state, real(wanted[k], mask), atol=5e-6, rtol=1e-5)


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_stock_packing_by_position_ids_leaks_and_ours_does_not(attention):
    """The documented trap: one packed row with restarting position ids attends across sequences in transformers."""
    encoder = random_encoder(tiny_config()).eval()
    model = theirs(encoder, attention)
    ids, layout = random_flat(encoder.config, [6, 9, 4])
    block, mask = padded(ids, layout)
    alone = real(model(block, attention_mask=mask).last_hidden_state, mask)
    packed = model(ids[None], position_ids=layout.positions[None] + 2).last_hidden_state[0]
    assert (packed - alone).abs().max() > 1e-2, "transformers mended its packing: say so in the docs"
    torch.testing.assert_close(encoder(ids, layout), alone, atol=5e-6, rtol=1e-5)


@pytest.mark.parametrize(
    ("kind", "name", "prefix"),
    [
        ("pair_classification", "SequenceClassification", "classifier."),
        ("token_tagging", "TokenClassification", ""),
        ("span_extraction", "QuestionAnswering", ""),
    ],
)
def test_heads_are_transformers_heads(kind, name, prefix):
    encoder = random_encoder(tiny_config()).eval()
    torch.manual_seed(2)
    head = build_head(kind, encoder.config, 3, "first", 0.0).eval()
    labels = {} if kind == "span_extraction" else {"num_labels": 3}
    config = XLMRobertaConfig(**encoder.config.to_json(), attn_implementation="eager", **labels)
    model = getattr(transformers, f"XLMRobertaFor{name}")(config).eval()
    ours = {f"roberta.{k}": v for k, v in encoder.state_dict().items()}
    ours |= {f"{prefix}{k}": v for k, v in head.state_dict().items()}
    missing, unexpected = model.load_state_dict(ours, strict=False)
    assert not unexpected
    assert not [k for k in missing if not k.endswith(("position_ids", "token_type_ids"))]
    ids, layout = random_flat(encoder.config, [4, 9, 2])
    block, mask = padded(ids, layout)
    out = model(block, attention_mask=mask)
    if kind == "span_extraction":
        wanted = real(torch.stack([out.start_logits, out.end_logits], -1), mask)
    else:
        wanted = out.logits if kind == "pair_classification" else real(out.logits, mask)
    torch.testing.assert_close(head(encoder(ids, layout), layout), wanted, atol=5e-6, rtol=1e-5)


def test_the_schedule_is_transformers_but_for_its_first_step_at_zero():
    """Ours rises to 1/warm-up in the first step, where transformers' stands at 0 and wastes a batch."""
    net = torch.nn.Linear(1, 1)
    settings = {"warmup_ratio": 0.2, "learning_rate": 1.0, "weight_decay": 0.0}
    ours = AdamW(list(net.parameters()), 20, settings)
    schedule = transformers.get_linear_schedule_with_warmup(torch.optim.SGD(net.parameters(), 1.0), 4, 20)
    theirs = schedule.lr_lambdas[0]
    assert [ours.factor(k) for k in range(4)] == [theirs(k + 1) for k in range(4)]
    assert [ours.factor(k) for k in range(4, 20)] == pytest.approx([theirs(k) for k in range(4, 20)])


# --- folders


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tokenizer")
    return folder, make_tokenizer(folder)


def test_a_saved_encoder_loads_with_auto_model(tmp_path):
    encoder = random_encoder(tiny_config(layer_norm_eps=1e-4)).eval()
    save_encoder(tmp_path, encoder)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model, info = AutoModel.from_pretrained(tmp_path, output_loading_info=True)
    assert isinstance(model, XLMRobertaModel)
    assert all("pooler" in k for k in info["missing_keys"])
    assert not info["unexpected_keys"]
    ids, layout = random_flat(encoder.config, [4, 9, 2])
    block, mask = padded(ids, layout)
    wanted = real(model.eval()(block, attention_mask=mask).last_hidden_state, mask)
    torch.testing.assert_close(encoder(ids, layout), wanted, atol=5e-6, rtol=1e-5)
    assert model.config.hidden_dropout_prob == model.config.attention_probs_dropout_prob == 0.1
    assert (model.config.bos_token_id, model.config.pad_token_id, model.config.eos_token_id) == (0, 1, 2)


def test_a_pretrained_folder_is_a_masked_lm_checkpoint(tmp_path):
    encoder = random_encoder(tiny_config()).eval()
    torch.manual_seed(4)
    head = MaskedLMHead(encoder.config, encoder.embeddings.word_embeddings)
    with torch.no_grad():
        for p in head.parameters():
            p.copy_(torch.randn_like(p) * 0.3)
    save_encoder(tmp_path, encoder, head)
    model, info = AutoModelForMaskedLM.from_pretrained(tmp_path, output_loading_info=True)
    assert isinstance(model, XLMRobertaForMaskedLM)
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    ids, layout = random_flat(encoder.config, [4, 9, 2])
    block, mask = padded(ids, layout)
    targets = torch.full_like(ids, IGNORE)
    targets[[2, 5, 8]] = torch.tensor([7, 90, 33])
    labels, _ = padded(targets, layout)
    out = model.eval()(block, attention_mask=mask, labels=labels.masked_fill(mask == 0, IGNORE))
    states = encoder(ids, layout)
    torch.testing.assert_close(head(states), real(out.logits, mask), atol=2e-5, rtol=1e-5)
    loss, count = head.loss(states, layout, targets)
    torch.testing.assert_close(loss / count, out.loss, atol=1e-5, rtol=1e-5)
    assert AutoModel.from_pretrained(tmp_path).embeddings.word_embeddings.weight.equal(
        encoder.embeddings.word_embeddings.weight
    )
    back, rest = load_encoder(tmp_path)
    assert torch.equal(back.eval()(ids, layout), states)
    assert {k.removeprefix("lm_head.") for k in rest} == set(head.state_dict())


@pytest.mark.parametrize("kind", ["transformers", "hub"])
def test_a_hub_checkpoint_loads(tmp_path, kind):
    """XLM-R's files on the hub carry a `roberta.` prefix, an LM head, a pooler and buffers of older versions."""
    torch.manual_seed(0)
    config = XLMRobertaConfig(**{**tiny_config().to_json(), "attn_implementation": "eager"})
    model = XLMRobertaForMaskedLM(config).eval()
    model.save_pretrained(tmp_path)
    if kind == "hub":
        tensors = {k: v.clone() for k, v in model.state_dict().items() if k != "lm_head.decoder.weight"}
        tensors["roberta.embeddings.position_ids"] = torch.arange(50)[None]
        tensors["roberta.pooler.dense.weight"] = torch.randn(24, 24)
        tensors["roberta.pooler.dense.bias"] = torch.randn(24)
        save_file(tensors, tmp_path / "model.safetensors", metadata={"format": "pt"})
    encoder, rest = load_encoder(tmp_path)
    assert {"lm_head.dense.weight", "lm_head.bias", "lm_head.layer_norm.bias"} <= set(rest)
    ids, layout = random_flat(encoder.config, [4, 9, 2])
    block, mask = padded(ids, layout)
    wanted = model.roberta(block, attention_mask=mask).last_hidden_state
    torch.testing.assert_close(encoder.eval()(ids, layout), real(wanted, mask), atol=5e-6, rtol=1e-5)
    short, _ = load_encoder(tmp_path, 2)
    states = model.roberta(block, attention_mask=mask, output_hidden_states=True).hidden_states
    torch.testing.assert_close(short.eval()(ids, layout), real(states[2], mask), atol=5e-6, rtol=1e-5)


def test_our_config_json_is_what_transformers_writes(tmp_path):
    ours = tiny_config()
    XLMRobertaConfig(**ours.to_json()).save_pretrained(tmp_path)
    assert EncoderConfig.from_json(json.loads((tmp_path / "config.json").read_text())) == ours


def test_truncation_saves_a_folder_that_loads(tmp_path):
    encoder = random_encoder(tiny_config())
    save_encoder(tmp_path / "full", encoder)
    cut, _ = load_encoder(tmp_path / "full", 1)
    save_encoder(tmp_path / "cut", cut)
    assert len(AutoModel.from_pretrained(tmp_path / "cut").encoder.layer) == 1
    assert not [k for k in load_file(tmp_path / "cut" / "model.safetensors") if k.startswith("encoder.layer.1.")]


# --- the tokenizer


def odd_texts() -> list[str]:
    return [
        *corpus(40, seed=3),
        "",
        " ",
        "  bace  difo\tgu\nha ",
        "BACE Difo",
        "日本語 bace 한국어",
        "\u00a0bace\u3000difo\u2009gu",
        "ﬁ ½ Ａｂ é é",
        "bace\u200bdifo \ufeff gu",
        "a" * 300,
    ]


def test_auto_tokenizer_reads_the_folder_and_gives_the_same_ids(tokenizer):
    folder, ours = tokenizer
    auto = AutoTokenizer.from_pretrained(folder)
    assert type(auto).__name__.startswith("XLMRobertaTokenizer")
    texts = odd_texts()
    assert auto(texts, add_special_tokens=False)["input_ids"] == ours.encode(texts)
    assert auto("bace", "difo gu")["input_ids"] == [0, *ours.encode(["bace"])[0], 2, 2, *ours.encode(["difo gu"])[0], 2]
    assert auto.model_max_length == 64
    assert [
        auto.bos_token_id,
        auto.pad_token_id,
        auto.eos_token_id,
        auto.unk_token_id,
        auto.mask_token_id,
    ] == ours.special
    assert auto.cls_token_id == ours.cls
    assert auto.sep_token_id == ours.sep
    assert len(auto) == ours.vocabulary
    assert auto.decode(ours.encode(["bace difogu"])[0]) == "bace difogu"
    assert auto("bace <mask>")["input_ids"][-2] == ours.mask


def test_the_tokenizer_of_a_saved_model_folder_is_found(tokenizer, tmp_path):
    from stilts.model.checkpoint import copy_tokenizer

    folder, ours = tokenizer
    save_encoder(tmp_path, random_encoder(tiny_config()))
    copy_tokenizer(folder, tmp_path)
    assert (
        AutoTokenizer.from_pretrained(tmp_path)("bace difo", add_special_tokens=False)["input_ids"]
        == ours.encode(["bace difo"])[0]
    )


# --- sentence embeddings


@pytest.mark.parametrize("pooling", ["mean", "first"])
def test_sentence_embeddings_are_pooled_hidden_states(tokenizer, tmp_path, pooling):
    _, fast = tokenizer
    texts = corpus(9, seed=8)
    texts[4] = "ba" * 90  # cut to the maximal length
    columns = {"source_text": texts, "target_text": texts[::-1]}
    split = split_of("bitext_retrieval", fast, tmp_path / "t", columns)
    encoder = random_encoder(tiny_config())
    spec, rows = {"pooling": pooling, "max_length": 20}, np.asarray([4, 0, 7, 3])
    out = embed(encoder, split, 1, rows, [0, 1, 3], spec, 60)
    assert out.shape == (3, 4, 24)
    assert out.dtype == np.float32
    model = theirs(encoder)
    for i, row in enumerate(rows):
        ids = torch.tensor([[0, *fast.encode([texts[::-1][row]])[0][:18], 2]])
        states = model(ids, output_hidden_states=True).hidden_states
        for j, layer in enumerate((0, 1, 3)):
            wanted = states[layer][0].mean(0) if pooling == "mean" else states[layer][0, 0]
            np.testing.assert_allclose(out[j, i], wanted.detach().numpy(), atol=2e-6)
    np.testing.assert_allclose(embed(encoder, split, 1, rows, [0, 1, 3], spec, 10**6), out, atol=1e-6)
