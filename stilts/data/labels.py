"""Raw label values to positions in the task's `labels`."""

from __future__ import annotations

import sys
from typing import Any

from stilts.errors import UserError
from stilts.tasks.spec import TaskSpec

UNLABELLED = (None, "", "-1")


def label_table(spec: TaskSpec, names: list[str], where: str) -> dict[str, int]:
    """Return raw label (as text) -> position in `spec.labels`.

    names: class names that the data set states for its integers. When the task's labels are among them the names
    decide, not the numbers. Raises UserError when they are others, in another number.
    """
    if spec.label_values:
        return {raw: spec.labels.index(name) for raw, name in spec.label_values.items()}
    positions = {name: number for number, name in enumerate(spec.labels)}
    if set(positions) <= set(names):
        return {**{str(number): positions[n] for number, n in enumerate(names) if n in positions}, **positions}
    if names and len(names) != len(spec.labels):
        raise UserError(f"{where}: the data set has the classes {names}, the task `{spec.task}` has {spec.labels}")
    return {**{str(number): number for number in range(len(spec.labels))}, **positions}


def read_labels(values: list[Any], table: dict[str, int], spec: TaskSpec, where: str) -> list[int | None]:
    """Return the position of each raw label, None where a row is unlabelled (-1, empty or null) or its label unknown.

    A few unknown labels are faults of the data (`few`): their values are printed. Raises UserError for more, which
    are a wrong mapping, and for unlabelled rows of a task without the quirk `drop_unlabelled`.
    """
    texts = [None if value is None else str(value).strip() for value in values]
    wrong = [text for text in texts if text not in UNLABELLED and text not in table]
    if wrong:
        unknown = sorted(set(wrong))
        say = f"{where} has labels that the task `{spec.task}` does not know: {', '.join(map(repr, unknown[:10]))}"
        if not few(len(wrong), len(texts)):
            raise UserError(
                f"{say} ({len(wrong)} of {len(texts)} rows). Known: {', '.join(map(repr, table))}. "
                f"Name them under `tasks: {spec.task}: label_values`."
            )
        print(f"{say}; {len(wrong)} of {len(texts)} rows are left out", file=sys.stderr)
    found = [None if text in UNLABELLED else table.get(text) for text in texts]
    unlabelled = sum(text in UNLABELLED for text in texts)
    if unlabelled and "drop_unlabelled" not in spec.quirks:
        raise UserError(f"{where} has {unlabelled} rows without a label; the quirk `drop_unlabelled` leaves them out")
    return found


def few(wrong: int, rows: int) -> bool:
    """Whether so few rows are wrong (1 in 100 at most) that the data have a fault; more mean another schema."""
    return 100 * wrong <= rows


def reasons(values: list[Any], labels: list[int | None]) -> dict[int, str]:
    """Return why each row without a position in `labels` is left out."""
    blank = {row for row, value in enumerate(values) if value is None or str(value).strip() in UNLABELLED}
    return {row: "unlabelled" if row in blank else "unknown_label" for row, at in enumerate(labels) if at is None}
