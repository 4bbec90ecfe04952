"""Model folders in Hugging Face layout: config.json, model.safetensors, tokenizer files; heads in head.safetensors.

A compact folder has its weights as a difference to another folder's instead (`stilts.model.delta`).
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from torch import Tensor, nn

from stilts.errors import UserError
from stilts.model.delta import DELTA, WEIGHTS, read_delta, write_delta
from stilts.model.encoder import Encoder, EncoderConfig
from stilts.model.files import read_tensors, write_tensors
from stilts.provenance.manifest import dump_json

CONFIG, HEAD = "config.json", "head.safetensors"
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "sentencepiece.bpe.model", "special_tokens_map.json")


def load_encoder(
    folder: Path, depth: int | str = "full", base: Path | None = None
) -> tuple[Encoder, dict[str, Tensor]]:
    """Return the encoder of a folder and the tensors that are not the encoder's (its masked-LM head, if any).

    depth: layers kept, counted from the input; "full" keeps all. base: manifest of the encoder that a compact folder
    is the difference to. Raises UserError when files are missing, when the weights are damaged, do not fit the config,
    when fewer layers exist than asked for, or when the base is not the folder's.
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
    if (folder / DELTA).is_file():
        tensors, encoder.decays = read_delta(folder, base)
    else:
        tensors = read_tensors(folder / WEIGHTS)
    wanted = encoder.state_dict()
    inside = {k: tensors.get(f"roberta.{k}", tensors.get(k)) for k in wanted}
    missing = [k for k, v in inside.items() if v is None or v.shape != wanted[k].shape]
    if missing:
        raise UserError(f"what {folder} holds does not fit its {CONFIG}: {missing[0]} is missing or has another shape")
    encoder.load_state_dict(inside)
    rest = {k: v for k, v in tensors.items() if k.startswith("lm_head.")}
    return encoder, rest


def save_encoder(
    folder: Path, encoder: Encoder, lm_head: nn.Module | None = None, base: Path | None = None, half: bool = False
) -> None:
    """Write config and weights; with a masked-LM head the folder is an XLMRobertaForMaskedLM checkpoint.

    base: manifest of the encoder that training began with; only the difference to it is written then. half: its
    matrices as bfloat16.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config, tensors, more = encoder.config.to_json(), encoder.state_dict(), {}
    if lm_head is not None:
        config["architectures"] = ["XLMRobertaForMaskedLM"]
        more = {f"lm_head.{k}": v for k, v in lm_head.state_dict().items()}
    (folder / CONFIG).write_text(dump_json(config), encoding="utf-8")
    if base is not None:
        write_delta(folder, tensors | more, base, encoder.decays, half)
    else:
        prefix = "roberta." if more else ""
        write_tensors(folder / WEIGHTS, {f"{prefix}{k}": v for k, v in tensors.items()} | more)


def save_head(folder: Path, head: nn.Module) -> None:
    """Write the task head beside the encoder."""
    write_tensors(folder / HEAD, head.state_dict())


def load_head(folder: Path, head: nn.Module) -> None:
    """Read the task head of a folder into `head`; raises UserError when it does not fit."""
    try:
        head.load_state_dict(read_tensors(folder / HEAD))
    except RuntimeError as error:
        raise UserError(f"{folder / HEAD} does not fit the task: {str(error).splitlines()[-1].strip()}") from None


def copy_tokenizer(source: Path, folder: Path) -> None:
    """Copy the tokenizer files of one model folder to another."""
    for name in TOKENIZER_FILES:
        if (source / name).is_file():
            shutil.copyfile(source / name, folder / name)
