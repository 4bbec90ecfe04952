"""Corpora that the user brings: where they lie, and the grid without those that are not there."""

from __future__ import annotations

from pathlib import Path

from stilts.config.load import resolve_task
from stilts.config.models import Config
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
    """Return the configuration without the recipes whose corpora are not there, and a line for each change.

    A recipe of several tasks is trained on the others. Raises UserError for a target whose data are not there.
    """
    for target in config.grid.targets:
        if is_missing(config, target):
            raise UserError(f"grid.targets: {_say(config, target)} Leave the target out, or name the folder.")
    notes, recipes, kept = [], dict(config.recipes), []
    for name in config.grid.recipes:
        tasks = config.recipes[name].tasks
        gone = [task for task in tasks if is_missing(config, task)]
        rest = [task for task in tasks if task not in gone]
        if not gone:
            kept.append(name)
        elif rest:
            kept.append(name)
            recipes[name] = config.recipes[name].model_copy(update={"tasks": rest})
            notes.append(f"recipe {name} is trained on {', '.join(rest)} only. {_say(config, *gone)}")
        else:
            notes.append(f"recipe {name} is left out. {_say(config, *gone)}")
    grid = config.grid.model_copy(update={"recipes": kept})
    return config.model_copy(update={"grid": grid, "recipes": recipes}), notes


def _say(config: Config, *tasks: str) -> str:
    local = config.provider == "local"
    places = [f"put them in {Path(config.local_data) / task}, or " if local else "" for task in tasks]
    return " ".join(
        f"The data of {task} are for you to bring: {place}name their folder under `tasks: {task}: source: path`."
        for task, place in zip(tasks, places, strict=True)
    )
