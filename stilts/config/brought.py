"""Corpora that the user brings: where they lie, and the grid without those that are not there."""

from __future__ import annotations

from pathlib import Path

from stilts.config.load import resolve_task
from stilts.config.models import Config
from stilts.config.recipes import starts_first, translated_rows, translations
from stilts.errors import UserError


def folder_of(config: Config, task: str) -> str:
    """Return the user's folder that a task is read from; empty where the hub or the mini world is read.

    Raises UserError for a path where nothing lies.
    """
    path = resolve_task(config, task).source.path
    if config.provider == "mini":
        return ""
    if path and not Path(path).is_dir():
        raise UserError(f"tasks.{task}.source.path: there is no folder {path}")
    if not path and config.provider == "local":
        return str(Path(config.local_data) / task)
    return path


def files_of(config: Config, task: str) -> list[str]:
    """Return the user's files that a task is read from, sorted: of CCGbank its derivations only."""
    folder = folder_of(config, task)
    if not folder:
        return []
    lines = resolve_task(config, task).source.layout == "tagged_lines"
    found = list(Path(folder).rglob("*.auto")) if lines else []
    return sorted(str(p) for p in found or Path(folder).rglob("*") if p.is_file())


def is_missing(config: Config, task: str) -> bool:
    """Whether a task's data are for the user to bring and are not there."""
    spec = resolve_task(config, task)
    if spec.union:
        return any(is_missing(config, member) for member in spec.union)
    if config.provider == "mini" or not spec.source.brought:
        return False
    folder = folder_of(config, task)
    return not folder or not Path(folder).is_dir()


def without_missing(config: Config) -> tuple[Config, list[str]]:
    """Return the configuration without the targets and recipes whose corpora are not there, and a line for each change.

    A recipe of several tasks is trained on the others; one that lacks its translated rows or its text, or comes after
    a recipe that is left out, is left out. Raises UserError when no target is left.
    """
    absent = [target for target in config.grid.targets if is_missing(config, target)]
    if absent and len(absent) == len(config.grid.targets):
        raise UserError(f"grid.targets: {_say(config, *absent)} No other target is named.")
    notes = [f"target {target} is left out. {_say(config, target)}" for target in absent]
    recipes, lost = dict(config.recipes), set()
    for name in starts_first(config, config.grid.recipes):
        recipe = config.recipes[name]
        gone = [task for task in recipe.tasks if is_missing(config, task)]
        rest = recipe.model_copy(update={"tasks": [task for task in recipe.tasks if task not in gone]})
        beside = [*translated_rows(rest), *([rest.masked_lm.corpus] if rest.masked_lm else [])]
        vital = [task for task in beside if is_missing(config, task)] + (gone if not rest.tasks else [])
        if recipe.after in lost:
            notes.append(f"recipe {name} is left out, since it comes after {recipe.after}.")
        elif vital:
            notes.append(f"recipe {name} is left out. {_say(config, *vital)}")
        elif gone:
            recipes[name] = rest
            notes.append(f"recipe {name} is trained on {', '.join(rest.tasks)} only. {_say(config, *gone)}")
        if recipe.after in lost or vital:
            lost.add(name)
    kept = {
        "targets": [target for target in config.grid.targets if target not in absent],
        "recipes": [name for name in config.grid.recipes if name not in lost],
    }
    return config.model_copy(update={"grid": config.grid.model_copy(update=kept), "recipes": recipes}), notes


def _say(config: Config, *tasks: str) -> str:
    lines = []
    for task in tasks:
        own, language = translations(config).get(task, (task, ""))
        key = f"tasks: {own}: translations: {language}: path" if language else f"tasks: {own}: source: path"
        place = f"put them in {Path(config.local_data) / task}, or " if config.provider == "local" else ""
        lines.append(f"The data of {task} are for you to bring: {place}name their folder under `{key}`.")
    return " ".join(lines)
