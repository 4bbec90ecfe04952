"""Read `tasks/*.yaml` and answer which tasks there are."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yaml
from pydantic import ValidationError

from stilts.config.messages import explain
from stilts.errors import UserError, did_you_mean
from stilts.tasks.spec import TaskSpec

FOLDER = Path(__file__).resolve().parents[2] / "tasks"


@cache
def load_task(path: Path) -> TaskSpec:
    """Return the task of one YAML file.

    Raises UserError naming the file and every field that is wrong.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
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
    """Return the names of all tasks, sorted."""
    return sorted(p.stem for p in folder.glob("*.yaml") if not p.name.endswith(".lock.yaml"))


def get_task(name: str, folder: Path = FOLDER) -> TaskSpec:
    """Return one task by name; raises UserError with the closest known name."""
    path = folder / f"{name}.yaml"
    if not path.is_file():
        known = task_names(folder)
        raise UserError(
            f'There is no task "{name}" in {folder.name}/.{did_you_mean(name, known)} Known tasks: {", ".join(known)}.'
        )
    return load_task(path)
