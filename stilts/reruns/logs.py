"""What the log of a job says: how far it is, and why it failed."""

from __future__ import annotations

from pathlib import Path


def last_line(log: Path) -> str:
    """Return the last line of a log, which says how far a long job is."""
    return next(iter(_lines(log)[-1:]), "")


def failure(log: Path) -> str:
    """Return the line of a log that says why its job failed; empty where none does."""
    lines = _lines(log)
    told = [line for line in lines if line.startswith("error: ")]
    return told[-1] if told else lines[-1] if any(line.startswith("Traceback ") for line in lines) else ""


def _lines(log: Path) -> list[str]:
    try:
        return log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        return []
