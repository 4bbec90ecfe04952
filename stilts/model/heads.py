"""Heads on flat hidden states, one a kind. Each gives outputs, and a loss summed over its real targets."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stilts.model.encoder import EncoderConfig, Layout
from stilts.model.linear import Linear, linear
from stilts.model.loss import LOGITS, vocabulary_loss

IGNORE = -100


class SentenceHead(nn.Module):
    """RoBERTa's classification head on `<s>` (or on the mean state): dense, tanh, linear."""

    def __init__(self, config: EncoderConfig, outputs: int, pooling: str, dropout: float):
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.out_proj = nn.Linear(config.hidden_size, outputs)
        self.pooling, self.dropout = pooling, dropout

    def forward(self, states: Tensor, layout: Layout) -> Tensor:
        """Return logits [B, outputs]."""
        x = pool(states, layout, self.pooling)
        x = torch.tanh(self.dense(F.dropout(x, self.dropout, self.training)))
        return self.out_proj(F.dropout(x, self.dropout, self.training))

    def loss(self, states: Tensor, layout: Layout, labels: Tensor) -> tuple[Tensor, int]:
        """labels [B]; returns the summed cross-entropy and the number of sequences."""
        return F.cross_entropy(self(states, layout), labels, reduction="sum"), len(labels)


class ChoiceHead(SentenceHead):
    """One score a choice; the choices of an example are neighbouring sequences."""

    def __init__(self, config: EncoderConfig, choices: int, pooling: str, dropout: float):
        super().__init__(config, 1, pooling, dropout)
        self.choices = choices

    def forward(self, states: Tensor, layout: Layout) -> Tensor:
        """Return logits [examples, choices]."""
        return super().forward(states, layout).view(-1, self.choices)


class TagHead(nn.Module):
    """A linear layer on every token; targets sit on the first sub-word of a word."""

    def __init__(self, config: EncoderConfig, outputs: int, dropout: float):
        super().__init__()
        self.classifier = nn.Linear(config.hidden_size, outputs)
        self.dropout = dropout

    def forward(self, states: Tensor, layout: Layout) -> Tensor:
        """Return logits [N, outputs]."""
        return self.classifier(F.dropout(states, self.dropout, self.training))

    def loss(self, states: Tensor, layout: Layout, targets: Tensor) -> tuple[Tensor, int]:
        """targets [N], IGNORE where no word starts; returns the summed cross-entropy and the number of words."""
        here = (targets != IGNORE).nonzero().squeeze(1)
        return F.cross_entropy(self(states[here], layout), targets[here], reduction="sum"), len(here)


class SpanHead(nn.Module):
    """Start and end scores; a soft-max a sequence over `<s>` (no answer) and the context."""

    def __init__(self, config: EncoderConfig):
        super().__init__()
        self.qa_outputs = nn.Linear(config.hidden_size, 2)

    def forward(self, states: Tensor, layout: Layout) -> Tensor:
        """Return scores [N, 2] of start and end."""
        return self.qa_outputs(states)

    def loss(self, states: Tensor, layout: Layout, spans: Tensor, allowed: Tensor) -> tuple[Tensor, int]:
        """spans [B, 2] positions inside each sequence; allowed [N] bool. Returns the summed mean loss of both ends."""
        scores = self(states, layout).masked_fill(~allowed[:, None], float("-inf"))
        block = layout.pad(scores, fill=float("-inf"))
        start = F.cross_entropy(block[..., 0], spans[:, 0], reduction="sum")
        end = F.cross_entropy(block[..., 1], spans[:, 1], reduction="sum")
        return (start + end) / 2, len(spans)


