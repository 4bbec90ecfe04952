"""The plan of a study from Snakemake's own graph: jobs, hours, disk, the longest chain, the time with some GPUs."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stilts.budget.flops import parameters
from stilts.errors import UserError
from stilts.plan.seconds import Rates, Run, corrections, finished, foretold, kind_of
from stilts.plan.work import GPU_RULES, Works, threads_of
from stilts.provenance.store import Store
from stilts.reruns.causes import key_of_plan

STATE = 12  # bytes a parameter of a checkpoint: weights and two moments, fp32
AT_ONCE = 3  # checkpoints a training run holds at worst: two kept, one being written


@dataclass(frozen=True)
class Step:
    """One job. seconds: on its device; todo: it will compute; after: numbers of the jobs it waits for."""

    rule: str
    name: str
    output: str
    seconds: float
    gpus: int
    todo: bool
    after: tuple[int, ...]
    disk: float


@dataclass(frozen=True)
class StudyPlan:
    """A planned study: its jobs in an order in which they can run, and its finished jobs with what was predicted."""

    root: str
    steps: Sequence[Step]
    runs: Sequence[Run]
    corrected: bool
    scratch: float  # bytes of checkpoints a running training job holds

    def chain(self) -> list[Step]:
        """Return the jobs to do that take longest one after the other."""
        best, before = [0.0] * len(self.steps), [-1] * len(self.steps)
        for k, step in enumerate(self.steps):
            before[k] = max(step.after, key=lambda j: best[j], default=-1)
            best[k] = (best[before[k]] if before[k] >= 0 else 0.0) + step.seconds * step.todo
        k = max(range(len(best)), key=best.__getitem__, default=-1)
        path = []
        while k >= 0:
            path.append(self.steps[k])
            k = before[k]
        return [step for step in reversed(path) if step.todo]

    def wall(self, gpus: int, cpus: int) -> float:
        """Return the seconds that the jobs take on so many devices at once, long chains first."""
        below: dict[int, list[int]] = defaultdict(list)
        for k, step in enumerate(self.steps):
            for j in step.after:
                below[j].append(k)
        rank = [0.0] * len(self.steps)
        for k in reversed(range(len(self.steps))):
            rank[k] = self.steps[k].seconds * self.steps[k].todo + max((rank[j] for j in below[k]), default=0.0)
        free, waits = {True: gpus, False: cpus}, [len(step.after) for step in self.steps]
        ready: dict[bool, list[tuple[float, int]]] = {True: [], False: []}
        running: list[tuple[float, int]] = []
        now = 0.0
        for k, count in enumerate(waits):
            if not count:
                heapq.heappush(ready[self.steps[k].gpus > 0], (-rank[k], k))
        while running or any(ready.values()):
            for kind in (True, False):
                while ready[kind] and free[kind] > 0:
                    _, k = heapq.heappop(ready[kind])
                    free[kind] -= 1
                    heapq.heappush(running, (now + self.steps[k].seconds * self.steps[k].todo, k))
            now, k = heapq.heappop(running)
            free[self.steps[k].gpus > 0] += 1
            for j in below[k]:
                waits[j] -= 1
                if not waits[j]:
                    heapq.heappush(ready[self.steps[j].gpus > 0], (-rank[j], j))
        return now

    def kept(self) -> float:
        """Return the bytes of all results."""
        return sum(step.disk for step in self.steps)

    def peak(self, jobs: int) -> float:
        """Return the bytes of all results and of the checkpoints of training jobs that run at once."""
        training = sum(step.todo and step.rule.startswith(("pretrain", "train_")) for step in self.steps)
        return self.kept() + min(jobs, training) * self.scratch


def plan_study(
    workflow: Any, folder: Path, rates: Rates, measured: Path | None = None, stated_only: bool = False
) -> StudyPlan:
    """Return the plan of a study that Snakemake has planned.

    folder: where its results/ lies. measured: results whose run.json correct the rates (None: the study's own).
    Raises UserError if nothing is there to correct by.
    """
    study, config = workflow.globals["STUDY"], workflow.globals["CONFIG"]
    works = Works(study, folder / study.root)

    def gpus_of(rule: str) -> int:
        return config.runtime.gpus if rule in GPU_RULES else 0

    def stated(rule: str, wildcards: dict[str, str], on_gpu: bool) -> float | None:
        try:
            work = works.of(rule, wildcards)
        except (KeyError, UserError, TypeError):  # an arm of another study
            return None
        # A CPU job of a GPU study leaves no doubt; a training job of another device says nothing of this one.
        return (
            None
            if on_gpu != bool(gpus_of(rule))
            else rates.stated(work, gpus_of(rule), threads_of(study, rule, wildcards))
        )

    def identify(path: str) -> tuple[str, dict[str, str]] | None:
        return _identified(workflow.rules, f"{study.root}/{path}/manifest.json")

    runs = finished(folder / study.root, identify, stated)
    known = finished(measured, identify, stated) if measured else runs
    if measured and not known:
        raise UserError(f"{measured} holds no finished job of this study's kind: name a folder below results/")
    rates.correct = {} if stated_only else corrections(known)
    if not stated_only:
        runs = [replace(r, predicted=rates.factor(r.kind) * r.predicted) for r in runs] if measured else foretold(runs)
    dag = workflow.dag
    store = Store(Path(config.store)) if config.store else None
    order = [rule.name for rule in workflow.rules]
    levels = [sorted(level, key=lambda job: (order.index(job.rule.name), str(job.output[0]))) for level in _levels(dag)]
    jobs = [job for level in levels for job in level]
    number = {job: k for k, job in enumerate(jobs)}
    steps = []
    for job in jobs:
        wildcards = dict(job.wildcards_dict)
        work, kind = works.of(job.rule.name, wildcards), kind_of(job.rule.name, wildcards)
        gpus = gpus_of(job.rule.name)
        seconds = rates.seconds(kind, work, gpus, threads_of(study, job.rule.name, wildcards))
        todo = dag.needrun(job) and not _held(store, job)
        after = tuple(number[other] for other in dag.dependencies[job] if other in number)
        steps.append(Step(*kind, str(job.output[0]), seconds, gpus, todo, after, work.disk))
    scratch = AT_ONCE * STATE * max(sum(parameters(works.shape(b)).values()) for b in study.grid.backbones)
    return StudyPlan(study.root, steps, runs, bool(rates.correct), scratch)


def _levels(dag: Any) -> Iterator[list[Any]]:
    """Yield the jobs that make something, what they need first."""
    for level in dag.toposorted(dag.jobs):
        yield [job for job in level if job.output]


def _identified(rules: Any, manifest: str) -> tuple[str, dict[str, str]] | None:
    for rule in rules:
        if rule.output:
            found = rule.output[0].match(manifest)
            if found:
                return rule.name, dict(found.groupdict())
    return None


def _held(store: Store | None, job: Any) -> bool:
    """Whether the store holds what a job would make, as far as its inputs are there."""
    if store is None or not hasattr(job.params, "spec") or not all(Path(f).is_file() for f in job.input):
        return False
    key = key_of_plan(job.rule.name, job.params.spec, job.params.code, job.params.versions, job.input)
    return key is not None and store.has(key)


def table(plan: StudyPlan) -> list[tuple[str, int, int, float, float, float]]:
    """Return (rule, jobs, jobs to do, GPU seconds, CPU seconds, bytes) of each rule, in the order of the pipeline."""
    rows: dict[str, list[float]] = defaultdict(lambda: [0, 0, 0.0, 0.0, 0.0])
    for step in plan.steps:
        row = rows[step.rule]
        row[0] += 1
        row[1] += step.todo
        row[2 if step.gpus else 3] += step.seconds * step.todo * max(step.gpus, 1)
        row[4] += step.disk
    return [(rule, int(r[0]), int(r[1]), *r[2:]) for rule, r in rows.items()]


def compared(runs: Sequence[Run]) -> list[tuple[str, int, float, float]]:
    """Return (rule, finished jobs, predicted seconds, actual seconds) of each rule."""
    count, predicted, actual = Counter(), Counter(), Counter()
    for run in runs:
        count[run.kind[0]] += 1
        predicted[run.kind[0]] += run.predicted
        actual[run.kind[0]] += run.actual
    return [(rule, count[rule], predicted[rule], actual[rule]) for rule in count]
