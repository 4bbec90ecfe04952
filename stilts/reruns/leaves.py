"""Which setting of the configuration a leaf of a spec comes from.

Nothing maps one to the other by hand: a setting is the source of a leaf if putting the leaf's old value there gives the
old leaf back.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ValidationError

from stilts.config.models import Config
from stilts.config.specs import Specs
from stilts.config.study import Study
from stilts.config.training import TrainingChange
from stilts.errors import UserError
from stilts.reruns.difference import MISSING, Difference, task_name


def source_of(config: Config, rule: str, wildcards: Mapping[str, str], change: Difference) -> str:
    """Return the setting (`target.tasks.udpos.learning_rate`) or task file that a changed leaf comes from, or ""."""
    for path in _candidates(config, change):
        for value in _forms(change.old):
            if _leaf(_with(config, path, value), rule, wildcards, change.path) == change.old:
                return ".".join(path)
    return _task_file(config, rule, wildcards, change)


def spec_for(config: Config, rule: str, wildcards: Mapping[str, str]) -> Any:
    """Return the spec of a job of the study that a configuration describes."""
    method = getattr(Specs(Study(config)), rule)
    names = inspect.signature(method).parameters
    return method(*(int(wildcards[n]) if n == "seed" else wildcards[n] for n in names))


def _candidates(config: Config, change: Difference) -> list[tuple[str, ...]]:
    """Return the settings that may be a leaf's source: those with its name first, then those with its value."""
    leaves, now = list(_flat(_dump(config))), [v for v in _forms(change.new) if v is not MISSING]
    named = [path for path, _ in leaves if path[-1] == change.path[-1]]
    named.sort(key=lambda path: (-len(set(path) & set(change.path)), -len(path)))
    return named + [path for path, value in leaves if path not in named and value in now]


def _forms(value: Any) -> list[Any]:
    """Return how a setting may say a leaf's value: as it is, or as the names of its tasks."""
    names = [task_name(v) for v in value] if isinstance(value, list) else []
    return [value, *([names] if names and all(names) else [])]


def _dump(value: Any) -> Any:
    """Return a configuration as plain data, defaults included."""
    if isinstance(value, BaseModel):
        names = value.model_fields_set if isinstance(value, TrainingChange) else type(value).model_fields
        return {name: _dump(getattr(value, name)) for name in names}
    if isinstance(value, dict):
        return {name: _dump(v) for name, v in value.items()}
    return [_dump(v) for v in value] if isinstance(value, list | tuple) else value


def _flat(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _flat(inner, (*path, str(key)))
    else:
        yield path, value


def _with(config: Config, path: tuple[str, ...], value: Any) -> Config | None:
    raw = copy.deepcopy(_dump(config))
    here = raw
    for key in path[:-1]:
        here = here[key]
    del here[path[-1]]
    if value is not MISSING:
        here[path[-1]] = value
    try:
        return Config.model_validate(raw)
    except ValidationError:
        return None


def _leaf(config: Config | None, rule: str, wildcards: Mapping[str, str], path: tuple[str, ...]) -> Any:
    """Return a leaf of the spec a configuration gives; None where it gives none."""
    try:
        here = spec_for(config, rule, wildcards) if config else None
    except (UserError, KeyError, AttributeError, ValueError):
        return None
    for key in path:
        if isinstance(here, list):
            here = next((v for v in here if task_name(v) == key), None)
        else:
            here = here.get(key, MISSING) if isinstance(here, dict) else None
    return here


def _task_file(config: Config, rule: str, wildcards: Mapping[str, str], change: Difference) -> str:
    """Return the task file that a leaf below a task comes from."""
    for end in range(len(change.path) - 1, -1, -1):
        part = _leaf(config, rule, wildcards, change.path[:end])
        if isinstance(part, dict) and isinstance(part.get("task"), str):
            return f"tasks/{part['task']}.yaml"
    return ""
