"""Turn a raw configuration into a validated `Config`, or into one message that says what to mend."""

from __future__ import annotations

import types
import typing
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from stilts.config.models import CONTROLS, Config
from stilts.errors import UserError, did_you_mean
from stilts.tasks.registry import get_task
from stilts.tasks.spec import TaskSpec


def load_config(raw: dict[str, Any]) -> Config:
    """Validate a raw configuration (as PyYAML or Snakemake read it).

    Raises UserError listing every problem: unknown keys with the closest known one, numbers read as text
    (YAML 1.1 reads `1e-5` so), language codes read as booleans (`no`), and names that nothing defines.
    """
    try:
        config = Config.model_validate(raw)
    except ValidationError as error:
        lines = [f"  {_where(e['loc'])}: {_say(e, raw)}" for e in error.errors()]
        raise UserError("The configuration is not valid:\n" + "\n".join(dict.fromkeys(lines))) from None
    problems = _cross_check(config)
    if problems:
        raise UserError("The configuration is not valid:\n" + "\n".join(f"  {p}" for p in problems))
    return config


def resolve_task(config: Config, name: str) -> TaskSpec:
    """Return a task as this experiment reads it: its YAML, with the experiment's replacements."""
    spec = get_task(name)
    change = config.tasks.get(name)
    if not change:
        return spec
    raw = spec.model_dump()
    for key, value in change.items():
        raw[key] = {**raw[key], **value} if isinstance(value, dict) and isinstance(raw.get(key), dict) else value
    try:
        return TaskSpec.model_validate(raw)
    except ValidationError as error:
        lines = [f"  tasks.{name}.{_where(e['loc'])}: {_say(e, change)}" for e in error.errors()]
        raise UserError("The configuration is not valid:\n" + "\n".join(lines)) from None


def _where(loc: tuple) -> str:
    # Strict unions append their member's name; a user only knows the key.
    parts = [str(p) for p in loc if not (isinstance(p, str) and ("[" in p or p in ("int", "float", "str", "bool", "constrained-str")))]
    return ".".join(parts) or "config"


def _say(error: dict, raw: Any) -> str:
    value = error.get("input")
    kind = error["type"]
    if kind == "extra_forbidden":
        return f"unknown key.{did_you_mean(str(error['loc'][-1]), _fields_at(error['loc'][:-1]))}"
    if isinstance(value, str) and kind in ("float_type", "int_type", "float_parsing", "int_parsing") and _is_number(value):
        return f'"{value}" is text, not a number: YAML reads it so without a dot. Write {float(value):.1e}'.replace("e-0", "e-").replace(
            "e+0", "e+"
        )
    if isinstance(value, bool) and kind in ("string_type", "literal_error", "float_type", "int_type"):
        return f'YAML reads the bare words no, off, yes and on as {str(value).lower()}: put quotes around it ("no" is Norwegian)'
    if kind == "value_error":
        return error["msg"].removeprefix("Value error, ")
    return f"{error['msg']} (it is {value!r})"


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _fields_at(loc: tuple) -> list[str]:
    """Return the keys known at a place of the configuration."""
    here: Any = Config
    for part in loc:
        if isinstance(here, type) and issubclass(here, BaseModel):
            field = here.model_fields.get(str(part))
            here = field.annotation if field else None
        else:
            here = next((a for a in typing.get_args(here) if _is_model(a)), None)
        while typing.get_origin(here) in (typing.Union, types.UnionType):
            here = next((a for a in typing.get_args(here) if _is_model(a)), None)
    return list(here.model_fields) if _is_model(here) else []


def _is_model(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, BaseModel)


def _cross_check(config: Config) -> list[str]:
    problems = []

    def known(where: str, names: list[str], defined: dict) -> None:
        for name in names:
            if name not in defined:
                problems.append(f'{where}: "{name}" is not defined.{did_you_mean(name, defined)}')

    known("grid.backbones", config.grid.backbones, config.backbones)
    known("grid.recipes", config.grid.recipes, config.recipes)
    for name in config.recipes:
        if name in CONTROLS:
            problems.append(f'recipes: "{name}" is the name of a control; choose another')
    if config.recipes.get("none") and config.recipes["none"].tasks:
        problems.append("recipes.none: the baseline trains on no task; give this recipe another name")
    wanted = [("grid.targets", t) for t in config.grid.targets]
    wanted += [(f"recipes.{r}.tasks", t) for r in config.grid.recipes if r in config.recipes for t in config.recipes[r].tasks]
    wanted += [("tasks", t) for t in config.tasks] + [("intermediate.tasks", t) for t in config.intermediate.tasks]
    wanted += [("target.tasks", t) for t in config.target.tasks]
    for where, name in wanted:
        try:
            task = resolve_task(config, name)
        except UserError as error:
            problems.append(f"{where}: {error}")
            continue
        if where.startswith("recipes.") and task.retrieval:
            problems.append(f'{where}: "{name}" is a retrieval target; nothing is trained on it')
    if config.provider == "local" and not config.local_data:
        problems.append("provider: local needs `local_data`, the folder that holds the files")
    if config.provider == "local" and config.local_data and not Path(config.local_data).is_dir():
        problems.append(f"local_data: there is no folder {config.local_data}")
    return problems
