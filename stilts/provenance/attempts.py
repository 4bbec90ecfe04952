"""The attempts of one job: where its unfinished state lies between them, and what they cost together.

The workflow names a folder and an interval; a job has a folder of its own below it, named by its key, so that nothing
but the very same job can go on from what lies there. It is removed when the job is done.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FOLDER, MINUTES = "STILTS_CHECKPOINTS", "STILTS_CHECKPOINT_MINUTES"  # set by the workflow for its jobs
LOCK = "lock"


def _clock() -> dict[str, float]:
    children = os.times()  # those that this process has waited for
    cpu = time.process_time() + children.children_user + children.children_system
    return {"wall_seconds": time.time(), "cpu_seconds": cpu}


@dataclass
class Attempts:
    """One attempt at a job, and what is known of those before it.

    folder: where its state is kept, None for nowhere; interval: seconds between two savings; what: the result in words;
    number: this attempt's, from 1; resumed: the step it went on from; earlier: seconds of the attempts before it;
    elsewhere: CPU seconds of this attempt's other processes while they live.
    """

    folder: Path | None = None
    key: str = ""
    interval: float = 0.0
    what: str = ""
    number: int = 1
    resumed: int = 0
    earlier: dict[str, float] = field(default_factory=dict)
    started: dict[str, float] = field(default_factory=_clock)
    elsewhere: float = 0.0
    handle: int | None = None

    @classmethod
    def of_job(cls, key: str | None, what: str) -> Attempts:
        """Return the attempts of a job; those of a job without a key, or without a folder for it, leave no state."""
        root, minutes = os.environ.get(FOLDER, ""), float(os.environ.get(MINUTES) or 0)
        if key is None or not root or minutes <= 0:
            return cls()
        return cls(Path(root) / key, key, 60 * minutes, what)

    def seconds(self) -> dict[str, float]:
        """Return the seconds spent on the job so far, earlier attempts included (up to their last checkpoint)."""
        now = _clock()
        now["cpu_seconds"] += self.elsewhere
        return {k: round(now[k] - self.started[k] + self.earlier.get(k, 0.0), 3) for k in now}

    def note(self) -> dict[str, Any]:
        """Return what `run.json` says of several attempts."""
        if self.number == 1:
            return {}
        earlier = {f"earlier_{name}": seconds for name, seconds in self.earlier.items()}
        return {"attempts": self.number, "resumed_from_step": self.resumed, **earlier}

    def hold(self) -> bool:
        """Take the folder for this process; False while another makes the same result, in another working copy.

        A folder that was deleted meanwhile is made and taken anew.
        """
        if self.handle is not None and not self._stands():
            os.close(self.handle)
            self.handle = None
        if self.handle is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(self.folder / LOCK, os.O_RDWR | os.O_CREAT, 0o664)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(handle)
                return False
            except OSError:  # a file system without locks
                pass
            self.handle = handle
        return True

    def _stands(self) -> bool:
        try:
            return os.path.samestat(os.fstat(self.handle), os.stat(self.folder / LOCK))
        except OSError:
            return False

    def forget(self) -> None:
        """Remove the state of a job that is done. What cannot be removed costs a message, never the result."""
        try:
            if self.folder is not None and self.folder.is_dir() and self.hold():
                os.close(self.handle)  # first: a network file system keeps what is open
                self.handle = None
                shutil.rmtree(self.folder)
        except OSError as error:
            print(f"note: {self.folder} stays ({error.strerror or error})", file=sys.stderr)


def unfinished(root: Path) -> list[Attempts]:
    """Return the jobs that left their state below a folder, other files untouched, sorted by key."""
    return [Attempts(p, p.name) for p in sorted(root.iterdir()) if p.is_dir() and re.fullmatch(r"[0-9a-f]{64}", p.name)]
