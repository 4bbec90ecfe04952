"""The identity of a job: all that can change its result. Equal keys mean equal results.

A key is made of the rule, its spec, the digest of the code its script can run, the locked versions of the packages it
uses, and the hashes of the manifests it reads. It is written beside every result as `key.json`, from which `why` tells
what changed since, `verify` checks the result, and a lost `.snakemake` is restored.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stilts.errors import UserError
from stilts.provenance.code import digest_of
from stilts.provenance.manifest import KEY, canonical, dump_json, sha256

FORMAT = 1  # raised when the meaning of a key changes; older results are then made again


@dataclass(frozen=True)
class Key:
    """The identity of one job. files: file of the code -> fingerprint; inputs: option -> manifest paths and hashes."""

    rule: str
    spec: str  # canonical JSON
    files: Mapping[str, str]
    versions: str
    inputs: Mapping[str, Sequence[tuple[str, str]]]

    @property
    def code(self) -> str:
        """The digest of the code, as the workflow passes it as a param."""
        return digest_of(dict(self.files))

    @property
    def digest(self) -> str:
        """The hex sha256 of all that can change the result; names of folders are not in it."""
        hashes = {name: [h for _, h in entries] for name, entries in self.inputs.items() if entries}
        return digest_of_parts(self.rule, self.spec, self.code, self.versions, hashes)

    def dump(self, copies: Sequence[Path] = (), options: Mapping[str, Sequence[str]] | None = None) -> str:
        """Return the text of `key.json`.

        copies: files outside the result's folder that the job wrote as well. options: option -> what it was given
        where that is no manifest; what a rerun by hand needs beside the inputs, and no part of the digest.
        """
        return dump_json(
            {
                "format": FORMAT,
                "key": self.digest,
                "rule": self.rule,
                "spec": json.loads(self.spec),
                "code": self.code,
                "files": dict(self.files),
                "versions": self.versions,
                "inputs": {name: [list(e) for e in entries] for name, entries in self.inputs.items()},
                "copies": [path.as_posix() for path in copies],
                "options": {name: list(values) for name, values in (options or {}).items()},
            }
        )


def digest_of_parts(rule: str, spec: str, code: str, versions: str, inputs: Mapping[str, Sequence[str]]) -> str:
    """Return the digest of a key from its parts. inputs: option -> hashes of the manifests, in order."""
    parts = {"format": FORMAT, "rule": rule, "spec": spec, "code": code, "versions": versions, "inputs": dict(inputs)}
    return hashlib.sha256(canonical(parts).encode()).hexdigest()


def hashed(paths: Sequence[Path]) -> list[tuple[str, str]]:
    """Return (path, sha256) of some manifests."""
    return [(path.as_posix(), sha256(path)) for path in paths]


def read_key(folder: Path) -> dict[str, Any] | None:
    """Return the parts of the key of a result, or None where there is none that can be read.

    Raises UserError where the key's parts do not give its digest: somebody edited it.
    """
    try:
        raw = json.loads((folder / KEY).read_text(encoding="utf-8"))
        files, named = raw["files"], raw["key"]
        hashes = {name: [h for _, h in entries] for name, entries in raw["inputs"].items() if entries}
        parts = (raw["rule"], canonical(raw["spec"]), digest_of(files), raw["versions"], hashes)
        found = digest_of_parts(*parts) if raw["format"] == FORMAT and isinstance(raw["copies"], list) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    if found is not None and found != named:
        raise UserError(f"{folder / KEY} does not give its own digest: it was edited; delete {folder} and run again")
    return raw if found else None
