"""Give Snakemake back what it once knew of results, from the keys that lie beside them.

Snakemake's records (`.snakemake/metadata`) get lost: results copied from a cluster, a cleaned working copy. Without
them it takes any result for good, whatever settings made it. And they get wrong: folders swapped or copied over others,
code edited while a run was going on, an input with other content and an older date. The key always lies beside its
result and says what made it, so where the two disagree the key is believed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from stilts.errors import UserError
from stilts.provenance.key import read_key
from stilts.provenance.manifest import KEY, MANIFEST, canonical, is_manifest, sha256

# Rules that read the outside world: the key does not hold all their inputs.
OUTSIDE = ("fetch", "fetch_backbone")
# Rules whose files people open, move and delete one by one. Snakemake knows their manifests alone.
READ_BY_PEOPLE = ("score", "summarise", "costs", "curves", "claims", "figures", "report", "check", "export")
UNFINISHED = (".part", ".old")  # ends of the folders that jobs make their results in, and move old ones to


def restore_records(root: Path) -> int:
    """Write the records that Snakemake lacks, or has wrong, of results below `root`; count them.

    root: a path from Snakemake's working directory.
    """
    from snakemake.persistence.file import FilePersistence

    found = _lacking(root)
    writer = FilePersistence(nolock=True) if found else None
    for output, record in found.items():
        writer._write_record(output, record)
    return len(found)


def lend_records(persistence: Any, root: Path) -> None:
    """Let a plan read the records that `restore_records` would write, and write nothing."""
    found, read = _lacking(root), persistence._read_record
    persistence._read_record = lambda output: found.get(output) or read(output)


def lost_files(folder: Path) -> list[str]:
    """Return the files that a folder's manifest lists and that are not there; one that cannot be read lists none."""
    try:
        files = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
    except (OSError, ValueError, LookupError, TypeError):
        return []
    return [name for name in files if not (folder / name).is_file()]


def _lacking(root: Path) -> dict[str, Any]:
    """Return output -> the record that its key gives, of the outputs whose own record is not there or another."""
    from snakemake.persistence import RECORD_FORMAT_VERSION, MetadataRecord
    from snakemake.persistence.file import FilePersistence

    path_of, hash_of = _record_paths(FilePersistence), cache(_hash)
    found = {}
    for folder, manifests in _results(root):
        try:
            key, made = read_key(folder), (folder / MANIFEST).stat().st_mtime
        except (UserError, OSError):  # edited by hand, or just replaced by a job of another run
            continue
        if key is None:
            continue
        fields = _fields(key, hash_of)
        if key["rule"] in READ_BY_PEOPLE and (lost := lost_files(folder)):
            fields["params"] = [f"lost: {name}" for name in lost]  # unlike those of any job: it will run
        for output in filter(os.path.isfile, [*manifests, *key["copies"]]):
            if not _agrees(_read(path_of(output)), fields):
                times = {"starttime": made, "endtime": made, "incomplete": False}
                found[output] = MetadataRecord(**fields, **times, record_format_version=RECORD_FORMAT_VERSION)
    return found


def _results(root: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yield (folder, its manifests) of every result; manifests in folders without a key are its own too."""
    owner, manifests = Path(), []
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if not name.endswith(UNFINISHED))
        here = Path(folder)
        if KEY in files and MANIFEST in files:
            if manifests:
                yield owner, manifests
            owner, manifests = here, [(here / name).as_posix() for name in sorted(files) if is_manifest(name)]
        elif MANIFEST in files and owner in here.parents:
            manifests.append((here / MANIFEST).as_posix())
    if manifests:
        yield owner, manifests


def _record_paths(persistence: Any) -> Any:
    """Return the function that names a record's file, as Snakemake names it, without making its folders yet."""
    folder = Path(".snakemake/metadata")
    namer = object.__new__(persistence)
    namer._max_len = os.pathconf(".", "PC_NAME_MAX")
    return lambda output: namer._record_path(str(folder), output)


def _read(path: str) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8") as file:
            record = json.load(file)
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def _hash(path: str) -> str:
    try:
        return sha256(Path(path))
    except OSError:
        return ""


def _fields(key: Mapping[str, Any], hash_of: Any) -> dict[str, Any]:
    """Return what Snakemake records of the job that a key identifies.

    Snakemake compares the content of an input only where its date is newer than the result's. An input that has other
    content now is therefore left out of the list of inputs, which is compared whatever the dates.
    """
    inputs = [(path, digest) for entries in key["inputs"].values() for path, digest in entries]  # some twice
    params = (canonical(key["spec"]), key["code"], key["versions"])
    checksums = {path: f"sha256:{digest}" for path, digest in inputs}
    known = {"rule": key["rule"], "params": sorted(map(repr, params)), "input_checksums": checksums}
    same = sorted(path for path, digest in inputs if hash_of(path) in ("", digest))
    return known if key["rule"] in OUTSIDE else known | {"input": same}


def _agrees(record: Mapping[str, Any], fields: Mapping[str, Any]) -> bool:
    """Whether a record tells of the job that the key tells of. Its other parts (command, dates) only it knows."""
    if record.get("params") != fields["params"]:
        return False
    inputs, checksums = record.get("input") or (), record.get("input_checksums") or {}
    both = fields["input_checksums"].keys() & checksums.keys()
    return all(checksums[path] == fields["input_checksums"][path] for path in both) and (
        "input" not in fields or all((path in inputs) == (path in fields["input"]) for path in both)
    )
