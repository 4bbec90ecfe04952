"""Give Snakemake back what it once knew of results, from the keys that lie beside them.

Snakemake's records (`.snakemake/metadata`) get lost: results copied from a cluster, a cleaned working copy. Without
them it takes any result for good, whatever settings made it, and compares dates instead of contents.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stilts.errors import UserError
from stilts.provenance.key import read_key
from stilts.provenance.manifest import KEY, MANIFEST, canonical, is_manifest

# Rules that read the outside world: the key does not hold all their inputs.
OUTSIDE = ("fetch", "fetch_backbone")


def restore_records(root: Path) -> int:
    """Write the records that Snakemake lacks of results below `root`, a path from its working directory; count them."""
    from snakemake.persistence import RECORD_FORMAT_VERSION, MetadataRecord
    from snakemake.persistence.file import FilePersistence

    lost = list(_lost(root, FilePersistence))
    if not lost:
        return 0
    records = FilePersistence(nolock=True)
    for folder, outputs in lost:
        try:
            key = read_key(folder)
        except UserError:
            continue
        made = (folder / MANIFEST).stat().st_mtime if key else 0.0
        for output in [*outputs, *(key["copies"] if key else [])]:
            fields = _fields(key) | {"starttime": made, "endtime": made} if key else {}
            if key and Path(output).is_file():
                version = {"record_format_version": RECORD_FORMAT_VERSION, "incomplete": False}
                records._write_record(output, MetadataRecord(**fields, **version))
    return len(lost)


def _lost(root: Path, persistence: Any) -> Iterator[tuple[Path, list[str]]]:
    """Yield (folder, its manifests) of results without a record; manifests in folders without a key are its own too."""
    path_of = _record_paths(persistence)
    owner, manifests = Path(), []
    for folder, folders, files in os.walk(root):
        folders.sort()
        here = Path(folder)
        if KEY in files and MANIFEST in files:
            if manifests:
                yield owner, manifests
            owner, manifests = here, []
            found = [(here / name).as_posix() for name in sorted(files) if is_manifest(name)]
            manifests = [] if all(os.path.exists(path_of(output)) for output in found) else found
        elif MANIFEST in files and manifests and owner in here.parents:
            manifests.append((here / MANIFEST).as_posix())
    if manifests:
        yield owner, manifests


def _record_paths(persistence: Any) -> Any:
    """Return the function that names a record's file, as Snakemake names it, without making its folders yet."""
    folder = Path(".snakemake/metadata")
    namer = object.__new__(persistence)
    namer._max_len = os.pathconf(".", "PC_NAME_MAX")
    return lambda output: namer._record_path(str(folder), output)


def _fields(key: dict[str, Any]) -> dict[str, Any]:
    inputs = [(path, f"sha256:{digest}") for entries in key["inputs"].values() for path, digest in entries]
    params = (canonical(key["spec"]), key["code"], key["versions"])
    known = {"rule": key["rule"], "params": sorted(map(repr, params)), "input_checksums": dict(inputs)}
    return known if key["rule"] in OUTSIDE else known | {"input": sorted(path for path, _ in inputs)}
