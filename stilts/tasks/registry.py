"""Read `tasks/*.yaml`, and those of the user's own folders, and answer which tasks there are."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import yaml
from pydantic import ValidationError

from stilts.config.files import read_yaml
from stilts.config.messages import explain
from stilts.errors import UserError, did_you_mean
from stilts.tasks.spec import TaskSpec

FOLDER = Path(__file__).resolve().parents[2] / "tasks"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")


@cache
def load_task(path: Path) -> TaskSpec:
    """Return the task of one YAML file.

    Raises UserError naming the file and every field that is wrong.
    """
    try:
        raw = read_yaml(path)
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not YAML: {error}") from None
    if not isinstance(raw, dict):
        raise UserError(f"{path}: a task file is a mapping of keys; see docs/configuration.md")
    if raw.get("task") != path.stem:
        raise UserError(f"{path}: `task: {raw.get('task')}` must equal the file name `{path.stem}`")
    try:
        return TaskSpec.model_validate(raw)
    except ValidationError as error:
        lines = explain(error, TaskSpec)
        raise UserError(f"{path} is not a valid task:\n" + "\n".join(f"  {line}" for line in lines)) from None


def task_names(folder: Path = FOLDER) -> list[str]:
    """Return the names of all tasks of a folder, sorted."""
    return sorted(p.stem for p in folder.glob("*.yaml") if not p.name.endswith(".lock.yaml"))


def get_task(name: str, folders: Sequence[str | Path] = ()) -> TaskSpec:
    """Return one task by name, from `tasks/` or from the user's own folders.

    Raises UserError with the closest known name; also when a name is no plain name, two folders hold it, a folder does
    not exist, or its file is a link to somewhere else.
    """
    places = [FOLDER, *map(Path, folders)]
    if missing := [p for p in places if not p.is_dir()]:
        raise UserError(f"task_folders: there is no folder {missing[0]}")
    found = [p / f"{name}.yaml" for p in places if (p / f"{name}.yaml").is_file()] if NAME.fullmatch(name) else []
    if not found:
        known = sorted({n for p in places for n in task_names(p)})
        where = " or ".join(f"{p.name}/" for p in places)
        raise UserError(
            f'There is no task "{name}" in {where}.{did_you_mean(name, known)} Known tasks: {", ".join(known)}.'
        )
    if len(found) > 1:
        raise UserError(
            f'the task "{name}" lies in {found[0].parent} and in {found[1].parent}; give one another name, or change '
            "keys of the first under `tasks` of the experiment"
        )
    path = found[0]
    if path.resolve().parent != path.parent.resolve():
        raise UserError(f"{path} is a link to {path.resolve()}, outside its folder: copy the file there")
    return load_task(path)
