"""Turn a raw configuration into a validated `Config`, or into one message that says what to mend."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from stilts.config.messages import explain
from stilts.config.models import CONTROLS, Config
from stilts.config.recipes import chain_faults, recipe_faults, translations
from stilts.config.sizes import size_faults
from stilts.config.training import Pretraining
from stilts.errors import UserError, did_you_mean
from stilts.miniworld.settings import resolve_world
from stilts.tasks.arms import BEST
from stilts.tasks.registry import get_task, task_names
from stilts.tasks.spec import TaskSpec
from stilts.tasks.translation import translation_of

RESERVED = ("runs", "exported", "now")  # results/runs: kept runs, results/exported: copies; now: current results


def load_config(raw: dict[str, Any]) -> Config:
    """Validate a raw configuration (as PyYAML or Snakemake read it).

    Raises UserError listing every problem: unknown keys with the closest known one, numbers read as text
    (YAML 1.1 reads `1e-5` so), language codes read as booleans (`no`), and names that nothing defines.
    """
    if not isinstance(raw, dict):
        found = "empty" if raw is None else f"a {type(raw).__name__}"
        raise _invalid([f"it must be a mapping of keys to values and is {found}; config.yaml shows every key"])
    problems = []
    try:
        config = Config.model_validate(raw)
    except ValidationError as error:
        problems = explain(error, Config)
        config = _rest(raw, error)
    problems += _cross_check(config) if config else []
    if problems:
        raise _invalid(problems)
    return config


def _rest(raw: dict[str, Any], error: ValidationError) -> Config | None:
    """Return the configuration without its faulty values, so that its other faults can be named in the same message.

    None where leaving them out would make names undefined that the user has defined.
    """
    rest = copy.deepcopy(raw)
    for e in error.errors():
        if e["type"] in ("value_error", "missing") or (e["type"] == "extra_forbidden" and len(e["loc"]) == 1):
            return None
        here = rest
        path = [part for part in e["loc"] if part != "[key]"]
        for part in path[:-1]:
            if not isinstance(here.get(part), dict):
                break
            here = here[part]
        else:
            part = path[-1]
        here.pop(part, None)
    try:
        return Config.model_validate(rest)
    except ValidationError:
        return None


def resolve_task(config: Config, name: str) -> TaskSpec:
    """Return a task as this experiment reads it: its YAML, with the experiment's replacements.

    `mnli.de` is the German translation of the training rows of `mnli`, where a recipe asks for it.
    """
    if name in translations(config):
        task, language = translations(config)[name]
        return translation_of(resolve_task(config, task), language, config.provider)
    spec = get_task(name, config.task_folders)
    change = config.tasks.get(name)
    if not change:
        return spec
    try:
        return TaskSpec.model_validate(_changed(spec, change))
    except ValidationError as error:
        raise _invalid(explain(error, TaskSpec, at=f"tasks.{name}")) from None


def _changed(spec: TaskSpec, change: dict[str, Any]) -> dict[str, Any]:
    raw = spec.model_dump()
    for key, value in change.items():
        raw[key] = {**raw[key], **value} if isinstance(value, dict) and isinstance(raw.get(key), dict) else value
    return raw


def _task_faults(config: Config, name: str) -> list[str]:
    try:
        TaskSpec.model_validate(_changed(get_task(name, config.task_folders), config.tasks.get(name, {})))
    except ValidationError as error:
        return explain(error, TaskSpec, at=f"tasks.{name}")
    return []


def _model_faults(config: Config, name: str) -> list[str]:
    """Return why the model that a target borrows (`model_of`) does not fit it."""
    if _task_faults(config, name):
        return []
    task = resolve_task(config, name)
    if not task.model_of:
        return []
    try:
        owner = resolve_task(config, task.model_of)
    except UserError as error:
        return [f"{name}.model_of: {error}"]
    if owner.model_of or not owner.trainable:
        return [f'{name}.model_of: nothing is trained for "{owner.task}"']
    if task.kind != "bitext_retrieval" and (task.kind, task.labels) != (owner.kind, owner.labels):
        return [f'{name}.model_of: the model of "{owner.task}" has another kind or other labels']
    return []


def _union_faults(config: Config, name: str) -> list[str]:
    """Return why the members of a task that is a union of others do not fit together."""
    if _task_faults(config, name):
        return []
    task, faults = resolve_task(config, name), []
    for member in task.union:
        try:
            other = resolve_task(config, member)
        except UserError as error:
            faults.append(f"{name}.union: {error}")
            continue
        if other.union or (other.kind, other.labels) != (task.kind, task.labels):
            faults.append(f'{name}.union: "{member}" is a union itself, or has another kind or other labels')
    return faults


def _pretrained(config: Config) -> list[tuple[str, Pretraining]]:
    return [(name, b.pretraining) for name, b in config.backbones.items() if b.source == "pretrain" and b.pretraining]


def _invalid(problems: list[str]) -> UserError:
    return UserError("The configuration is not valid:\n" + "\n".join(f"  {p}" for p in dict.fromkeys(problems)))


def _cross_check(config: Config) -> list[str]:
    problems = []
    if config.experiment in RESERVED:
        problems.append(f'experiment: "{config.experiment}" has another meaning below results/; choose another name')

    if config.store and Path(config.store).resolve().is_relative_to(Path("results", config.experiment).resolve()):
        problems.append(
            f"store: {config.store} lies below results/{config.experiment}, which `make stale` cleans; choose a folder "
            "beside it, as results/.store"
        )

    def read(name: str) -> TaskSpec:
        """A task as the experiment has it; a faulty replacement of keys is named elsewhere."""
        return get_task(name, config.task_folders) if _task_faults(config, name) else resolve_task(config, name)

    def known(where: str, names: list[str], defined: dict) -> None:
        for name in names:
            if name not in defined:
                problems.append(f'{where}: "{name}" is not defined.{did_you_mean(name, defined)}')

    known("grid.backbones", config.grid.backbones, config.backbones)
    known("grid.recipes", config.grid.recipes, config.recipes)
    for name in config.recipes:
        if name in (*CONTROLS, BEST):
            what = "a control" if name in CONTROLS else "a derived arm"
            problems.append(f'recipes: "{name}" is the name of {what}; choose another')
    if config.recipes.get("none") and config.recipes["none"].tasks:
        problems.append("recipes.none: the baseline trains on no task; give this recipe another name")
    wanted = [("grid.targets", t) for t in config.grid.targets]
    wanted += [(f"recipes.{r}.tasks", t) for r, recipe in config.recipes.items() for t in recipe.tasks]
    wanted += [("tasks", t) for t in config.tasks] + [("intermediate.tasks", t) for t in config.intermediate.tasks]
    wanted += [("target.tasks", t) for t in config.target.tasks]
    wanted += [(f"backbones.{b}.pretraining.corpus", p.corpus) for b, p in _pretrained(config)]
    swept = False
    for where, name in wanted:
        try:
            task = get_task(name, config.task_folders)
        except UserError as error:
            problems.append(f"{where}: {error}")
            continue
        if config.provider == "mini" and where != "tasks" and name not in task_names():
            problems.append(f'{where}: the mini world has no data for "{name}"; set `provider` to hub or local')
        if where.startswith("recipes.") and task.retrieval:
            problems.append(f'{where}: "{name}" is a retrieval target; nothing is trained on it')
        if where == "grid.targets" and task.kind == "masked_lm":
            problems.append(f'{where}: "{name}" is text for masked-LM training; it has no scores')
        if where.startswith("backbones.") and task.kind != "masked_lm":
            problems.append(f'{where}: "{name}" is a {task.kind} task; pretraining reads one of kind masked_lm')
        problems += _union_faults(config, name)
        if where == "tasks":
            problems += _task_faults(config, name)
        if where == "grid.targets":
            swept |= task.swept
            problems += _model_faults(config, name)
            problems += [] if _task_faults(config, name) else chain_faults(resolve_task(config, name), read)
        if where == "target.tasks" and task.model_of:
            problems.append(f'{where}: "{name}" is predicted with the model of "{task.model_of}"; name that one')
    problems += recipe_faults(config, read)
    problems += size_faults(config, swept)
    if config.provider == "mini":
        try:
            resolve_world(config.world.model_dump() | {"source_language": config.source_language})
        except UserError as error:
            problems.append(f"world: {str(error).removeprefix('mini world: ')}")
    if config.provider == "local" and not config.local_data:
        problems.append("provider: local needs `local_data`, the folder that holds the files")
    if config.provider == "local" and config.local_data and not Path(config.local_data).is_dir():
        problems.append(f"local_data: there is no folder {config.local_data}")
    return problems
