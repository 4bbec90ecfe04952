"""Check finished results against what lies beside them: hashes, keys, specs, inputs, and files that nothing lists.

Nothing here is trusted but bytes: every file of every manifest is hashed again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from stilts.errors import UserError
from stilts.provenance.key import read_key
from stilts.provenance.manifest import KEY, MANIFEST, SPEC, canonical, is_aside, is_manifest, sha256
from stilts.provenance.store import ENTRY, FILES, Store
from stilts.reruns.difference import differences
from stilts.reruns.plan import Asked
from stilts.reruns.records import UNFINISHED

SHOWN = 3  # changed settings of one result that are named
ASIDE_FOLDERS = ("logs", "benchmarks")
ASIDE_FILES = ("revisions.lock.yaml",)  # what scripts.fetch found out about a mirror, beside the raw files

CONTENT, INPUT, SETTINGS, KEYS, COPY, STRANGER = "content", "input", "settings", "key", "copy", "stranger"
EARLIER, GONE, NO_KEY, LEFT, OLD = "earlier", "gone", "no key", "left", "old"
# kind -> (title, what to do, whether it is a fault)
KINDS: dict[str, tuple[str, str, bool]] = {
    CONTENT: ("not what the manifest says", "Delete the folder it lies in and run the workflow again.", True),
    KEYS: ("the key does not hold", "Delete the folder it lies in and run the workflow again.", True),
    INPUT: (
        "made from another version of an input",
        "Run the workflow again (`make why` says what it would do).",
        True,
    ),
    SETTINGS: (
        "made with other settings than the configuration's",
        "Run the workflow again (`make why` says what it would do); a folder moved by hand is put right so too.",
        True,
    ),
    COPY: ("not the copy it should be", "Delete it and run the workflow again.", True),
    STRANGER: ("in no manifest", "The workflow did not make it: move it away if it is yours, else delete it.", True),
    EARLIER: (
        "made by other code or packages than today's",
        "Run the workflow again to have it made by today's (`make why` says what it would do).",
        False,
    ),
    GONE: ("made from an input that is gone", "Nothing to do: it is made again when something needs it.", False),
    NO_KEY: ("without a readable key.json", "Made by an older version: run the workflow to make it again.", False),
    LEFT: ("unfinished, or left by a job that was killed", "`make stale` removes it when no run is going on.", False),
    OLD: ("of an older version", "No job asks for it any more: `make store-prune` removes it in time.", False),
}


class Finding(NamedTuple):
    """Something that does not match. kind: of KINDS; path: from the study's folder; what: in words."""

    kind: str
    path: str
    what: str = ""


@dataclass
class Verdict:
    """What was checked (results, files, bytes) and what was found."""

    results: int = 0
    files: int = 0
    bytes: int = 0
    findings: list[Finding] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """Whether nothing found is a fault."""
        return not any(KINDS[f.kind][2] for f in self.findings)


def verify_study(root: Path, base: Path, asked: Mapping[Path, Asked] | None = None) -> Verdict:
    """Check every result below `root` (results/<experiment>); paths in keys are relative to `base`.

    asked: what results are asked to be now; those that it does not name are compared with nothing. Raises UserError
    where there is no such folder.
    """
    if not root.is_dir():
        raise UserError(f"there is no folder {root}: run the experiment first, or name another with --configfile")
    check = _Check(root, base, asked or {})
    for folder in _results(root):
        check.result(folder)
    check.strangers()
    check.verdict.findings.sort()
    return check.verdict


