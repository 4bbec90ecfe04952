"""The XLM-R encoder on flat sequences: parameters and files are Hugging Face's, the forward pass is ours.

Why not `transformers.XLMRobertaModel`: packed sequences leak through its attention masks, its heads read `[:, 0]`,
and importing it costs more CPU time than many of this study's training jobs. The parameter names, the config keys
and the numbers are the same (tests compare outputs and gradients), and every folder written here loads with
`AutoModel.from_pretrained`.

A batch is flat: `ids` [N] int64 over all sequences end to end, `lengths` of the sequences, whose sum is N.
No layer sees padding but a few rows behind the sequences; how attention lays them out: stilts/model/attention.py.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import MISSING, asdict, dataclass, fields
from functools import cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from stilts.errors import UserError
from stilts.model.attention import attend
from stilts.model.layout import Layout
from stilts.model.linear import Linear, linear

SWITCH = "STILTS_COMPILE"
MODES = ("default", "reduce-overhead", "max-autotune")  # torch.compile's


@dataclass(frozen=True)
class EncoderConfig:
    """Architecture of an XLM-R encoder (the keys of its `config.json` that matter)."""

    vocab_size: int
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    max_position_embeddings: int
    type_vocab_size: int = 1
    layer_norm_eps: float = 1e-5
    pad_token_id: int = 1
    initializer_range: float = 0.02

    def __post_init__(self) -> None:
        if self.hidden_size % self.num_attention_heads:
            raise UserError(
                f"{self.num_attention_heads} attention heads cannot share {self.hidden_size} hidden units evenly: "
                "choose a hidden size that is a multiple of the heads"
            )

    @classmethod
    def from_json(cls, config: dict[str, Any]) -> EncoderConfig:
        """Read a `config.json`; raises UserError when it is not an XLM-R (RoBERTa) encoder."""
        kind = config.get("model_type")
        if kind not in ("xlm-roberta", "roberta"):
            raise UserError(
                f'the backbone is of type "{kind}"; only XLM-R encoders (model_type xlm-roberta) are supported'
            )
        if config.get("hidden_act", "gelu") != "gelu":
            raise UserError(f"the backbone's activation is {config['hidden_act']!r}; only gelu is supported")
        if (position := config.get("position_embedding_type", "absolute")) != "absolute":
            raise UserError(f"the backbone's positions are {position!r}; only absolute ones are supported")
        lost = [f.name for f in fields(cls) if f.default is MISSING and f.name not in config]
        if lost:
            raise UserError(f"the backbone's config.json lacks {', '.join(lost)}: fetch or copy it again")
        return cls(**{f.name: config[f.name] for f in fields(cls) if f.name in config})

    def to_json(self) -> dict[str, Any]:
        """Return a `config.json` that transformers reads."""
        return {
            "architectures": ["XLMRobertaModel"],
            "model_type": "xlm-roberta",
            **asdict(self),
            "attention_probs_dropout_prob": 0.1,
            "bos_token_id": 0,
            "eos_token_id": 2,
            "hidden_act": "gelu",
            "hidden_dropout_prob": 0.1,
        }

    @property
    def max_length(self) -> int:
        """Longest sequence in tokens; RoBERTa's positions start behind the padding index."""
        return self.max_position_embeddings - self.pad_token_id - 1


class Embeddings(nn.Module):
    """Word, position and (constant) type embeddings, normalised."""

    def __init__(self, config: EncoderConfig):
        super().__init__()
        size = config.hidden_size
        self.word_embeddings = nn.Embedding(config.vocab_size, size)
        self.position_embeddings = nn.Embedding(config.max_position_embeddings, size)
        self.token_type_embeddings = nn.Embedding(config.type_vocab_size, size)
        self.LayerNorm = nn.LayerNorm(size, eps=config.layer_norm_eps)
        self.first_position = config.pad_token_id + 1

    def forward(self, ids: Tensor, layout: Layout, dropout: float) -> Tensor:
        spare = (0, layout.rows - layout.total)  # see Layout
        positions = self.position_embeddings(F.pad(layout.positions, spare) + self.first_position)
        summed = self.word_embeddings(F.pad(ids, spare)) + positions + self.token_type_embeddings.weight[0]
        return F.dropout(self.LayerNorm(summed), dropout, self.training)


class SelfAttention(nn.Module):
    """Query, key and value projections and scaled dot-product attention inside each sequence."""

    def __init__(self, config: EncoderConfig):
        super().__init__()
        size = config.hidden_size
        self.heads = config.num_attention_heads
        self.query, self.key, self.value = Linear(size, size), Linear(size, size), Linear(size, size)

    def project(self, x: Tensor) -> Tensor:
        """Return queries, keys and values side by side, [N, 3 * hidden]."""
        parts = (self.query, self.key, self.value)
        return linear(x, torch.cat([p.weight for p in parts]), torch.cat([p.bias for p in parts]))

    def forward(self, x: Tensor, layout: Layout, dropout: float) -> Tensor:
        return attend(self.project(x), layout, self.heads, dropout if self.training else 0.0)


