"""Published numbers as data: who reported what, where it was read, how certain it is (`published/*.yaml`)."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Literal, NamedTuple

import yaml
from pydantic import Field, ValidationError, model_validator

from stilts.config.messages import explain
from stilts.errors import UserError
from stilts.tasks.spec import Strict

FOLDER = Path(__file__).resolve().parents[2] / "published"
ALL_LANGUAGES = "all"
Certainty = Literal["verified", "computed"]


class Cells(Strict):
    """Values of one target under one protocol: the mean over its languages, or language by language."""

    target: str
    protocol: str
    metric: str
    value: float | None = Field(None, ge=0, le=100, description="Mean over the benchmark's languages, percent.")
    languages: dict[str, float] = Field(default_factory=dict, description="Language -> percent.")
    certainty: Certainty | None = Field(None, description="Where it differs from the entry's.")

    @model_validator(mode="after")
    def _one(self) -> Cells:
        if (self.value is None) == (not self.languages):
            raise ValueError(f"{self.target}@{self.protocol}: needs `value` or `languages`, not both")
        return self


class Entry(Strict):
    """What one source says of one system."""

    system: str
    source: str
    certainty: Certainty = Field(
        description="`verified`: read in the source; `computed`: from verified values. Nothing else may stand here."
    )
    scores: list[Cells]


class Published(NamedTuple):
    """One published value in percent; language `all` is the mean over the benchmark's languages."""

    system: str
    target: str
    protocol: str
    language: str
    metric: str
    value: float
    certainty: str
    source: str


@cache
def published(folder: Path = FOLDER) -> tuple[Published, ...]:
    """Return all published values; raises UserError naming the file that is faulty or says something twice."""
    rows: list[Published] = []
    for path in sorted(folder.glob("*.yaml")):
        try:
            entries = [Entry.model_validate(e) for e in yaml.safe_load(path.read_text(encoding="utf-8"))]
        except ValidationError as error:
            raise UserError(f"{path} is not valid:\n" + "\n".join(f"  {x}" for x in explain(error, Entry))) from None
        except (yaml.YAMLError, TypeError) as error:
            raise UserError(f"{path} must be a list of systems with their scores: {error}") from None
        rows += [row for entry in entries for row in _rows(entry)]
    keys = [row[:5] for row in rows]
    if double := [k for k in keys if keys.count(k) > 1]:
        raise UserError(f"{folder.name}/: said twice: {', '.join(double[0])}")
    return tuple(rows)


def _rows(entry: Entry) -> Iterable[Published]:
    for cells in entry.scores:
        by_language = cells.languages or {ALL_LANGUAGES: cells.value}
        for language, value in by_language.items():
            head = (entry.system, cells.target, cells.protocol, language, cells.metric)
            yield Published(*head, float(value), cells.certainty or entry.certainty, entry.source)
