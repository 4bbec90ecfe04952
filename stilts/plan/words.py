"""A study's plan in words and as JSON."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from stilts.plan.seconds import Rates
from stilts.plan.study import Step, StudyPlan, compared, table
from stilts.reruns.words import size


def tell(plan: StudyPlan, rates: Rates, gpus: int, cpus: int) -> str:
    """Return the plan as a person reads it."""
    todo = sum(step.todo for step in plan.steps)
    lines = [f"{plan.root}: {len(plan.steps)} jobs, {len(plan.steps) - todo} of them done or kept in the store.", ""]
    lines += [f"{'rule':<20}{'jobs':>7}{'to do':>7}{'GPU time':>11}{'CPU time':>11}{'disk':>10}"]
    rows = table(plan)
    sums = ("total", *(sum(row[k] for row in rows) for k in range(1, 6)))
    for rule, jobs, left, gpu, cpu, disk in [*rows, sums]:
        lines.append(f"{rule:<20}{jobs:>7}{left:>7}{_time(gpu):>11}{_time(cpu):>11}{size(int(disk)):>10}")
    on_gpu = any(step.gpus for step in plan.steps)
    lines += ["", f"Expected wall time without waiting in queues{'' if on_gpu else ' (no job asks for a GPU)'}:"]
    for count in _counts(gpus if on_gpu else cpus):
        devices = (count, cpus) if on_gpu else (1, count)
        lines.append(
            f"  {count:>3} {'GPU' if on_gpu else 'CPU job'}{'s' * (count > 1)} at once: {_time(plan.wall(*devices))}"
        )
    chain = plan.chain()
    lines += ["", f"Longest chain ({_time(sum(s.seconds for s in chain))}): {_path(chain)}"]
    jobs = gpus if on_gpu else cpus
    lines += [f"Disk: {size(int(plan.kept()))} kept, {size(int(plan.peak(jobs)))} at peak with {jobs} jobs at once."]
    if plan.corrected:
        lines += ["Times are corrected by finished jobs."]
    else:
        rate = f"{rates.gpu / 1e12:.0f} TFLOP/s a GPU" if on_gpu else f"{rates.cpu / 1e9:.0f} GFLOP/s a CPU thread"
        lines += [f"Times are the work over a stated rate ({rate}), measured on no job of this study yet."]
    if plan.runs:
        lines += ["", f"{'finished jobs':<20}{'jobs':>7}{'predicted':>11}{'actual':>11}{'ratio':>8}"]
        rows = compared(plan.runs)
        for rule, jobs, predicted, actual in [*rows, ("total", *(sum(r[k] for r in rows) for k in (1, 2, 3)))]:
            ratio = f"{predicted / actual:.2f}" if actual else ""
            lines.append(f"{rule:<20}{jobs:>7}{_time(predicted):>11}{_time(actual):>11}{ratio:>8}")
    return "\n".join(lines)


def as_json(plan: StudyPlan, rates: Rates, gpus: int, cpus: int) -> dict[str, Any]:
    """Return the same as plain data; times in seconds, sizes in bytes."""
    names = ("rule", "jobs", "todo", "gpu_seconds", "cpu_seconds", "disk_bytes")
    return {
        "root": plan.root,
        "rules": [dict(zip(names, row, strict=True)) for row in table(plan)],
        "wall_seconds": {str(n): plan.wall(n, cpus) for n in _counts(gpus)},
        "chain": [{"rule": s.rule, "output": s.output, "seconds": s.seconds} for s in plan.chain()],
        "disk_kept": plan.kept(),
        "disk_peak": plan.peak(gpus),
        "corrected": plan.corrected,
        "finished": [
            dict(zip(("rule", "jobs", "predicted", "actual"), row, strict=True)) for row in compared(plan.runs)
        ],
    }


def _counts(most: int) -> list[int]:
    """Return 1, 4, 16, ... and the most devices asked for."""
    return sorted({most, *(n for n in (1, 4, 16, 64) if n < most)})


def _path(chain: list[Step]) -> str:
    """Return a chain in short: rules with names, repeated rules once."""
    parts = [f"{rule} {name}".strip() for (rule, name), _ in groupby((s.rule, s.name) for s in chain)]
    return " > ".join(parts)


def _time(seconds: float) -> str:
    if seconds >= 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.1f} min" if seconds >= 60 else f"{seconds:.1f} s"
