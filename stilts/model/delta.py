"""Weights as their difference to the encoder they come from: what `model_files: compact` keeps of a trained model.

Training leaves most of 250,002 word embeddings as they were, or multiplies them by its weight decay. `delta.json` names
the encoder (its manifest's hash) and the factors; `delta.safetensors` holds the rows that are otherwise (`rows`,
`changed`) and every other tensor. Matrices of the layers may be bfloat16: no loss where they are only read as that.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from torch import Tensor

from stilts.errors import UserError
from stilts.model.files import read_tensor, read_tensors, write_tensors
from stilts.provenance.manifest import dump_json, sha256

WEIGHTS, DELTA, DELTA_WEIGHTS = "model.safetensors", "delta.json", "delta.safetensors"
WORDS = "embeddings.word_embeddings.weight"


def write_delta(folder: Path, tensors: dict[str, Tensor], base: Path, decays: list[float], half: bool) -> None:
    """Write tensors, named like an encoder's state, as the difference to an encoder.

    base: its manifest, whose folder holds its weights. decays: what rows that no training read were multiplied by.
    half: write the matrices of the layers as bfloat16.
    """
    after = tensors[WORDS].cpu()
    before = _before(base, decays)
    rows = (after.view(torch.int32) != before.view(torch.int32)).any(1).nonzero().squeeze(1)
    rest = {k: v.bfloat16() if half and _is_matrix(k, v) else v for k, v in tensors.items() if k != WORDS}
    write_tensors(folder / DELTA_WEIGHTS, rest | {"rows": rows, "changed": after[rows]})
    told = {"base": sha256(base), "decays": decays, "rows": [len(rows), len(after)]}
    (folder / DELTA).write_text(dump_json(told), encoding="utf-8")


def read_delta(folder: Path, base: Path | None) -> tuple[dict[str, Tensor], list[float]]:
    """Return the tensors and the decays that were written; matrices are float32 again.

    base: as for `write_delta`. Raises UserError when it is missing or not the one that the folder names.
    """
    try:
        told = json.loads((folder / DELTA).read_text(encoding="utf-8"))
        named, decays = told["base"], told["decays"]
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{folder / DELTA} is damaged: delete its folder and run the workflow again") from None
    if base is None:
        raise UserError(f"{folder} holds a difference to the encoder it comes from: name that one's manifest (--base)")
    if sha256(base) != named:
        raise UserError(
            f"{folder} is no difference to {base.parent}: the encoder there is another one, or was made again since; "
            "run the workflow again"
        )
    tensors = {
        k: v.float() if v.dtype == torch.bfloat16 else v for k, v in read_tensors(folder / DELTA_WEIGHTS).items()
    }
    words = _before(base, decays)
    words[tensors.pop("rows")] = tensors.pop("changed")
    return tensors | {WORDS: words}, decays


def _before(base: Path, decays: list[float]) -> Tensor:
    """Return the embeddings that would be there had no row been read, [vocabulary, hidden]."""
    words = read_tensor(base.parent / WEIGHTS, WORDS, f"roberta.{WORDS}").float()  # some repositories hold fp16
    for factor in decays:  # one after the other, as they were rounded
        words *= factor
    return words


def _is_matrix(name: str, tensor: Tensor) -> bool:
    return name.startswith("encoder.layer.") and tensor.dim() == 2