class _Check:
    """One pass over a study; `known` grows to every path that some manifest or key accounts for."""

    def __init__(self, root: Path, base: Path, asked: Mapping[Path, Asked]) -> None:
        self.root, self.base, self.asked, self.verdict = root, base, asked, Verdict()
        self.known: set[Path] = set()
        self.hashes: dict[Path, str] = {}  # a file may be in two manifests, and an input of many jobs

    def note(self, kind: str, path: Path, what: str = "") -> None:
        self.verdict.findings.append(Finding(kind, path.relative_to(self.root).as_posix(), what))

    def result(self, folder: Path) -> None:
        """Check one result: its manifests, then its key."""
        self.verdict.results += 1
        for manifest in sorted(p for p in folder.rglob("*.json") if is_manifest(p.name)):
            self.manifest(manifest)
        try:
            key = read_key(folder)
        except UserError as error:
            self.note(KEYS, folder / KEY, str(error).partition(": ")[0].removeprefix(str(folder / KEY)).strip())
            return
        if key is None:
            kind = KEYS if (folder / KEY).exists() and not _older(folder / KEY) else NO_KEY
            self.note(kind, folder, "damaged key.json" if kind == KEYS else "")
            return
        if _spec(folder) != canonical(key["spec"]):
            self.note(KEYS, folder / SPEC, "not the spec in key.json")
        self.today(folder, key)
        self.inputs(folder, key)
        for path in map(Path, key["copies"]):
            self.copy(folder, path)

    def today(self, folder: Path, key: dict[str, Any]) -> None:
        """Compare what made a result with what would make it now."""
        asked = self.asked.get(folder.relative_to(self.base))
        if asked is None:
            return
        changes = [str(change) for change in differences(key["spec"], json.loads(asked.spec))]
        if changes:
            self.note(SETTINGS, folder, "; ".join(changes[:SHOWN]) + " ..." * (len(changes) > SHOWN))
        parts = [name for name in ("code", "versions") if key[name] != getattr(asked, name)]
        if parts:
            self.note(EARLIER, folder, " and ".join(parts))

    def manifest(self, path: Path) -> None:
        """Hash every file that a manifest lists."""
        try:
            files = json.loads(path.read_text(encoding="utf-8"))["files"].items()
            entries = {name: (int(e["bytes"]), str(e["sha256"])) for name, e in files}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            self.note(CONTENT, path, "no manifest can be read")
            return
        for name, (size, digest) in entries.items():
            file = path.parent / name
            fresh = file not in self.known
            self.known.add(file)
            self.verdict.files += fresh
            if not file.is_file():
                self.note(CONTENT, file, "missing")
            elif (found := file.stat().st_size) != size:
                self.note(CONTENT, file, f"{found} bytes, {size} listed")
            elif self.hash(file) != digest:
                self.note(CONTENT, file, "other content of the same size")
            else:
                self.verdict.bytes += size * fresh

    def inputs(self, folder: Path, key: dict[str, Any]) -> None:
        """Compare the inputs that a key names with what lies there now."""
        for path, digest in (entry for entries in key["inputs"].values() for entry in entries):
            file = self.base / path
            if not file.is_file():
                self.note(GONE, folder, path)
            elif self.hash(file) != digest:
                self.note(INPUT, folder, path)

    def hash(self, path: Path) -> str:
        """Return the hash of a file, computed once."""
        if path not in self.hashes:
            self.hashes[path] = sha256(path)
        return self.hashes[path]

    def copy(self, folder: Path, path: Path) -> None:
        """Compare a copy outside the result's folder with the file it is a copy of."""
        file, source = self.base / path, folder / path.name
        if not file.is_relative_to(self.root):
            return  # of a result that came from elsewhere
        self.known.add(file)
        if not file.is_file() or not source.is_file() or file.read_bytes() != source.read_bytes():
            self.note(COPY, file, f"not a copy of {source.relative_to(self.root)}")

    def strangers(self) -> None:
        """Find the files that nothing accounts for."""
        for here, folders, files in os.walk(self.root):
            folder = Path(here)
            inside = folder.relative_to(self.root).parts
            for name in [n for n in folders if n.endswith(UNFINISHED)]:
                self.note(LEFT, folder / name)
            at_top = () if inside else ASIDE_FOLDERS
            folders[:] = [n for n in folders if not n.endswith(UNFINISHED) and n not in at_top]
            for name in files:
                path = folder / name
                aside = is_aside(name) if (folder / MANIFEST).is_file() else name in ASIDE_FILES
                if path not in self.known and not aside:
                    self.note(LEFT if name.endswith(UNFINISHED) else STRANGER, path)


def _results(root: Path) -> Iterator[Path]:
    """Yield the folders of results: the topmost ones with a manifest or a key."""
    for here, folders, files in os.walk(root):
        folders[:] = sorted(n for n in folders if not n.endswith(UNFINISHED))
        if MANIFEST in files or KEY in files:
            folders.clear()
            yield Path(here)


def _spec(folder: Path) -> str | None:
    try:
        return canonical(json.loads((folder / SPEC).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return None


def _older(path: Path) -> bool:
    """Whether a key is whole but of another format."""
    try:
        return isinstance(json.loads(path.read_text(encoding="utf-8"))["key"], str)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def verify_store(store: Store) -> Verdict:
    """Check every entry of a store: the hashes of its files, and that its key gives its name."""
    verdict = Verdict()
    for entry in sorted(store.root.glob(f"??/*/{ENTRY}")):
        place, name = entry.parent, entry.parent.relative_to(store.root).as_posix()
        verdict.results += 1
        try:
            files = json.loads(entry.read_text(encoding="utf-8"))["files"].items()
            for file, listed in files:
                path = place / FILES / file
                verdict.files += 1
                verdict.bytes += listed["bytes"]
                if not path.is_file() or path.stat().st_size != listed["bytes"] or sha256(path) != listed["sha256"]:
                    verdict.findings.append(Finding(CONTENT, f"{name}/{FILES}/{file}"))
            key = read_key(place / FILES)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            verdict.findings.append(Finding(CONTENT, f"{name}/{ENTRY}", "damaged"))
            continue
        except UserError:
            key = {"key": ""}
        if key is None and _older(place / FILES / KEY):
            verdict.findings.append(Finding(OLD, name))
        elif key is None or key["key"] != place.name:
            verdict.findings.append(Finding(KEYS, f"{name}/{FILES}/{KEY}"))
    return verdict
