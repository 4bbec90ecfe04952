"""Tiny models, tokenizers, examples and token folders that the tests of the engine share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from stilts.config.training import Training
from stilts.model.encoder import Encoder, EncoderConfig, Layout, initialise
from stilts.provenance.manifest import write_manifest
from stilts.tasks.spec import TaskSpec
from stilts.tokens.build import build_tokens
from stilts.tokens.store import TokenSplit
from stilts.tokens.tokenizer import Tokenizer, precompiled_charsmap, train_sentencepiece, write_tokenizer

LENGTHS = [[7], [5, 5, 5], [2, 11, 3, 7], [48, 2, 17]]  # of packed sequences
WORDS = [
    "ba",
    "ce",
    "di",
    "fo",
    "gu",
    "ha",
    "je",
    "ki",
    "lo",
    "mu",
    "na",
    "pe",
    "qui",
    "ro",
    "su",
    "ta",
    "ve",
    "wi",
    "xo",
    "yu",
    "za",
    "bra",
    "cle",
    "dri",
    "fro",
    "gru",
]
TAGS = ["ADJ", "NOUN", "VERB"]
GOLD = {
    "pair_classification": {"labels": ["same", "other"]},
    "multiple_choice": {"labels": ["0", "1", "2"]},
    "token_tagging": {"labels": TAGS},
    "span_extraction": {},
    "masked_lm": {},
    "bitext_retrieval": {},
}
TRAINED = ("pair_classification", "multiple_choice", "token_tagging", "span_extraction")


def settings(**changes: Any) -> dict[str, Any]:
    """Return training settings as a spec holds them."""
    base = {"learning_rate": 3e-3, "epochs": 1, "batch_size": 8, "max_length": 48, "doc_stride": 24, "dropout": 0.0}
    base |= {"warmup_ratio": 0.1, "weight_decay": 0.0, "pooling": "first", "frozen_layers": 0, "eval_every": 0}
    return Training(**{**base, "patience": 30, **changes}).model_dump()


def task_of(kind: str, name: str = "toy", **changes: Any) -> TaskSpec:
    """Return a task of a kind."""
    base = {"task": name, "kind": kind, "group": "intermediate", "description": "", "source": {}, "metrics": []}
    return TaskSpec.model_validate({**base, **GOLD.get(kind, {}), **changes})


def tiny_config(**changes: int) -> EncoderConfig:
    """Return a small architecture."""
    base = {"vocab_size": 120, "hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 4}
    return EncoderConfig(**{**base, "intermediate_size": 40, "max_position_embeddings": 50, **changes})


def random_encoder(config: EncoderConfig, seed: int = 0, std: float = 0.3) -> Encoder:
    """Return an encoder whose every parameter is random (norms and biases too), so that none can be forgotten."""
    torch.manual_seed(seed)
    encoder = Encoder(config)
    initialise(encoder, std)
    with torch.no_grad():
        for name, p in encoder.named_parameters():
            if p.dim() == 1:
                p.copy_(torch.randn_like(p) * 0.2 + (1.0 if name.endswith("LayerNorm.weight") else 0.0))
    return encoder


def random_flat(config: EncoderConfig, lengths: list[int], seed: int = 0) -> tuple[torch.Tensor, Layout]:
    """Return flat ids of sequences with special tokens, and their layout."""
    make = np.random.default_rng(seed)
    parts = [np.r_[0, make.integers(4, config.vocab_size - 1, n - 2), 2] for n in lengths]
    return torch.from_numpy(np.concatenate(parts)), Layout(torch.tensor(lengths))


def padded(ids: torch.Tensor, layout: Layout) -> tuple[torch.Tensor, torch.Tensor]:
    """Return ([B, T] ids with padding, [B, T] attention mask)."""
    block = torch.full((layout.batch, layout.longest), 1)
    mask = torch.zeros_like(block)
    for b, (start, n) in enumerate(zip(layout.starts.tolist(), layout.lengths.tolist(), strict=True)):
        block[b, :n], mask[b, :n] = ids[start : start + n], 1
    return block, mask


def words(make: np.random.Generator, low: int, high: int) -> list[str]:
    """Return a random sentence as a list of words of one to three syllables."""
    return ["".join(make.choice(WORDS, make.integers(1, 4))) for _ in range(make.integers(low, high))]


def corpus(lines: int = 400, seed: int = 0) -> list[str]:
    """Return random sentences to learn sub-words from."""
    make = np.random.default_rng(seed)
    return [" ".join(words(make, 3, 12)) for _ in range(lines)]


def make_tokenizer(folder: Path, vocabulary: int = 120, lines: list[str] | None = None) -> Tokenizer:
    """Learn a tokenizer, write its folder with a manifest, return it."""
    folder.mkdir(parents=True, exist_ok=True)
    spec = {"vocabulary": vocabulary, "character_coverage": 1.0}
    model = folder / "sentencepiece.bpe"
    pieces = train_sentencepiece(corpus() if lines is None else lines, model, spec)
    write_tokenizer(folder, pieces, precompiled_charsmap(folder / "sentencepiece.bpe.model"), 64)
    write_manifest(folder)
    return Tokenizer(folder)


TYPES = {
    "label": pa.int32(),
    "tags": pa.list_(pa.int32()),
    "answer_starts": pa.list_(pa.int32()),
    **{k: pa.list_(pa.string()) for k in ("choices", "tokens", "answers")},
}


def write_examples(folder: Path, **splits: dict[str, list]) -> Path:
    """Write canonical examples (columns a split) with a manifest; ids and languages may be left out."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, columns in splits.items():
        count = len(next(iter(columns.values())))
        full = {"id": [f"{split}-{i}" for i in range(count)], "language": ["en"] * count, **columns}
        pq.write_table(
            pa.table({k: pa.array(v, TYPES.get(k, pa.string())) for k, v in full.items()}), folder / f"{split}.parquet"
        )
    write_manifest(folder)
    return folder


