"""Manifests: the small deterministic files that stand for heavy folders.

`manifest.json` lists every file of its folder with size and sha256, and a few counts. It holds no time, host or
path, so equal content gives equal bytes and Snakemake's checksums cut reruns off. How the result came about lies beside
it and nothing depends on it: `spec.json` and `key.json` (what was asked for), `run.json` (versions, device, seconds).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from stilts.errors import UserError

MANIFEST, RUN, SPEC, KEY = "manifest.json", "run.json", "spec.json", "key.json"
TRAINING, TEST = f"training.{MANIFEST}", f"test.{MANIFEST}"


def sha256(path: Path) -> str:
    """Return the hex sha256 of a file, read in blocks."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def dump_json(value: Any) -> str:
    """Return canonical JSON: sorted keys, indented, newline at the end."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, indent=1) + "\n"


def canonical(value: Any) -> str:
    """Return the one-line canonical JSON of a spec."""
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))


def write_atomic(path: Path, text: str) -> None:
    """Write text through a temporary name, so that a reader sees the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def write_manifest(folder: Path, facts: dict[str, Any] | None = None) -> Path:
    """Write `folder/manifest.json` over every file below `folder` that is part of the result; return its path.

    facts: deterministic counts and names worth reading (rows, labels, layers), never times or paths.
    """
    files = {
        p.relative_to(folder).as_posix(): {"bytes": p.stat().st_size, "sha256": sha256(p)}
        for p in sorted(folder.rglob("*"))
        if p.is_file() and not is_aside(p.name) and not p.name.endswith(".part")
    }
    path = folder / MANIFEST
    write_atomic(path, dump_json({"facts": facts or {}, "files": files}))
    return path


def is_aside(name: str) -> bool:
    """Whether a file lies beside a result and is no part of it."""
    return name in (RUN, SPEC, KEY) or is_manifest(name)


def is_manifest(name: str) -> bool:
    """Whether a file is the manifest of a result or of a part of one."""
    return name == MANIFEST or name.endswith(f".{MANIFEST}")


def write_parts(folder: Path) -> None:
    """Write the manifests of what training reads of a task (train, validation) and of the rest, from the whole's.

    A language that is added changes the test sets only, and then no training runs again.
    """
    files = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
    training = {name: entry for name, entry in files.items() if name.startswith(("train.", "validation."))}
    rest = {name: entry for name, entry in files.items() if name not in training}
    for name, part in ((TRAINING, training), (TEST, rest)):
        write_atomic(folder / name, dump_json({"facts": {}, "files": part}))


def read_manifest(path: Path) -> dict[str, Any]:
    """Return a manifest; raises UserError when it is damaged, or a file it lists is missing or has another size."""
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
        files = manifest["files"].items()
    except FileNotFoundError:
        raise UserError(f"{path} is missing: run the workflow again, it will be rebuilt") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UserError(f"{path} is damaged: delete it and run the workflow again") from None
    for name, entry in files:
        file = path.parent / name
        if not file.is_file() or file.stat().st_size != entry["bytes"]:
            raise UserError(f"{file} does not match {path}: delete {path} and run the workflow again")
    return manifest
