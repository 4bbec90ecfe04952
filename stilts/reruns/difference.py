"""What two specs differ in, leaf by leaf."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

MISSING = object()
MOST = 8  # members of a list that are named


@dataclass(frozen=True)
class Difference:
    """A leaf of a spec that changed. path: keys from the root; old, new: values, MISSING where there is none."""

    path: tuple[str, ...]
    old: Any
    new: Any

    def __str__(self) -> str:
        return f"{self.path[-1]} {_change(self.old, self.new)}"


def differences(old: Any, new: Any, path: tuple[str, ...] = ()) -> Iterator[Difference]:
    """Yield every leaf that differs; lists of tasks or claims are compared one by one where both hold the same ones."""
    before, after = ({} if value is MISSING else value for value in (old, new))
    if isinstance(before, dict) and isinstance(after, dict) and (before or after):
        for key in sorted(before.keys() | after.keys()):
            yield from differences(before.get(key, MISSING), after.get(key, MISSING), (*path, key))
    elif _names(old) is not None and _names(old) == _names(new):
        for name, before, after in zip(_names(old), old, new, strict=True):
            yield from differences(before, after, (*path, name))
    elif old is MISSING or new is MISSING or old != new or type(old) is not type(new):
        yield Difference(path, old, new)


def _names(value: Any) -> list[str] | None:
    """Return the names of a list of tasks or claims, or None for anything else."""
    if not isinstance(value, list) or not value or not all(isinstance(v, dict) for v in value):
        return None
    names = [task_name(v) or v.get("id", "") for v in value]
    return names if all(names) else None


def task_name(value: Any) -> str:
    """Return the name of the task that a part of a spec describes, or nothing."""
    inner = value.get("task") if isinstance(value, dict) else None
    return inner if isinstance(inner, str) else task_name(inner) if isinstance(inner, dict) else ""


def _change(old: Any, new: Any) -> str:
    if isinstance(old, list) and isinstance(new, list):
        before, after = [_short(v) for v in old], [_short(v) for v in new]
        gone, come = [v for v in before if v not in after], [v for v in after if v not in before]
        if not gone and not come:
            return f"{_some(before)} -> {_some(after)}"
        return " ".join([f"+ {_some(come)}"] * bool(come) + [f"- {_some(gone)}"] * bool(gone))
    if new is MISSING:
        return f"{_short(old)} -> (not set)"
    return f"{'(not set)' if old is MISSING else _short(old)} -> {_short(new)}"


def _some(texts: list[str]) -> str:
    return ", ".join(texts if len(texts) <= MOST else [*texts[: MOST - 1], f"... {len(texts) - MOST + 1} more"])


def _short(value: Any) -> str:
    text = task_name(value) or (value if isinstance(value, str) else repr(value))
    if isinstance(value, dict) and not any(isinstance(v, dict | list) for v in value.values()):  # an arm: its names
        text = " ".join(str(v) for v in value.values() if v not in ("", None))
    return text if len(text) <= 60 else text[:57] + "..."
