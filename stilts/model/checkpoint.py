"""Model folders in Hugging Face layout: config.json, model.safetensors, tokenizer files; heads in head.safetensors."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from stilts.errors import UserError
from stilts.model.encoder import Encoder, EncoderConfig
from stilts.provenance.manifest import dump_json

CONFIG, WEIGHTS, HEAD = "config.json", "model.safetensors", "head.safetensors"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "sentencepiece.bpe.model", "special_tokens_map.json")


def load_encoder(folder: Path, depth: int | str = "full") -> tuple[Encoder, dict[str, Tensor]]:
    """Return the encoder of a folder and the tensors that are not the encoder's (its masked-LM head, if any).

    depth: layers kept, counted from the input; "full" keeps all. Raises UserError when files are missing, when the
    weights are damaged, do not fit the config, or when fewer layers exist than asked for.
    """
    path = folder / CONFIG
    if not path.is_file():
        raise UserError(f"{folder} holds no {CONFIG}: it is not a model folder")
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        raise UserError(f"{path} is damaged: delete its folder and run the workflow again") from None
    config = EncoderConfig.from_json(raw)
    if depth != "full":
        if int(depth) > config.num_hidden_layers:
            raise UserError(
                f"budget.depths asks for {depth} layers; the backbone in {folder} has {config.num_hidden_layers}"
            )
        config = EncoderConfig(**{**vars(config), "num_hidden_layers": int(depth)})
    encoder = Encoder(config)
    tensors = _read(folder / WEIGHTS)
    wanted = encoder.state_dict()
    inside = {k: tensors.get(f"roberta.{k}", tensors.get(k)) for k in wanted}
    missing = [k for k, v in inside.items() if v is None or v.shape != wanted[k].shape]
    if missing:
        raise UserError(f"{folder / WEIGHTS} does not fit {path}: {missing[0]} is missing or has another shape")
    encoder.load_state_dict(inside)
    rest = {k: v for k, v in tensors.items() if k.startswith("lm_head.")}
    return encoder, rest


def save_encoder(folder: Path, encoder: Encoder, lm_head: nn.Module | None = None) -> None:
    """Write config and weights; with a masked-LM head the folder is an XLMRobertaForMaskedLM checkpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    config, tensors = encoder.config.to_json(), encoder.state_dict()
    if lm_head is not None:
        config["architectures"] = ["XLMRobertaForMaskedLM"]
        tensors = {f"roberta.{k}": v for k, v in tensors.items()}
        tensors |= {f"lm_head.{k}": v for k, v in lm_head.state_dict().items()}
    (folder / CONFIG).write_text(dump_json(config), encoding="utf-8")
    _write(folder / WEIGHTS, tensors)


def save_head(folder: Path, head: nn.Module) -> None:
    """Write the task head beside the encoder."""
    _write(folder / HEAD, head.state_dict())


def _write(path: Path, tensors: dict[str, Tensor]) -> None:
    save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, path, metadata={"format": "pt"})
    # safetensors makes files that only their owner may read; results are shared like any other file.
    umask = os.umask(0)
    os.umask(umask)
    path.chmod(0o666 & ~umask)


def load_head(folder: Path, head: nn.Module) -> None:
    """Read the task head of a folder into `head`; raises UserError when it does not fit."""
    try:
        head.load_state_dict(_read(folder / HEAD))
    except RuntimeError as error:
        raise UserError(f"{folder / HEAD} does not fit the task: {str(error).splitlines()[-1].strip()}") from None


def copy_tokenizer(source: Path, folder: Path) -> None:
    """Copy the tokenizer files of one model folder to another."""
    for name in TOKENIZER_FILES:
        if (source / name).is_file():
            shutil.copyfile(source / name, folder / name)


def _read(path: Path) -> dict[str, Tensor]:
    if not path.is_file():
        raise UserError(f"{path} is missing (weights are read from safetensors only, never from pickle files)")
    try:
        return load_file(path)
    except SafetensorError as error:
        raise UserError(f"{path} is damaged ({error}): delete its folder and run the workflow again") from None
