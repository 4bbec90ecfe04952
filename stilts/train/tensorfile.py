"""Files of tensors (safetensors) that are whole or not there, and that a damage of any byte gives away."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from stilts.provenance.manifest import sha256

SUFFIX, PART, DIGITS = ".safetensors", ".part", 16
TYPES = {torch.float32: "F32", torch.float64: "F64", torch.bfloat16: "BF16", torch.float16: "F16"}
TYPES |= {torch.int64: "I64", torch.int32: "I32", torch.uint8: "U8", torch.bool: "BOOL"}


def write_tensors(folder: Path, stem: str, tensors: Mapping[str, Tensor]) -> Path:
    """Write `<stem>-<digits of its sha256>.safetensors`, on the disk and under its name in one step; return its path.

    One tensor after the other is copied from its device and written: no second copy of the whole lies in memory.
    Raises OSError, for instance on a full disk; nothing is left of the file then.
    """
    part, digest = folder / f"{stem}{PART}", hashlib.sha256()
    try:
        with part.open("wb") as file:
            for block in _blocks(tensors):
                file.write(block)
                digest.update(block)
            file.flush()
            os.fsync(file.fileno())
        path = folder / f"{stem}-{digest.hexdigest()[:DIGITS]}{SUFFIX}"
        part.rename(path)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)  # the name too
    finally:
        os.close(handle)
    return path


def _blocks(tensors: Mapping[str, Tensor]) -> Iterator[bytes | memoryview]:
    """Yield a safetensors file in pieces: the header's size, the header, the tensors, wide types first (alignment)."""
    order = sorted(tensors.items(), key=lambda item: -item[1].element_size())
    header, start = {}, 0
    for name, tensor in order:
        end = start + tensor.numel() * tensor.element_size()
        header[name] = {"dtype": TYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [start, end]}
        start = end
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    yield len(text).to_bytes(8, "little")
    yield text
    for _, tensor in order:
        yield memoryview(tensor.detach().reshape(-1).view(torch.uint8).cpu().numpy())


def is_whole(path: Path) -> bool:
    """Whether a file has the content that its name says."""
    return sha256(path).startswith(path.stem.rpartition("-")[2])


def as_tensor(text: str) -> Tensor:
    """Return text as the tensor of its UTF-8 bytes."""
    return torch.frombuffer(bytearray(text.encode()), dtype=torch.uint8) if text else torch.zeros(0, dtype=torch.uint8)


def as_text(tensor: Tensor) -> str:
    """Return the text that `as_tensor` was given."""
    return bytes(tensor.numpy()).decode()
