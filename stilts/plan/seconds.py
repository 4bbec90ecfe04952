"""How long a job takes: its work over a rate, corrected by what finished jobs of its kind took."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from stilts.plan.work import Work

# Stated rates, FLOP/s: a quarter of the bf16 peak of an H100 (not measured here); one CPU core in fp32, where the mini
# study's training was measured at 3.6e10 to 4.9e10: a low rate, for time limits follow from it.
GPU_RATE, CPU_RATE = 2.5e14, 3e10
GPU_START, CPU_START = 20.0, 0.2  # seconds before the first step: imports, weights, first kernels
ROWS = 20000  # rows of a table a second
NAMES = ("target", "recipe", "task", "backbone")  # what tells the jobs of one rule apart, the first that they have
HANDFUL = 0.5  # seconds below which a job's time is noise: it does not correct others

Kind = tuple[str, str]
Row = tuple[int, float, float]  # of some runs: how many, seconds predicted, seconds taken


@dataclass
class Rates:
    """FLOP/s of a GPU and of a CPU thread; correct: the factor of finished jobs by (rule, name) and by (rule, "")."""

    gpu: float = GPU_RATE
    cpu: float = CPU_RATE
    correct: Mapping[Kind, float] = field(default_factory=dict)

    def stated(self, work: Work, gpus: int, threads: int) -> float:
        """Return the seconds of a job without correction."""
        start, rate = (GPU_START, self.gpu * gpus) if gpus else (CPU_START, self.cpu * threads)
        return start + work.flops / rate + work.items / ROWS

    def factor(self, kind: Kind) -> float:
        """Return how many times longer than stated such a job takes, as far as finished jobs tell."""
        return self.correct.get(kind) or self.correct.get((kind[0], "")) or self.correct.get(("", ""), 1.0)

    def seconds(self, kind: Kind, work: Work, gpus: int = 0, threads: int = 1) -> float:
        """Return the seconds a job takes."""
        return self.factor(kind) * self.stated(work, gpus, threads)


@dataclass(frozen=True)
class Run:
    """A finished job: what was predicted of it and what it took, seconds on its device."""

    kind: Kind
    predicted: float
    actual: float


def kind_of(rule: str, wildcards: Mapping[str, str]) -> Kind:
    """Return what jobs of about equal length share."""
    return rule, next((wildcards[name] for name in NAMES if name in wildcards), "")


def finished(
    root: Path, identify: Callable[[str], tuple[str, dict[str, str]] | None], stated: Callable[..., float | None]
) -> list[Run]:
    """Return the finished jobs below a folder of results.

    identify(path below root of a result): its rule and wildcards, or None; stated(rule, wildcards, on_gpu): the seconds
    predicted of it, or None where it is none of this study's or was made on another kind of device.
    """
    runs = []
    for path in sorted(root.rglob("run.json")):
        job = identify(path.parent.relative_to(root).as_posix())
        try:
            facts = json.loads(path.read_text(encoding="utf-8"))
            on_gpu = facts["device"] != "cpu"
            actual = facts["wall_seconds"] if on_gpu else facts["cpu_seconds"] / facts.get("processes", 1)
        except (OSError, ValueError, KeyError):
            continue
        predicted = stated(*job, on_gpu) if job else None
        if predicted is not None:
            runs.append(Run(kind_of(*job), predicted, actual))
    return runs


def corrections(runs: Iterable[Run]) -> dict[Kind, float]:
    """Return (rule, name) -> actual / predicted seconds of its finished jobs; (rule, "") for the rule's other jobs."""
    return _ratios(_sums(runs))


def foretold(runs: Sequence[Run]) -> list[Run]:
    """Return finished jobs as the others among them predict each: its own time would always predict it well."""
    sums, told = _sums(runs), []
    for run in runs:
        own = {kind: tuple(s - r for s, r in zip(sums[kind], _row(run), strict=True)) for kind in _kinds(run)}
        factor = Rates(correct=_ratios({**sums, **own})).factor(run.kind)
        told.append(Run(run.kind, factor * run.predicted, run.actual))
    return told


def _sums(runs: Iterable[Run]) -> dict[Kind, Row]:
    sums: dict[Kind, Row] = defaultdict(lambda: (0, 0.0, 0.0))
    for run in runs:
        for kind in _kinds(run):
            sums[kind] = tuple(s + r for s, r in zip(sums[kind], _row(run), strict=True))
    return sums


def _kinds(run: Run) -> set[Kind]:
    """Return what a run corrects; of unknown rules, only the long jobs say how fast the machine is."""
    return {run.kind, (run.kind[0], ""), *([("", "")] if run.actual > HANDFUL else [])}


def _row(run: Run) -> Row:
    return 1, run.predicted, run.actual


def _ratios(sums: Mapping[Kind, Row]) -> dict[Kind, float]:
    return {kind: actual / predicted for kind, (count, predicted, actual) in sums.items() if count and predicted > 0}
