"""A pin in the committed lock is part of what a fetch is asked for, unless the data there are already that commit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from stilts.errors import UserError
from stilts.provenance.manifest import KEY, MANIFEST


def with_pins(spec: dict[str, Any], folder: Path, lock: Path) -> dict[str, Any]:
    """Return the spec of a fetch with the commits that `lock` (tasks/revisions.lock.yaml) pins for its repositories.

    The first fetch writes its pin down itself: where `folder` holds data of that commit, the spec stays the one they
    were fetched with, so that nothing is fetched twice. Raises UserError for a lock that is no YAML.
    """
    wanted = _commits(spec, lock)
    if not wanted:
        return spec
    try:
        facts = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["facts"]
        there = {part.get("revision") for part in (facts, *facts.get("further", []))}
        asked = json.loads((folder / KEY).read_text(encoding="utf-8"))["spec"].get("pins")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        there, asked = set(), None
    if set(wanted.values()) <= there:
        return spec | ({"pins": asked} if asked else {})
    return spec | {"pins": wanted}


def _commits(spec: dict[str, Any], lock: Path) -> dict[str, str]:
    """Return `datasets/<id>@<branch>` -> commit of the repositories a spec names."""
    try:
        held = (yaml.safe_load(lock.read_text(encoding="utf-8")) or {}).get("repositories") or {}
    except FileNotFoundError:
        return {}
    except yaml.YAMLError as error:
        raise UserError(f"{lock} is not valid YAML ({error}): restore it with git, or delete it") from None
    task = spec.get("task", {})
    sources = [task.get("source", {}), *task.get("more_sources", [])] if task else [spec]
    names = {source.get("id", "") for source in sources} - {""}
    return {key: commit for key, commit in sorted(held.items()) if key.partition("/")[2].rpartition("@")[0] in names}