class MaskedLMHead(nn.Module):
    """RoBERTa's masked-LM head on the masked positions only; the output matrix is the word embedding."""

    def __init__(self, config: EncoderConfig, embedding: nn.Embedding):
        super().__init__()
        self.dense = Linear(config.hidden_size, config.hidden_size)
        self.layer_norm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)
        self.bias = nn.Parameter(torch.zeros(config.vocab_size))
        self._embedding = [embedding]  # in a list: a tied weight, not a parameter of its own

    def forward(self, states: Tensor) -> Tensor:
        """Return logits [M, vocabulary] of the states [M, hidden] of masked positions."""
        return linear(self._read(states), self._embedding[0].weight, self.bias)

    def _read(self, states: Tensor) -> Tensor:
        return self.layer_norm(F.gelu(self.dense(states)))

    def loss(self, states: Tensor, layout: Layout, targets: Tensor) -> tuple[Tensor, int]:
        """targets [N], IGNORE at positions that are not predicted; returns the summed loss and their number."""
        here = (targets != IGNORE).nonzero().squeeze(1)
        if len(here) * len(self.bias) <= LOGITS:
            return F.cross_entropy(self(states[here]), targets[here], reduction="sum"), len(here)
        weight = self._embedding[0].weight
        return vocabulary_loss(self._read(states[here]), weight, self.bias, targets[here]), len(here)


class DualHead(nn.Module):
    """RoBERTa's pooler on `<s>` (or on the mean state), scaled to length 1: one tower for queries and candidates.

    Trained by an in-batch softmax with a learnable scale that begins at 100 (XTREME's third_party/bert.py).
    softmax_pairs: pairs in one softmax, 0 for all of a batch; XTREME adds up the gradients of several small batches,
    and a query is then told from the candidates of its own small batch alone.
    """

    SCALE = 100.0

    def __init__(self, config: EncoderConfig, pooling: str, softmax_pairs: int = 0):
        super().__init__()
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.logit_scale = nn.Parameter(torch.full((1,), self.SCALE))
        self.pooling, self.softmax_pairs = pooling, softmax_pairs

    def forward(self, states: Tensor, layout: Layout) -> Tensor:
        """Return vectors of length 1, [B, hidden]."""
        return F.normalize(torch.tanh(self.dense(pool(states, layout, self.pooling))), dim=1)

    def loss(self, states: Tensor, layout: Layout) -> tuple[Tensor, int]:
        """Queries are the first half of the sequences, their candidates the second, in the same order.

        Every query chooses among the candidates of its group; returns the summed cross-entropy and the queries.
        """
        queries, candidates = self(states, layout).chunk(2)
        size = self.softmax_pairs or len(queries)
        loss = torch.zeros((), device=states.device)
        with torch.autocast(states.device.type, enabled=False):  # the scale would magnify the rounding of bf16
            for asked, answers in zip(queries.float().split(size), candidates.float().split(size), strict=True):
                right = torch.arange(len(asked), device=asked.device)
                loss = loss + F.cross_entropy(self.logit_scale * (asked @ answers.T), right, reduction="sum")
        return loss, len(queries)

    def compared(self, queries: int) -> int:
        """Return how many pairs of a query and a candidate the loss of a batch compares."""
        size = self.softmax_pairs or queries
        return queries // size * size**2 + (queries % size) ** 2


def pool(states: Tensor, layout: Layout, how: str) -> Tensor:
    """Return one vector a sequence [B, hidden]: its first state, or the mean over all of its tokens."""
    if how == "first":
        return states[layout.starts]
    row = torch.arange(layout.batch, device=states.device).repeat_interleave(layout.lengths)
    total = states.new_zeros(layout.batch, states.shape[1]).index_add(0, row, states)
    return total / layout.lengths[:, None]


def build_head(
    kind: str, config: EncoderConfig, outputs: int, pooling: str, dropout: float, softmax_pairs: int = 0
) -> nn.Module:
    """Return the untrained head of a kind; outputs: labels or choices; dropout, softmax_pairs: of its training."""
    if kind == "pair_classification":
        return SentenceHead(config, outputs, pooling, dropout)
    if kind == "multiple_choice":
        return ChoiceHead(config, outputs, pooling, dropout)
    if kind == "token_tagging":
        return TagHead(config, outputs, dropout)
    if kind == "span_extraction":
        return SpanHead(config)
    if kind in ("answer_retrieval", "entity_retrieval"):
        return DualHead(config, pooling, softmax_pairs)
    raise ValueError(f"no head for tasks of kind {kind}")
