"""Tensors in safetensors files, read with messages that help."""

from __future__ import annotations

import os
from pathlib import Path

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from stilts.errors import UserError


def write_tensors(path: Path, tensors: dict[str, Tensor]) -> None:
    """Write tensors by name."""
    save_file({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, path, metadata={"format": "pt"})
    # safetensors makes files that only their owner may read; results are shared like any other file.
    umask = os.umask(0)
    os.umask(umask)
    path.chmod(0o666 & ~umask)


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Return all tensors of a file; raises UserError when it is missing or damaged."""
    if not path.is_file():
        raise UserError(f"{path} is missing (weights are read from safetensors only, never from pickle files)")
    try:
        return load_file(path)
    except SafetensorError as error:
        raise UserError(f"{path} is damaged ({error}): delete its folder and run the workflow again") from None


def read_tensor(path: Path, *names: str) -> Tensor:
    """Return the tensor of a file that has one of some names, without reading the others; raises as `read_tensors`."""
    try:
        with safe_open(path, "pt") as file:
            found = [name for name in names if name in file.keys()]  # noqa: SIM118 (it is no mapping)
            if found:
                return file.get_tensor(found[0])
    except (SafetensorError, FileNotFoundError) as error:
        raise UserError(f"{path} is missing or damaged ({error}): run the workflow again") from None
    raise UserError(f"{path} holds no {names[0]}")
