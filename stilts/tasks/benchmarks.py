"""Benchmarks as data: which tasks and languages enter an official mean (`tasks/benchmarks/*.yaml`)."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yaml
from pydantic import Field, model_validator

from stilts.tasks.spec import Group, Strict

TOTAL, BETWEEN = "total", " + "  # all groups of a benchmark; between the names of several
# Kinds that a submission has files for (stilts/report/submission.py).
EXPORTED = ("pair_classification", "multiple_choice", "token_tagging", "span_extraction")
EXPORTED += ("bitext_retrieval", "bitext_mining", "entity_retrieval")
FOLDER = Path(__file__).resolve().parents[2] / "tasks" / "benchmarks"


class Member(Strict):
    """One task of a benchmark."""

    task: str = Field(description="Our name of the task.")
    name: str = Field(description="Its folder in a submission.")
    group: Group
    languages: list[str] = Field(description="Languages of the official mean.")


class Benchmark(Strict):
    """One benchmark: its mean is the plain mean over its members."""

    benchmark: str
    title: str
    source: str = Field(description="Where members and languages are defined.")
    members: list[Member]

    @model_validator(mode="after")
    def _once(self) -> Benchmark:
        for names in ([m.task for m in self.members], [m.name for m in self.members]):
            if len(set(names)) < len(names):
                raise ValueError(f"{self.benchmark}: a member is named twice")
        return self


@cache
def benchmarks() -> tuple[Benchmark, ...]:
    """Return all benchmarks, by name."""
    files = sorted(FOLDER.glob("*.yaml"))
    return tuple(Benchmark.model_validate(yaml.safe_load(p.read_text(encoding="utf-8"))) for p in files)


def benchmark_of(name: str) -> Benchmark:
    """Return one benchmark by name."""
    return next(b for b in benchmarks() if b.benchmark == name)
