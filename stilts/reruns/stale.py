"""What lies below an experiment's folder and no rule makes any more: a language, task, recipe or seed was taken out.

What is kept follows from Snakemake's plan alone: the folders of all outputs, the logs and benchmarks of all jobs.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stilts.errors import UserError
from stilts.provenance.job import LOCK
from stilts.provenance.manifest import is_manifest
from stilts.reruns.plan import plan_of
from stilts.reruns.records import UNFINISHED
from stilts.reruns.verify import ASIDE_FILES

TARGETS = ("all", "scores", "models", "data", "submission", "check")  # all that can be asked for
YOUNG = 3600.0  # seconds that unfinished work is left alone for


@dataclass(frozen=True)
class Stale:
    """A file or folder that nothing makes. size: bytes; shared: bytes of it that lie under another name too."""

    path: Path
    files: int
    size: int
    shared: int


def stale_of(configfiles: Sequence[Path], base: Path) -> tuple[Path, list[Stale]]:
    """Return the folder of the experiment that some configuration files describe, and what is stale below it.

    base: the folder that holds results/. Raises UserError when the workflow cannot be planned.
    """
    with plan_of(configfiles, base, TARGETS) as plan:
        root, made = Path(plan.globals["ROOT"]), list(_made(plan.dag))
    return base / root, find_stale(base / root, [base / path for path in made])


def _made(dag: Any) -> Iterator[str]:
    """Yield the paths of every job of a plan; an output that is a manifest stands for its folder."""
    for job in dag.jobs:
        for output in map(str, job.output):
            yield str(Path(output).parent) if is_manifest(Path(output).name) else output
        yield from map(str, [*job.log, *([job.benchmark] if job.benchmark else [])])


def find_stale(root: Path, made: Iterable[Path]) -> list[Stale]:
    """Return what lies below `root` and is neither made nor around what is made, topmost paths only."""
    kept = set(made) | set(_alive(root))
    around = {parent for path in kept for parent in path.parents} | {root}
    return [_measure(path) for path in _walk(root, kept, around)] if root.is_dir() else []


def _walk(folder: Path, kept: set[Path], around: set[Path]) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path in kept or (path.name in ASIDE_FILES and _near(folder, kept)):
            continue
        if path in around and path.is_dir() and not path.is_symlink():
            yield from _walk(path, kept, around)
        else:
            yield path


def _near(folder: Path, kept: set[Path]) -> bool:
    return any(path.parent == folder for path in kept)


def _alive(root: Path) -> Iterator[Path]:
    """Yield the unfinished folders and files that a job may still be writing: young, or locked by a process."""
    for here, folders, files in os.walk(root):
        for name in [n for n in (*folders, *files) if n.endswith(UNFINISHED)]:
            path = Path(here) / name
            if is_locked(path / LOCK) or time.time() - _newest(path) < YOUNG:
                yield path
        folders[:] = [n for n in folders if not n.endswith(UNFINISHED)]


def _newest(path: Path) -> float:
    try:
        return max(p.lstat().st_mtime for p in (path, *path.rglob("*")))
    except OSError:  # it moves while we look
        return time.time()


def is_locked(path: Path) -> bool:
    """Whether a process holds the lock of a result it makes."""
    try:
        handle = os.open(path, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(handle)
    return False


def _measure(path: Path) -> Stale:
    inside = [path] if path.is_symlink() or not path.is_dir() else list(path.rglob("*"))
    found = [p.lstat() for p in inside if p.is_symlink() or p.is_file()]
    shared = sum(s.st_size for s in found if s.st_nlink > 1)
    return Stale(path, len(found), sum(s.st_size for s in found), shared)


def remove_stale(root: Path, stale: Iterable[Stale]) -> None:
    """Remove stale files and folders; raises UserError before anything outside `root` would be touched."""
    paths = [s.path for s in stale]
    for path in paths:
        if path == root or not path.parent.resolve().is_relative_to(root.resolve()):
            raise UserError(f"{path} does not lie below {root}: nothing was removed")
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
