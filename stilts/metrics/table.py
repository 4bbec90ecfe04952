"""The scores file: its columns, how its rows are written, read and checked."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from stilts.errors import UserError

COLUMNS = (
    "experiment", "backbone", "recipe", "target", "protocol", "language",
    "budget_point", "seed", "metric", "value", "n", "higher_is_better",
)  # fmt: skip


class Score(NamedTuple):
    """One row of scores.csv; value in percent, NaN when the file says so."""

    experiment: str
    backbone: str
    recipe: str
    target: str
    protocol: str
    language: str
    budget_point: str
    seed: int
    metric: str
    value: float
    n: int
    higher_is_better: bool

    @property
    def key(self) -> tuple:
        """What may occur once in an experiment: everything but value, n and direction."""
        return self[:9]


def write_scores(path: Path, scores: Iterable[Score]) -> None:
    """Write rows sorted by key; values with six decimals, so that equal scores give equal bytes."""
    ordered = sorted(scores, key=lambda s: s.key)
    write_csv(path, COLUMNS, [[*s.key, f"{s.value:.6f}", s.n, str(s.higher_is_better).lower()] for s in ordered])


def write_csv(path: Path, columns: Iterable[str], rows: Iterable[Iterable]) -> None:
    """Write a CSV with `\\n` line ends and UTF-8 in every locale."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text.getvalue(), encoding="utf-8", newline="")


def read_scores(path: Path) -> list[Score]:
    """Return the rows of a scores file.

    Raises UserError naming the file and line when a column is missing or a cell is not of its type.
    """
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        header = next(reader, [])
        if tuple(header) != COLUMNS:
            raise UserError(f"{path}: its columns are not {', '.join(COLUMNS)} but {', '.join(header) or 'none'}")
        return [_parse(path, reader.line_num, cells) for cells in reader]


def _parse(path: Path, line: int, cells: list[str]) -> Score:
    try:
        texts, seed, metric, value, n, direction = cells[:7], *cells[7:]
        number = float(value) if value else math.nan
        score = Score(*texts, int(seed), metric, number, int(n), {"true": True, "false": False}[direction])
    except (ValueError, TypeError, KeyError):
        raise UserError(f"{path}, line {line}: not a score row: {','.join(cells)}") from None
    if math.isinf(score.value):
        raise UserError(f"{path}, line {line}: the value is infinite")
    return score
