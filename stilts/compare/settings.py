"""The settings of a finished experiment as plain data in the shape of its configuration, read from its own results.

They are what really made the tables and the report (`spec.json` beside them), so that results copied from elsewhere
have them too. Settings that change no result (paths, threads) are in no spec, and so not here.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stilts.config.specs import READ_BY_PEOPLE
from stilts.provenance.manifest import SPEC
from stilts.reruns.difference import MISSING, differences

SECTIONS = ("backbones", "recipes", "intermediate", "target", "budget", "retrieval")
GRID_KEYS = ("backbones", "recipes", "controls", "seeds", "control_seeds")
MANY = 4  # leaves of a part that only one side has: more are one line


def grid_of(root: Path) -> dict[str, Any]:
    """Return the spec of the tables of an experiment, which says what its grid of scores holds; {} without tables."""
    return _read(root / "tables" / SPEC)


def title_of(root: Path) -> str:
    """Return the title of an experiment, or nothing."""
    return str(_read(root / "report" / SPEC).get("title", ""))


def settings_of(root: Path) -> dict[str, Any]:
    """Return the settings below `root`: all of them where report and tables are of one grid, else the grid's."""
    grid, report = grid_of(root), _read(root / "report" / SPEC)
    if not grid:
        return {}
    whole = all(report.get(key) == value for key, value in grid.items())
    spec = report if whole else grid
    tasks = spec.get("tasks", spec["targets"])
    targets = [t["task"] for t in spec["targets"]]
    settings = {
        "source_language": spec["source_language"],
        "grid": {key: spec[key] for key in GRID_KEYS if key in spec} | {"targets": targets},
        "languages": sorted({x for t in spec["targets"] for x in t.get("languages", [])}),
        "tasks": {t["task"]: {k: v for k, v in t.items() if k not in READ_BY_PEOPLE} for t in tasks},
    }
    if not whole:
        settings["budget_points"] = spec["budget_points"]
    else:
        settings |= {"provider": spec["provider"], **{k: v for k, v in spec["settings"].items() if k in SECTIONS}}
        settings |= {"world": world} if (world := _read(root / "world" / SPEC)) else {}
    return settings


def changes(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Return the settings that two states differ in, in words; a large part that only one side has is one line."""
    return list(_changes(old, new, ()))


def _changes(old: Any, new: Any, path: tuple[str, ...]) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted(old.keys() | new.keys()):
            yield from _changes(old.get(key, MISSING), new.get(key, MISSING), (*path, key))
        return
    one = [value for value in (old, new) if value is not MISSING]
    if len(one) == 1 and isinstance(one[0], dict) and _leaves(one[0]) > MANY:
        side = "B" if old is MISSING else "A"
        yield f"{'.'.join(path)}: only in {side} ({_leaves(one[0])} settings)"
        return
    for found in differences(old, new, path):
        yield ".".join([*found.path[:-1], str(found)])


def _leaves(value: Any) -> int:
    return sum(map(_leaves, value.values())) if isinstance(value, dict) and value else 1


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
