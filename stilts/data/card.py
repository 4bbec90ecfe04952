"""Which files of a hub data set hold which configuration and split: its card, or the usual file names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from stilts.data.archives import format_of
from stilts.errors import UserError

Files = dict[str, dict[str, list[str]]]  # config -> split -> files, sorted


def data_files(card: Path | None, names: Iterable[str]) -> Files:
    """Return the data files of every configuration and split of a repository.

    card: its README.md, if it has one; names: all its files. Configurations come from the card's `configs`; without
    them from file names: `<config>/<split>-*`, `<config>/<split>/*` (the hub's parquet branch), and for the
    configuration `default` also `data/<split>-*` and `<split>*`.
    Raises UserError for a card that points outside its repository.
    """
    names = sorted(n for n in names if format_of(n))
    configs = _read_card(card) if card else []
    if not configs:
        return _by_name(names)
    found: Files = {}
    for config in configs:
        splits = found.setdefault(str(config.get("config_name", "default")), {})
        for split, patterns in _patterns(config.get("data_files"), config.get("data_dir")):
            for pattern in patterns:
                if "://" in pattern:
                    raise UserError(
                        f"{card}: the data set's files lie outside its repository ({pattern}); not supported"
                    )
                matches = re.compile(_regex(pattern))
                splits.setdefault(split, []).extend(n for n in names if matches.fullmatch(n))
    return {c: {s: sorted(set(files)) for s, files in splits.items() if files} for c, splits in found.items()}


def _read_card(card: Path) -> list[dict[str, Any]]:
    from huggingface_hub import metadata_load

    try:
        head = metadata_load(card) or {}
    except ValueError as error:
        raise UserError(f"{card}: its YAML head cannot be read ({error})") from None
    return [c for c in head.get("configs") or [] if isinstance(c, dict) and (c.get("data_files") or c.get("data_dir"))]


def _patterns(value: Any, folder: str | None) -> list[tuple[str, list[str]]]:
    """Return (split, patterns) of a card's `data_files` in any of its forms."""
    prefix = f"{folder.strip('/')}/" if folder and folder != "." else ""
    if value is None:
        splits = ("train", "validation", "test")
        return [(s, [f"{prefix}{s}-*", f"{prefix}{s}.*", f"{prefix}{s}/*"]) for s in splits]
    if isinstance(value, str) or (isinstance(value, list) and value and isinstance(value[0], str)):
        value = {"train": value}
    if isinstance(value, dict):
        value = [{"split": split, "path": path} for split, path in value.items()]
    paths = [(str(v["split"]), [v["path"]] if isinstance(v["path"], str) else list(v["path"])) for v in value]
    return [(split, [p if "://" in p else prefix + p.removeprefix("./") for p in found]) for split, found in paths]


def _regex(pattern: str) -> str:
    special = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    pieces = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    return "".join(special.get(piece) or re.escape(piece) for piece in pieces)


def _by_name(names: list[str]) -> Files:
    found: Files = {}
    for name in names:
        *folders, file = name.split("/")
        stem = file.removesuffix(".tar.gz")
        stem = stem.rsplit(".", 1)[0] if format_of(stem) else stem
        split = re.sub(r"-\d+-of-\d+$", "", stem)
        if stem.isdigit() and len(folders) >= 2:  # <config>/<split>/0000.parquet
            *folders, split = folders
        config = "/".join(folders)
        found.setdefault("default" if config in ("", "data") else config, {}).setdefault(split, []).append(name)
    return found
