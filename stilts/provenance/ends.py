"""How the attempts at a job ended, so that the next one asks for what it lacked, and a hopeless one is not repeated.

Noted only where a cluster may end a job (inside SLURM). A job that is killed has no time to say why: it was "killed",
which is what running out of memory looks like; "stopped" was asked to end (the time limit, another user's priority).
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stilts.errors import UserError
from stilts.provenance.manifest import dump_json, write_atomic

SESSION = "STILTS_SESSION"  # set by the workflow: one run of Snakemake
FOLDER = "ends"  # below the folder of checkpoints
KILLED, STOPPED, FAILED = "killed", "stopped", "failed"
IN_VAIN = 2  # attempts without progress after which a run of Snakemake gives a job up


def ends_of(root: Path, key: str | None) -> list[str]:
    """Return how the attempts at a job in this run of Snakemake ended, in order. root: the folder of checkpoints."""
    return [a["end"] for a in _read(_place(root, key))] if key else []


@contextmanager
def noted(checkpoints: Path | None) -> Iterator[None]:
    """Note how what is done inside ends. checkpoints: the folder of the job's own, None for a job without any.

    Raises UserError where the last attempts of this run of Snakemake left nothing that they had not found.
    """
    if checkpoints is None or "SLURM_JOB_ID" not in os.environ:
        yield
        return
    path = _place(checkpoints.parent, checkpoints.name)
    attempts = _read(path)
    here = os.environ["SLURM_JOB_ID"]
    found = sorted(p.name for p in checkpoints.glob("*.safetensors"))
    # SLURM runs a preempted job again under its old number: that is no attempt in vain.
    attempts = [a for a in attempts if a["job"] != here]
    vain = [a for a in attempts[-IN_VAIN:] if a["found"] == found]
    if len(vain) == IN_VAIN:
        how = " and ".join(a["end"] for a in vain)
        path.unlink()
        raise UserError(
            f"given up: the last {IN_VAIN} attempts (SLURM jobs {', '.join(a['job'] for a in vain)}) were {how} "
            "without progress. See their logs; give more memory or time in the profile (set-resources), then "
            "run the same command again"
        )
    attempts.append({"session": _session(), "job": here, "found": found, "end": KILLED})
    write_atomic(path, dump_json(attempts))
    before = signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        yield
    except BaseException as error:
        attempts[-1]["end"] = STOPPED if isinstance(error, SystemExit) else FAILED
        with suppress(OSError):  # a full disk; what is raised says more
            write_atomic(path, dump_json(attempts))
        raise
    finally:
        signal.signal(signal.SIGTERM, before)
    path.unlink(missing_ok=True)


def _place(root: Path, key: str) -> Path:
    return root / FOLDER / f"{key}.json"


def _session() -> str:
    return os.environ.get(SESSION, "")


def _read(path: Path) -> list[dict]:
    try:
        attempts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [a for a in attempts if a["session"] == _session()]
