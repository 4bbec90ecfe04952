"""Made-up sentences, our encoder over them, and the same model in transformers, computing in padded blocks."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from stilts.model.device import best_device
from stilts.model.encoder import Encoder, EncoderConfig, initialise
from stilts.model.heads import build_head
from stilts.tokens.sequences import Batch

LONGEST, LABELS, PAD = 128, 3, 1


class Sentences:
    """Labelled sentences of `length` sub-words on average (gamma-distributed, as MNLI's are), drawn from `used`."""

    choices, whole, kind = 1, False, "pair_classification"

    def __init__(self, count: int, length: int, used: np.ndarray, longest: int = LONGEST):
        make = np.random.default_rng(0)
        self.lengths = np.clip(make.gamma(4.0, length / 4, count).round().astype(np.int64), 4, longest)
        self.texts = [make.choice(used, n) for n in self.lengths]
        self.labels = make.integers(0, LABELS, count)

    def __len__(self) -> int:
        return len(self.lengths)

    def batch(self, items: np.ndarray) -> Batch:
        """Return some sentences and their labels."""
        ids = np.concatenate([self.texts[i] for i in items])
        return Batch(ids, self.lengths[items], {"labels": self.labels[items]}, len(items))

    def padded(self, items: np.ndarray, length: int | None = None) -> dict[str, Tensor]:
        """Return transformers' input: some sentences, padded to `length`, or to the longest of them."""
        length = length or int(self.lengths[items].max())
        ids = np.full((len(items), length), PAD)
        for row, i in zip(ids, items, strict=True):
            row[: self.lengths[i]] = self.texts[i]
        tensors = {"input_ids": ids, "attention_mask": (ids != PAD).astype(np.int64), "labels": self.labels[items]}
        return {k: torch.from_numpy(v).to(best_device()) for k, v in tensors.items()}


def both_models(config: EncoderConfig, dropout: float) -> tuple[Encoder, nn.Module, nn.Module]:
    """Return our encoder and head, and transformers' sequence classifier with the same weights."""
    from transformers import XLMRobertaConfig, XLMRobertaForSequenceClassification

    torch.manual_seed(0)
    encoder = Encoder(config)
    initialise(encoder)
    encoder.dropout = dropout
    head = build_head("pair_classification", config, LABELS, "first", dropout)
    own = config.to_json() | {"attention_probs_dropout_prob": dropout, "hidden_dropout_prob": dropout}
    theirs = XLMRobertaForSequenceClassification(XLMRobertaConfig(**own, num_labels=LABELS))
    theirs.roberta.load_state_dict(encoder.state_dict(), strict=False)
    theirs.classifier.load_state_dict(head.state_dict())
    return tuple(m.to(best_device()) for m in (encoder, head, theirs))


def config_of(layers: int, hidden: int, vocabulary: int) -> EncoderConfig:
    """Return an XLM-R encoder of some size, 64 units a head (32 below 256 units)."""
    return EncoderConfig(vocabulary, hidden, layers, hidden // (64 if hidden >= 256 else 32), 4 * hidden, 514)