class Projection(nn.Module):
    """A linear layer whose output joins the residual stream and is normalised (post-norm)."""

    def __init__(self, width: int, config: EncoderConfig):
        super().__init__()
        self.dense = Linear(width, config.hidden_size)
        self.LayerNorm = nn.LayerNorm(config.hidden_size, eps=config.layer_norm_eps)

    def forward(self, x: Tensor, residual: Tensor, dropout: float) -> Tensor:
        return self.LayerNorm(residual + F.dropout(self.dense(x), dropout, self.training))


class Attention(nn.Module):
    """Self-attention and its output projection, which `Layer` calls."""

    def __init__(self, config: EncoderConfig):
        super().__init__()
        self.self = SelfAttention(config)
        self.output = Projection(config.hidden_size, config)


class Intermediate(nn.Module):
    """The widening half of the feed-forward layer."""

    def __init__(self, config: EncoderConfig):
        super().__init__()
        self.dense = Linear(config.hidden_size, config.intermediate_size)

    def forward(self, x: Tensor) -> Tensor:
        return F.gelu(self.dense(x))


class Layer(nn.Module):
    """One transformer layer."""

    def __init__(self, config: EncoderConfig):
        super().__init__()
        self.attention = Attention(config)
        self.intermediate = Intermediate(config)
        self.output = Projection(config.intermediate_size, config)

    def forward(self, x: Tensor, layout: Layout, dropout: float) -> Tensor:
        return row_by_row()(self, self.attention.self(x, layout, dropout), x, dropout)

    def after_attention(self, mixed: Tensor, x: Tensor, dropout: float) -> Tensor:
        """Return the layer's states from what attention mixed and the states it read; no row reads another."""
        x = self.attention.output(mixed, x, dropout)
        return self.output(self.intermediate(x), x, dropout)


def row_by_row() -> Callable[[Layer, Tensor, Tensor, float], Tensor]:
    """Return how what follows attention is computed: as written, or compiled in the mode that STILTS_COMPILE names."""
    mode = os.environ.get(SWITCH)
    return _compiled(mode) if mode else Layer.after_attention


@cache
def _compiled(mode: str) -> Callable[[Layer, Tensor, Tensor, float], Tensor]:
    if mode not in MODES:
        raise UserError(f"{SWITCH}={mode} in the environment: choose one of {', '.join(MODES)}, or leave it out")
    torch._dynamo.config.recompile_limit = 64  # one for each number of rows (see Layout), precision, training or not
    return torch.compile(Layer.after_attention, fullgraph=True, dynamic=False, mode=mode)


class Encoder(nn.Module):
    """An XLM-R encoder; `state_dict` keys are those of `transformers.XLMRobertaModel` without its pooler."""

    def __init__(self, config: EncoderConfig):
        super().__init__()
        self.config = config
        self.embeddings = Embeddings(config)
        self.encoder = nn.ModuleDict({"layer": nn.ModuleList(Layer(config) for _ in range(config.num_hidden_layers))})
        self.dropout = 0.0
        self.frozen = 0
        self.decays: list[float] = []  # what embedding rows that no run read were multiplied by, in order

    @property
    def device(self) -> torch.device:
        """Where the weights lie."""
        return self.embeddings.LayerNorm.weight.device

    @property
    def layers(self) -> nn.ModuleList:
        """The transformer layers, input first."""
        return self.encoder["layer"]

    def freeze(self, count: int) -> None:
        """Keep the embeddings (count 1) and the next count - 1 layers as they are; their gradients are not computed.

        All others are trained, whatever was frozen before.
        """
        self.frozen = count
        self.requires_grad_(True)
        if count:
            self.embeddings.requires_grad_(False)
            self.layers[: count - 1].requires_grad_(False)

    def forward(self, ids: Tensor, layout: Layout, visit=None, depth: int | None = None) -> Tensor:
        """Return the last hidden states [N, hidden] of flat ids [N]; with a depth those of its layer.

        visit(k, states): called with hidden state k (0: the embeddings) as it is made, so that a caller can pool
        every layer in one pass without keeping token states.
        """
        with torch.set_grad_enabled(torch.is_grad_enabled() and self.frozen == 0):
            x = self.embeddings(ids, layout, self.dropout)
        if visit:
            visit(0, x[: layout.total])
        for k, layer in enumerate(self.layers[:depth], start=1):
            with torch.set_grad_enabled(torch.is_grad_enabled() and k >= self.frozen):
                x = layer(x, layout, self.dropout)
            if visit:
                visit(k, x[: layout.total])
        return x[: layout.total]


def initialise(module: nn.Module, std: float = 0.02) -> None:
    """Draw weights from N(0, std), zero the biases, reset the norms, as BERT does; uses torch's global generator."""
    for part in module.modules():
        if isinstance(part, nn.LayerNorm):  # whatever training left there goes
            part.reset_parameters()
        if isinstance(part, nn.Linear | nn.Embedding):
            nn.init.normal_(part.weight, std=std)
        if isinstance(part, nn.Linear) and part.bias is not None:
            nn.init.zeros_(part.bias)
