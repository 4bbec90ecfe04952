"""The table of costs: its columns, how its rows are written, read and checked."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from stilts.errors import UserError
from stilts.metrics.table import write_csv

COLUMNS = (
    "experiment", "backbone", "target", "point", "layer", "language",
    "cost", "value", "unit", "spread", "n", "note",
)  # fmt: skip
MEAN = "mean"  # in the column `language`: the plain mean over the languages of the target


class Cost(NamedTuple):
    """One row. layer: hidden state read, of targets that are swept; empty language: a cost that depends on none.

    value: None where there is no measurement (the note says why); spread: half the range of repeated measurements.
    """

    experiment: str
    backbone: str
    target: str
    point: str
    layer: str
    language: str
    cost: str
    value: float | None
    unit: str
    spread: float | None = None
    n: int = 0
    note: str = ""


def write_costs(path: Path, costs: Iterable[Cost]) -> None:
    """Write rows in the order given. Raises UserError for a value that is no cost: NaN, infinite, zero or negative."""
    rows = []
    for c in costs:
        check(c.value, f"{c.cost} of {c.target} at {c.point} ({c.backbone}{', ' if c.language else ''}{c.language})")
        rows.append([*c[:7], _number(c.value), c.unit, _number(c.spread), c.n, c.note])
    write_csv(path, COLUMNS, rows)


def read_costs(path: Path) -> list[Cost]:
    """Return the rows of a file; raises UserError naming the line when a cell is not what it should be."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        if tuple(header := next(reader, [])) != COLUMNS:
            raise UserError(f"{path}: its columns are not {', '.join(COLUMNS)} but {', '.join(header) or 'none'}")
        return [_parse(path, reader.line_num, cells) for cells in reader]


def check(value: float | None, what: str) -> None:
    """Raise UserError where a measurement cannot be: a cost is a number above zero, or there is none."""
    if value is not None and not (math.isfinite(value) and value > 0):
        raise UserError(f"{what} is {value}: no cost can be. Nothing is averaged over it; measure again")


def _parse(path: Path, line: int, cells: list[str]) -> Cost:
    try:
        value, unit, spread, n, note = cells[7:]
        cost = Cost(*cells[:7], _read(value), unit, _read(spread), int(n), note)
    except (ValueError, TypeError):
        raise UserError(f"{path}, line {line}: not a row of costs: {','.join(cells)}") from None
    check(cost.value, f"{path}, line {line}: {cost.cost}")
    return cost


def _read(cell: str) -> float | None:
    return float(cell) if cell else None


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.10g}"
