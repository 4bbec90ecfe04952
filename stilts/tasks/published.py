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
from stilts.tasks.benchmarks import BETWEEN, TOTAL, benchmarks
from stilts.tasks.spec import Group, Strict

FOLDER = Path(__file__).resolve().parents[2] / "published"
ALL_LANGUAGES = "all"
Certainty = Literal["verified", "computed"]


class Cells(Strict):
    """Values of one target under one protocol: the mean over its languages, or language by language. Or one mean over
    the tasks of a benchmark, or of some of its groups.
    """

    target: str = ""
    protocol: str = ""
    metric: str = ""
    benchmark: str = Field("", description="Instead of a target: a name in `tasks/benchmarks/`.")
    groups: list[Group] = Field(default_factory=list, description="Of a benchmark: its groups; none: all of it.")
    over: Literal["tasks", "groups"] = Field(
        "tasks", description="Of a benchmark: whether tasks count alike, or groups of tasks."
    )
    value: float | None = Field(None, ge=0, le=100, description="Mean over the benchmark's languages, percent.")
    languages: dict[str, float] = Field(default_factory=dict, description="Language -> percent.")
    certainty: Certainty | None = Field(None, description="Where it differs from the entry's.")

    @model_validator(mode="after")
    def _one(self) -> Cells:
        if [bool(name) for name in (self.target, self.protocol, self.metric)] != [not self.benchmark] * 3:
            raise ValueError("needs `target`, `protocol` and `metric`, or `benchmark` instead of the three")
        if (self.value is None) == (not self.languages) or (self.benchmark and self.languages):
            where = self.benchmark or f"{self.target}@{self.protocol}"
            raise ValueError(f"{where}: needs `value` or `languages`, not both; a benchmark `value`")
        return self

    @property
    def place(self) -> tuple[str, str, str]:
        """Target, protocol and metric; of a benchmark its name, its groups, and what is averaged."""
        if not self.benchmark:
            return self.target, self.protocol, self.metric
        return self.benchmark, BETWEEN.join(self.groups) or TOTAL, f"mean over {self.over}"


class Entry(Strict):
    """What one source says of one system."""

    system: str
    source: str
    certainty: Certainty = Field(
        description="`verified`: read in the source; `computed`: from verified values. Nothing else may stand here."
    )
    scores: list[Cells]


class Published(NamedTuple):
    """One published value in percent; language `all` is the mean over the benchmark's languages.

    A mean over tasks has a benchmark for its target, groups for its protocol, `mean over tasks|groups` for its metric.
    """

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
            target, protocol, metric = cells.place
            head = (entry.system, target, protocol, language, metric)
            yield Published(*head, float(value), cells.certainty or entry.certainty, entry.source)


def averaged(row: Published) -> set[str]:
    """Return the tasks that a value is about: its target, or the members of its benchmark's groups."""
    for benchmark in benchmarks():
        if benchmark.benchmark == row.target:
            groups = row.protocol.split(BETWEEN)
            return {m.task for m in benchmark.members if row.protocol == TOTAL or m.group in groups}
    return {row.target}
