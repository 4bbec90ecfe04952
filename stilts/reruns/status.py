"""How far a study is, seen from beside it: which jobs are done, running, waiting, failed; scores; when it will end.

The plan is Snakemake's own and is made once. What happens after is read from the files that jobs write anyway: a
manifest of another date is a job that finished, a lock that is held is one that runs, its log says how far it is.
"""

from __future__ import annotations

import json
import statistics
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from stilts.errors import UserError
from stilts.metrics.table import Score, read_scores
from stilts.provenance.job import LOCK
from stilts.provenance.manifest import RUN
from stilts.report.grid import BASELINE, ZERO_SHOT, Arm, ScoreGrid
from stilts.reruns.lock import held
from stilts.reruns.logs import failure
from stilts.reruns.plan import plan_of
from stilts.reruns.stale import is_locked

DONE, RUNNING, WAITING, FAILED = STATES = ("done", "running", "waiting", "failed")


@dataclass(frozen=True)
class Job:
    """A job of the plan. stamp: date of its manifest where it must be made again, None where it is not there yet."""

    rule: str
    manifest: Path
    log: Path
    todo: bool
    stamp: int | None

    @property
    def folder(self) -> Path:
        """Where its result lies."""
        return self.manifest.parent

    @property
    def lock(self) -> Path:
        """What it holds a lock of while it runs."""
        return self.folder.with_name(self.folder.name + ".part") / LOCK


class Best(NamedTuple):
    """The best recipe of a target so far, by the mean of some seeds over the languages that are not trained on."""

    target: str
    arm: Arm
    score: float
    seeds: int
    baseline: float | None


@dataclass(frozen=True)
class Status:
    """A study at one moment. jobs: state -> jobs; left: seconds until it ends, None where nothing tells.

    unknown: rules of which no job has finished yet, so that their time is not in `left`.
    """

    jobs: Mapping[str, Sequence[Job]]
    best: Sequence[Best]
    controller: bool
    left: float | None
    unknown: Sequence[str]


class Watch:
    """A study that is looked at again and again. Raises UserError when it cannot be planned."""

    def __init__(self, configfiles: Sequence[Path], base: Path) -> None:
        """Plan it once. base: the folder that holds results/."""
        with plan_of(configfiles, base) as plan:
            self.root = base / plan.globals["ROOT"]
            self.rules = [rule.name for rule in plan.rules]
            planned = [job for job in plan.dag.jobs if job.output]
            todo = {job for job in planned if plan.dag.needrun(job)}
            tables = next((job.params.spec for job in planned if job.rule.name == "summarise"), None)
            found = [(j.rule.name, base / str(j.output[0]), base / str(j.log[0]), j in todo) for j in planned]
        self.base, self.grid = base, json.loads(tables) if tables else None
        self.jobs = [Job(*job, _stamp(job[1])) for job in found]
        self._scores: dict[Path, list[Score]] = {}

    def look(self) -> Status:
        """Return how far it is now."""
        jobs: dict[str, list[Job]] = {state: [] for state in STATES}
        for job in self.jobs:
            jobs[_state(job)].append(job)
        left, unknown = _left(jobs)
        return Status(jobs, self._best(jobs[DONE]), held(self.base / ".snakemake"), left, unknown)

    def _best(self, done: Iterable[Job]) -> list[Best]:
        """Return the best recipe of each target that has a score."""
        for job in done:
            if job.rule == "score" and job.manifest not in self._scores:
                self._scores[job.manifest] = _scores(job.folder)
        scores = [score for found in self._scores.values() for score in found]
        if not scores or self.grid is None:
            return []
        try:
            return list(_best(ScoreGrid(self.grid, scores)))
        except UserError:  # scores of other settings, which are about to be made again
            return []


def _best(grid: ScoreGrid) -> Iterable[Best]:
    for task in grid.tasks:
        means = {}
        for arm in grid.arms(grid.recipes, [task]):
            by_seed = grid.task_score(arm, task, ZERO_SHOT).by_seed
            if by_seed:
                means[arm] = (statistics.fmean(by_seed.values()), len(by_seed))
        if means:
            arm, (score, seeds) = max(means.items(), key=lambda item: item[1][0])
            yield Best(task.task, arm, score, seeds, means.get(arm._replace(recipe=BASELINE), (None,))[0])


def _scores(folder: Path) -> list[Score]:
    try:
        return read_scores(folder / "scores.csv")
    except (UserError, OSError):  # it is being replaced
        return []


def _state(job: Job) -> str:
    if not job.todo:
        return DONE
    if is_locked(job.lock):
        return RUNNING
    if _stamp(job.manifest) not in (None, job.stamp):
        return DONE
    return FAILED if failure(job.log) else WAITING


def _stamp(manifest: Path) -> int | None:
    try:
        return manifest.stat().st_mtime_ns
    except OSError:
        return None


def _left(jobs: Mapping[str, Sequence[Job]]) -> tuple[float | None, list[str]]:
    """Return the seconds until the end with as many jobs at once as run now, and the rules no finished job tells of."""
    took: dict[str, list[float]] = defaultdict(list)
    for job in jobs[DONE]:
        seconds = _seconds(job.folder / RUN)
        if seconds is not None:
            took[job.rule].append(seconds)
    mean = {rule: statistics.fmean(seconds) for rule, seconds in took.items()}
    waiting = sum(mean.get(job.rule, 0.0) for job in jobs[WAITING])
    running = [max(0.0, mean.get(job.rule, 0.0) - _age(job.lock)) for job in jobs[RUNNING]]
    unknown = sorted({job.rule for state in (RUNNING, WAITING) for job in jobs[state]} - mean.keys())
    if not mean:
        return None, unknown
    return max([(waiting + sum(running)) / max(1, len(running)), *running]), unknown


def _seconds(run: Path) -> float | None:
    try:
        facts: Any = json.loads(run.read_text(encoding="utf-8"))
        return None if facts.get("reused") else float(facts["wall_seconds"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0
