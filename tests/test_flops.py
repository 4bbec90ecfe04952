"""Work by formula against torch's own counter, on eager attention."""

from __future__ import annotations

import pytest
import torch

from stilts.budget.flops import forward_flops, head_flops, head_training_flops, parameters, shape_of, training_flops
from stilts.model.encoder import Encoder, EncoderConfig, Layout
from stilts.model.heads import MaskedLMHead, build_head
from tests.flops_case import count

MINI = EncoderConfig(1000, 96, 4, 4, 192, 130)
BASE = EncoderConfig(250002, 768, 12, 12, 3072, 514)
LARGE = EncoderConfig(250002, 1024, 24, 16, 4096, 514)


@pytest.mark.parametrize("config", [MINI, BASE, LARGE], ids=["mini", "base", "large"])
@pytest.mark.parametrize("depth", ["full", 2])
def test_forward_and_parameters(config, depth, monkeypatch):
    config = config if depth == "full" else EncoderConfig(**{**vars(config), "num_hidden_layers": depth})
    with torch.device("meta"):
        encoder = Encoder(config)
    shape = shape_of(config.to_json() if depth == "full" else {**config.to_json(), "num_hidden_layers": 99}, depth)
    own = parameters(shape)
    assert sum(own.values()) == sum(p.numel() for p in encoder.parameters())
    assert own["embeddings"] == sum(p.numel() for p in encoder.embeddings.parameters())

    def forward():
        layout = Layout(torch.tensor([40, 40, 40]))
        layout.positions = layout.positions.to("meta")
        return encoder(torch.empty(120, dtype=torch.long, device="meta"), layout)

    with torch.no_grad():
        assert count(forward, monkeypatch) == forward_flops(shape, 120 + 1, 3 * 40**2)


def test_padding_is_counted_as_slots(monkeypatch):
    encoder, layout = Encoder(MINI), Layout(torch.tensor([5, 17, 40]))
    slots = sum(n * longest**2 for n, longest in layout.blocks(4).shapes)
    counted = count(lambda: encoder(torch.zeros(62, dtype=torch.long), Layout(torch.tensor([5, 17, 40]))), monkeypatch)
    assert counted == forward_flops(shape_of(MINI.to_json()), 62 + 1, slots)  # only attention sees the padding
    assert slots >= 5**2 + 17**2 + 40**2


KINDS = {
    "pair_classification": (3, 3, {"labels": torch.tensor([0, 1, 2, 0])}, 4),
    "multiple_choice": (2, 1, {"labels": torch.tensor([0, 1])}, 4),
    "token_tagging": (7, 7, {"targets": torch.full((40,), -100).index_fill(0, torch.arange(0, 40, 4), 2)}, 10),
    "span_extraction": (0, 2, {"spans": torch.ones(4, 2).long(), "allowed": torch.ones(40).bool()}, 40),
    "answer_retrieval": (0, 0, {}, 4),
    "masked_lm": (0, 1000, {"targets": torch.full((40,), -100).index_fill(0, torch.arange(0, 40, 5), 2)}, 8),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("frozen", [0, 1, 2, 4, 5])
def test_training_of_encoder_and_head(kind, frozen, monkeypatch):
    outputs, counted_outputs, targets, rows = KINDS[kind]
    encoder, shape = Encoder(MINI), shape_of(MINI.to_json())
    if kind == "masked_lm":
        head = MaskedLMHead(MINI, encoder.embeddings.word_embeddings)
    else:
        head = build_head(kind, MINI, outputs, "first", 0.0)
    encoder.freeze(frozen)
    ids = torch.randint(1000, (40,))

    def loss():
        layout = Layout(torch.tensor([10, 10, 10, 10]))
        return head.loss(encoder(ids, layout), layout, **targets)[0]

    counted = count(lambda: loss().backward(), monkeypatch)
    own = training_flops(shape, 40 + 1, 4 * 100, frozen)
    pairs = 4 if kind == "answer_retrieval" else 0
    assert counted == own + head_training_flops(kind, shape, rows, counted_outputs, frozen, pairs)
    with torch.no_grad():
        forward = count(loss, monkeypatch)
    assert forward == forward_flops(shape, 40 + 1, 400) + head_flops(kind, 96, rows, counted_outputs) + 2 * pairs * 96
