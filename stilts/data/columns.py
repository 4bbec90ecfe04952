"""Templates over the columns of a table: `premise`, `answers.text`, `{premise} What was the {question}?`."""

from __future__ import annotations

import re
from typing import Any

import pyarrow as pa

from stilts.errors import UserError
from stilts.tasks.spec import TaskSpec

FIELD = re.compile(r"\{([\w.]+)\}")


def fields(template: str) -> list[str]:
    """Return the columns a template reads (with dots for members of a structure)."""
    return FIELD.findall(template) if "{" in template else [template]


def needed(spec: TaskSpec) -> dict[str, list[str]]:
    """Return what a task reads: our column -> the repository's columns, `label` of sentence pairs included.

    Nothing for a task whose columns were left out of a spec (fetching does not depend on them).
    """
    wanted = {name: fields(template) for name, template in spec.columns.items()}
    for number, template in enumerate(spec.choices):
        wanted[f"choices[{number}]"] = fields(template)
    if wanted and spec.kind == "pair_classification":
        wanted.setdefault("label", ["label"])
    return wanted


def check_columns(spec: TaskSpec, names: list[str], where: str) -> None:
    """Raise UserError when a table lacks a column that the task reads."""
    used = {field.split(".")[0]: ours for ours, columns in needed(spec).items() for field in columns}
    missing = sorted(set(used) - set(names))
    if missing:
        roles = ", ".join(f'"{name}" (read as {used[name]})' for name in missing)
        raise UserError(
            f"{where} has no column {roles}. It has: {', '.join(names)}. Has the data set changed? Name its "
            f"columns under `tasks: {spec.task}: columns` of the experiment, or pin a revision that has them."
        )


def values(table: pa.Table, template: str, where: str) -> list[Any]:
    """Return one value a row for a template.

    A bare column gives its values as they are. A template with braces gives text, stripped of outer blanks (an empty
    column leaves none behind); when one of its columns holds lists, it gives a list with one text an element.
    Raises UserError for a member that the column's structure does not have.
    """
    columns = {name: _column(table, name, where) for name in fields(template)}
    if "{" not in template:
        return columns[template]
    lists = [name for name, column in columns.items() if column and isinstance(column[0], list)]
    if len(lists) > 1:
        raise UserError(f"{where}: the template `{template}` reads several list columns: {', '.join(lists)}")
    rows = []
    for index in range(table.num_rows):
        row = {name: column[index] for name, column in columns.items()}
        if lists:
            rows.append([_fill(template, {**row, lists[0]: item}) for item in row[lists[0]] or []])
        else:
            rows.append(_fill(template, row))
    return rows


def _fill(template: str, row: dict[str, Any]) -> str:
    return FIELD.sub(lambda match: "" if row[match[1]] is None else str(row[match[1]]), template).strip()


def _column(table: pa.Table, path: str, where: str) -> list[Any]:
    name, *members = path.split(".")
    column = table.column(name).to_pylist()
    for member in members:
        column = [_member(value, member, path, where) for value in column]
    return column


def _member(value: Any, member: str, path: str, where: str) -> Any:
    # A sequence of structures is stored as a structure of lists by the hub, as a list of structures by other writers.
    if value is None:
        return None
    try:
        return [item[member] for item in value] if isinstance(value, list) else value[member]
    except (KeyError, TypeError):
        has = ", ".join(value) if isinstance(value, dict) else type(value).__name__
        raise UserError(f"{where} has no column {path} (inside: {has})") from None