def tokenised(kind: str, tokenizer: Tokenizer, folder: Path, **splits: dict[str, list]) -> Path:
    """Write examples to folder/data, tokenise them to folder/tokens; return the folder."""
    data = write_examples(folder / "data", **splits)
    (folder / "tokens").mkdir()
    write_manifest(folder / "tokens", build_tokens(kind, data, tokenizer, folder / "tokens"))
    return folder


def split_of(kind: str, tokenizer: Tokenizer, folder: Path, columns: dict[str, list]) -> TokenSplit:
    """Return the tokens of examples given as columns."""
    return TokenSplit(tokenised(kind, tokenizer, folder, train=columns) / "tokens", "train")


def toy(kind: str, count: int, seed: int = 0, languages: tuple[str, ...] = ("en",)) -> dict[str, list]:
    """Return learnable examples of a kind: what decides stands in plain sight at the front of the text."""
    make = np.random.default_rng(seed)
    rows: dict[str, list] = {"language": [languages[i % len(languages)] for i in range(count)]}

    def put(**values: Any) -> None:
        for k, v in values.items():
            rows.setdefault(k, []).append(v)

    for _ in range(count):
        text = words(make, 2, 9)
        if kind == "pair_classification":
            label = int(make.integers(2))
            put(text_a=" ".join([("bababa", "cecece")[label], *text]), text_b=" ".join(words(make, 2, 6)), label=label)
        elif kind == "multiple_choice":
            label = int(make.integers(3))
            choices = [" ".join(["dididi" if k == label else "fofofo", *words(make, 1, 5)]) for k in range(3)]
            put(prompt=" ".join(text), choices=choices, label=label)
        elif kind == "token_tagging":
            put(tokens=text, tags=[len(WORDS[0]) and ord(w[0]) % 3 for w in text])
        elif kind == "span_extraction":
            at = int(make.integers(len(text)))
            context = [*text[:at], "gligli", *text[at:]]
            start = len(" ".join(context[:at])) + (at > 0)
            put(
                question=" ".join(words(make, 2, 5)),
                context=" ".join(context),
                answers=["gligli"],
                answer_starts=[start],
            )
        elif kind == "masked_lm":
            put(text=" ".join(text) + ("\t" + " ".join(words(make, 2, 5)) if make.random() < 0.5 else ""))
        else:
            put(source_text=" ".join(text), target_text=" ".join(words(make, 2, 9)))
    return rows


def theirs(encoder: Encoder, attention: str = "eager") -> torch.nn.Module:
    """Return transformers' model with our weights."""
    from transformers import XLMRobertaConfig, XLMRobertaModel  # seconds that few tests need

    config = XLMRobertaConfig(**encoder.config.to_json(), attn_implementation=attention)
    model = XLMRobertaModel(config, add_pooling_layer=False)
    missing, unexpected = model.load_state_dict(encoder.state_dict(), strict=False)
    assert not unexpected
    assert not [k for k in missing if not k.endswith(("position_ids", "token_type_ids"))]
    return model.eval()


def real(block: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Return the states of the real tokens, flat."""
    return block[mask.bool()]


def compare(model: torch.nn.Module, states: torch.Tensor, reference: torch.nn.Module, wanted: torch.Tensor) -> None:
    """Hold a model's states, and the gradients of all its weights under a random loss of them, against a reference."""
    torch.testing.assert_close(states, wanted, atol=5e-6, rtol=1e-5)
    torch.manual_seed(1)
    weight = torch.randn_like(states) / states.numel()
    (states * weight).sum().backward()
    (wanted * weight).sum().backward()
    grads = dict(reference.named_parameters())
    for name, p in model.named_parameters():
        torch.testing.assert_close(p.grad, grads[name].grad, atol=1e-6, rtol=1e-4, msg=name)
