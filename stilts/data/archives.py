"""Data files inside gzipped tar archives (Mewsli-X packs its larger tables so)."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

from stilts.errors import UserError

FORMATS = ("parquet", "jsonl", "json", "csv", "tsv")
PACKED = ("jsonl.tar.gz", "tar.gz")  # archives of JSON lines


def format_of(name: str) -> str:
    """Return the format of a data file by its name, "jsonl" for an archive; empty for any other file."""
    if name.endswith(".tar.gz"):
        return "jsonl"
    ending = name.rsplit(".", 1)[-1]
    return ending if ending in FORMATS else ""


def unpack(files: list[Path], folder: Path) -> list[Path]:
    """Return the files with every archive replaced by its JSON-lines members, which are written below `folder`.

    Members are named by number, so that no name inside an archive leads anywhere. Raises UserError for an archive
    that is damaged or holds no such member.
    """
    found = []
    for number, file in enumerate(files):
        if not file.name.endswith(".tar.gz"):
            found.append(file)
            continue
        before = len(found)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            with tarfile.open(file, "r:gz") as archive:
                for place, member in enumerate(sorted(archive.getmembers(), key=lambda m: m.name)):
                    if member.isfile() and member.name.endswith((".jsonl", ".json")):
                        found.append(folder / f"{number}-{place}.jsonl")
                        with archive.extractfile(member) as inside, found[-1].open("wb") as out:
                            shutil.copyfileobj(inside, out)
        except (tarfile.TarError, EOFError, OSError) as error:
            raise UserError(f"{file.name} is not a readable archive ({error}): delete it and run again") from None
        if len(found) == before:
            raise UserError(f"{file.name} holds no .jsonl file")
    return found
