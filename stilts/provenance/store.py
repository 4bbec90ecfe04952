"""The store: finished results by their key, so that what was computed once is never computed again.

An entry is a read-only folder `<store>/<two digits>/<key>/` with `entry.json` (hashes of its files) and `files/` (the
result as it lay, its `key.json` included, which explains the key). It appears by one rename, so a reader sees all of it
or nothing; several working copies and users may share a store. Results are hard links to it where the file system
allows, else copies. Every entry is checked by its hashes before it is given out.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from stilts.provenance.manifest import MANIFEST, dump_json, is_aside, sha256, write_atomic

ENTRY, FILES, TEMPORARY, DAMAGED = "entry.json", "files", "tmp", "damaged"
# Set by the workflow for its jobs, as they are no part of a spec: the store's path, and what the experiment asks for a
# job with an encoder (runtime.gpus).
VARIABLE, GPUS = "STILTS_STORE", "STILTS_GPUS"


@dataclass(frozen=True)
class Store:
    """A store below one folder."""

    root: Path

    @classmethod
    def of_job(cls) -> Store | None:
        """Return the store the workflow gave this job, or None."""
        path = os.environ.get(VARIABLE, "")
        return cls(Path(path)) if path else None

    def place(self, key: str) -> Path:
        """Return where the entry of a key lies or would lie."""
        return self.root / key[:2] / key

    def has(self, key: str) -> bool:
        """Whether there is an entry that we may read, unchecked: enough for a plan."""
        return os.access(self.place(key) / ENTRY, os.R_OK)

    def take(self, key: str, folder: Path) -> bool:
        """Put the result of a key into an empty folder; False when there is none that holds."""
        place = self.place(key)
        try:
            files = json.loads((place / ENTRY).read_text(encoding="utf-8"))["files"]
            fault = next((name for name, entry in files.items() if not _holds(place / FILES / name, entry)), None)
        except OSError:  # there is none, or it is not for us to read
            return False
        except (ValueError, KeyError, TypeError, AttributeError):
            files, fault = {}, ENTRY
        if fault is not None:
            self._set_aside(place, fault)
            return False
        try:
            for name in files:
                _give(place / FILES / name, folder / name)
        except FileNotFoundError:  # pruned at this very moment
            for path in folder.iterdir():
                if not path.name.endswith(".part"):  # the job's claim on the folder
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
            return False
        with suppress(OSError):
            os.utime(place / ENTRY)  # last use, for `prune`
        return True

    def keep(self, key: str, folder: Path) -> None:
        """Make an entry of a finished result. A store that cannot be written costs a message, never the result."""
        place, part = self.place(key), self.root / TEMPORARY / f"{key[:12]}-{os.getpid()}-{secrets.token_hex(4)}"
        if self.has(key):
            return
        try:
            files = _hashes(folder)
            for name in files:
                _share(folder / name, part / FILES / name)
            write_atomic(part / ENTRY, dump_json({"key": key, "files": files}))
            place.parent.mkdir(parents=True, exist_ok=True)
            part.rename(place)
        except OSError as error:
            if not self.has(key):  # else another job kept the same result first
                reason = error.strerror or error
                print(f"note: not kept in the store {self.root} ({reason}); the result stands", file=sys.stderr)
        finally:
            shutil.rmtree(part, ignore_errors=True)

    def refusal(self) -> str | None:
        """Return why no entry can be made here now, or None."""
        probe = self.root / TEMPORARY / f"probe-{os.getpid()}"
        try:
            probe.mkdir(parents=True)
            probe.rmdir()
        except OSError as error:
            return error.strerror or str(error)
        return None

    def _set_aside(self, place: Path, fault: str) -> None:
        aside = self.root / DAMAGED / f"{place.name}-{int(time.time())}"
        try:
            aside.parent.mkdir(parents=True, exist_ok=True)
            place.rename(aside)
            done = f"set aside as {aside}"
        except OSError as error:
            done = f"it cannot be set aside ({error.strerror or error})"
        print(f"note: {place} is damaged ({fault}): {done}; not used", file=sys.stderr)

    def entries(self) -> Iterator[Entry]:
        """Yield every entry, in the order of keys."""
        for path in sorted(self.root.glob(f"??/*/{ENTRY}")):
            with suppress(OSError):  # pruned by another user meanwhile
                yield Entry.read(path.parent)


@dataclass(frozen=True)
class Entry:
    """What `prune` must know of an entry. size: bytes; used: last use, seconds since 1970; linked: by some result."""

    place: Path
    size: int
    used: float
    linked: bool

    @classmethod
    def read(cls, place: Path) -> Entry:
        """Measure one entry."""
        found = [p.stat() for p in (place / FILES).rglob("*") if p.is_file() and not is_aside(p.name)]
        return cls(
            place, sum(s.st_size for s in found), (place / ENTRY).stat().st_mtime, any(s.st_nlink > 1 for s in found)
        )


def prunable(store: Store, days: float) -> list[Entry]:
    """Return the entries that no result on this file system is linked to and that were not used for some days."""
    limit = time.time() - days * 86400
    return [e for e in store.entries() if not e.linked and e.used <= limit]


def remove(entry: Entry) -> None:
    """Remove an entry; it vanishes in one rename, so that no job can take half of it."""
    grave = entry.place.with_name(entry.place.name + ".gone")
    entry.place.rename(grave)
    shutil.rmtree(grave)


def leftovers(store: Store, days: float) -> list[Path]:
    """Return what ended jobs and damaged entries left in the store, older than some days (half-made ones: a day)."""
    now = time.time()
    places = [(p, 1.0, r"[0-9a-f]{12}-\d+-[0-9a-f]{8}") for p in (store.root / TEMPORARY).glob("*")]
    places += [(p, days, r"[0-9a-f]{64}-\d+") for p in (store.root / DAMAGED).glob("*")]
    places += [(p, 1.0, r"[0-9a-f]{64}\.gone") for p in store.root.glob("??/*.gone")]
    # By their names alone are they the store's: nothing else that lies in the folder is ever touched.
    ours = [(p, age) for p, age, name in places if re.fullmatch(name, p.name)]
    return [p for p, age in ours if p.stat().st_mtime <= now - age * 86400]


def _hashes(folder: Path) -> dict[str, dict[str, str | int]]:
    """Return file -> bytes and sha256 of a finished result; what its manifests say is not hashed again."""
    known: dict[Path, str] = {}
    for manifest in folder.rglob(MANIFEST):
        listed = json.loads(manifest.read_text(encoding="utf-8"))["files"]
        known |= {manifest.parent / name: entry["sha256"] for name, entry in listed.items()}
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    return {
        p.relative_to(folder).as_posix(): {"bytes": p.stat().st_size, "sha256": known.get(p) or sha256(p)}
        for p in files
    }


def _holds(path: Path, entry: dict[str, str | int]) -> bool:
    return path.is_file() and path.stat().st_size == entry["bytes"] and sha256(path) == entry["sha256"]


def _share(source: Path, target: Path) -> None:
    """Put a file of a result into the store: a hard link, both names read-only; what lies aside is copied."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if is_aside(source.name) or not _link(source, target):
        shutil.copyfile(source, target)
    target.chmod(0o444)


def _give(source: Path, target: Path) -> None:
    """Put a file of the store into a result; manifests get a date of their own, which Snakemake compares."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if is_aside(source.name) or not _link(source, target):
        shutil.copyfile(source, target)


def _link(source: Path, target: Path) -> bool:
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:  # another file system, another owner, too many links
        return False
    return True
