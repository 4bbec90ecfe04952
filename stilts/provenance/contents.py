"""The bytes a job reads are those its manifests say, before its work and after it.

A key names inputs by their manifests. A file that rotted, was edited by hand, or is made again while a job reads it
would give a result that is not what its key says.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from stilts.errors import UserError
from stilts.provenance.manifest import read_manifest, sha256

Stamp = tuple[int, int]


def stamp(path: Path) -> Stamp:
    """Return date and size of a file, by which an edit is noticed; zeros where it is gone."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_mtime_ns, found.st_size


def hash_contents(manifests: Iterable[Path]) -> dict[Path, tuple[str, Stamp]]:
    """Return file -> sha256 and stamp of some manifests and of every file they list.

    Raises UserError that names the first file that is not what its manifest says.
    """
    contents: dict[Path, tuple[str, Stamp]] = {}
    for path in manifests:
        contents[path] = _read(path)
        for name, entry in read_manifest(path)["files"].items():
            file = path.parent / name
            contents[file] = contents.get(file) or _read(file)
            if contents[file][0] != entry["sha256"]:
                raise UserError(
                    f"{file} is damaged (not the content that {path.name} lists): delete {path.parent} and run again"
                )
    return contents


def check_unchanged(contents: Mapping[Path, tuple[str, Stamp]]) -> None:
    """Raise UserError that names the first file that is gone or has other content than when it was hashed."""
    for file, (digest, before) in contents.items():
        if stamp(file) != before and not (file.is_file() and sha256(file) == digest):
            raise UserError(
                f"{file} changed while the job read it, so that the result is not what its key says: run again"
            )


def _read(file: Path) -> tuple[str, Stamp]:
    before = stamp(file)
    return sha256(file), before
