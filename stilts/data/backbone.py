"""A pretrained encoder and its tokenizer from the hub or from a folder, safetensors only."""

from __future__ import annotations

import json
import os
import shutil
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from stilts.data.hub import Hub, Repo
from stilts.data.revisions import Locks, known_files, resolve
from stilts.errors import UserError

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
TOKENIZER = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "sentencepiece.bpe.model",
    "spiece.model",
    "tokenizer.model",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
)
VOCABULARIES = (
    "tokenizer.json",
    "sentencepiece.bpe.model",
    "spiece.model",
    "tokenizer.model",
    "vocab.txt",
    "vocab.json",
)


def fetch_backbone(hub: Hub, name: str, revision: str | None, locks: Locks, folder: Path) -> dict[str, Any]:
    """Put the files of a hub model into `folder`, checked as data are; return the facts of the manifest.

    Raises UserError for what cannot be had and for a repository with pickled weights only.
    """
    repo = Repo(name, "model")
    resolved = resolve(hub, repo, revision, "main", locks)
    files = known_files(hub, repo, resolved, "main", locks)
    where = f"{name} ({resolved.commit[:12]})"
    first = wanted(files, where)
    home = hub.download(repo, resolved.commit, {n: files[n] for n in first})
    shards = shards_of(home, files, where)
    hub.download(repo, resolved.commit, {n: files[n] for n in shards})
    _link(home, [*first, *shards], folder)
    mirror = {} if hub.official else {"mirror": True, "pinned_revision": resolved.pin}
    return {"source": "hub", "repository": name, "revision": resolved.commit, **mirror, **describe(folder, where)}


def local_backbone(home: Path, folder: Path) -> dict[str, Any]:
    """Put the files of a model folder into `folder` (hard links where possible); return the facts of the manifest."""
    if not home.is_dir():
        raise UserError(f"There is no model folder {home}")
    names = {p.name for p in home.iterdir() if p.is_file()}
    first = wanted(names, str(home))
    _link(home, [*first, *shards_of(home, names, str(home))], folder)
    return {"source": "local", **describe(folder, str(home))}


def wanted(names: Iterable[str], where: str) -> list[str]:
    """Return the files of a model to take, shards aside; raises UserError when something needed is not there."""
    names = set(names)
    if CONFIG not in names:
        raise UserError(f"{where} holds no {CONFIG}: it is not a model in Hugging Face layout")
    weights = [n for n in (WEIGHTS, INDEX) if n in names][:1]
    if not weights:
        pickled = sorted(n for n in names if n.endswith((".bin", ".pt", ".ckpt", ".h5", ".msgpack")) and "/" not in n)
        hint = (
            f" It has {', '.join(pickled)}, which can run code when loaded and are never read: convert them "
            "to safetensors (https://huggingface.co/spaces/safetensors/convert), or choose a revision that has them."
            if pickled
            else ""
        )
        raise UserError(f"{where} holds no {WEIGHTS}.{hint}")
    if not names.intersection(VOCABULARIES):
        raise UserError(f"{where} holds no tokenizer (one of {', '.join(VOCABULARIES)})")
    return [CONFIG, *weights, *(n for n in TOKENIZER if n in names)]


def shards_of(home: Path, names: Iterable[str], where: str) -> list[str]:
    """Return the weight files that an index names (none for a single file)."""
    if not (home / INDEX).is_file() or WEIGHTS in set(names):
        return []
    shards = sorted(set(json.loads((home / INDEX).read_text(encoding="utf-8")).get("weight_map", {}).values()))
    missing = sorted(set(shards) - set(names))
    if missing or not shards or any("/" in n or not n.endswith(".safetensors") for n in shards):
        raise UserError(f"{where}: {INDEX} names files that are not there: {', '.join(missing) or 'none usable'}")
    return shards


def describe(folder: Path, where: str) -> dict[str, Any]:
    """Return architecture facts of a model folder; raises UserError for an unreadable config or cut weights."""
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{where}: {CONFIG} is not valid JSON ({error})") from None
    for path in sorted(folder.glob("*.safetensors")):
        _check_safetensors(path, where)
    keys = ("model_type", "num_hidden_layers", "hidden_size", "vocab_size", "max_position_embeddings")
    return {key: config[key] for key in keys if key in config}


def _check_safetensors(path: Path, where: str) -> None:
    """Raise UserError unless the header of a safetensors file is whole and agrees with the file's size."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(8)
        length = struct.unpack("<Q", head)[0] if len(head) == 8 else size
        try:
            header = json.loads(file.read(length)) if length < size else None
        except ValueError:
            header = None
    if header is None:
        raise UserError(f"{where}: {path.name} is not a safetensors file (or was cut)")
    end = max((t["data_offsets"][1] for name, t in header.items() if name != "__metadata__"), default=0)
    if 8 + length + end != size:
        raise UserError(f"{where}: {path.name} has {size} bytes, its header says {8 + length + end}: it was cut")


def _link(home: Path, names: Iterable[str], folder: Path) -> None:
    for name in names:
        file = Path(os.path.realpath(home / name))
        try:
            os.link(file, folder / name)
        except OSError:  # another file system, or one without hard links
            shutil.copyfile(file, folder / name)
