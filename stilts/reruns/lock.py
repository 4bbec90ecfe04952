"""Tell a lock that a killed run left behind from one that a running workflow holds.

Snakemake's own lock is a file that outlives a killed controller; the user must know `--unlock`. Beside it each running
controller holds a lock of the operating system, which ends with it: whoever can get that may remove the other.
"""

from __future__ import annotations

import fcntl
import os
import sys
import time
from pathlib import Path

HELD = "controller.lock"
SETTLING = 10.0  # seconds a controller may need between Snakemake's lock and ours
_handles: list[int] = []


def hold_lock(folder: Path = Path(".snakemake")) -> None:
    """Hold the controller's lock until this process ends; another holder or a file system without locks is no error."""
    handle = _locked(folder / HELD, fcntl.LOCK_SH)  # several controllers may run on disjoint targets
    if handle is not None:
        _handles.append(handle)


def held(folder: Path = Path(".snakemake")) -> bool:
    """Whether a controller runs in a working directory now."""
    if not (folder / HELD).is_file():
        return False
    handle = _locked(folder / HELD)
    if handle is None:
        return True
    os.close(handle)
    return False


def release_stale(folder: Path = Path(".snakemake")) -> bool:
    """Remove Snakemake's lock if no controller runs in this working directory any more; return whether it did."""
    locks = list((folder / "locks").glob("*.lock"))
    if not locks or max(p.stat().st_mtime for p in locks) > time.time() - SETTLING or not (folder / HELD).is_file():
        return False
    handle = _locked(folder / HELD)
    if handle is None:
        return False
    for path in locks:
        path.unlink(missing_ok=True)
    os.close(handle)
    print("The last run here was killed: its lock is removed, what it finished is kept.", file=sys.stderr)
    return True


def _locked(path: Path, kind: int = fcntl.LOCK_EX) -> int | None:
    """Return a handle that holds the lock of a file, or None."""
    try:
        path.parent.mkdir(exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o664)
    except OSError:
        return None
    try:
        fcntl.flock(handle, kind | fcntl.LOCK_NB)
    except OSError:
        os.close(handle)
        return None
    return handle
