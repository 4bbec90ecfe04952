"""The plan in words: causes first, then what runs only because something above it runs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from stilts.reruns.causes import NOT_THERE, Planned

MOST = 8  # values of one wildcard, causes of one group, groups: more than a person reads is counted


def tell(jobs: Sequence[Planned], total: int) -> str:
    """Return the explanation of a plan. total: jobs of the whole study."""
    if not jobs:
        return f"Nothing will run: all {total} results are what the configuration and the code ask for."
    if len(jobs) == total and all(job.causes == (NOT_THERE,) for job in jobs):
        kept = sum(job.kept for job in jobs)
        return f"Nothing is there yet: {total} jobs will run." + f" The store holds {kept} of their results." * (
            kept > 0
        )
    groups: dict[tuple[str, ...], list[Planned]] = defaultdict(list)
    for job in jobs:
        groups[job.causes].append(job)
    followers = groups.pop((), [])
    lines = [f"What will run, and why ({len(jobs)} of {total} jobs):"]
    for causes, members in sorted(groups.items(), key=lambda g: NOT_THERE in g[0])[: 3 * MOST]:
        lines += ["", *(f"  {cause}" for cause in _some(causes, "more causes"))]
        lines += [f"    {line}" for line in _by_rule(members)]
    if len(groups) > 3 * MOST:
        lines += ["", f"  ... and {sum(map(len, list(groups.values())[3 * MOST :]))} jobs of other causes"]
    if followers:
        lines += ["", "  only because a job above them runs (a result with the same content is reused):"]
        lines += [f"    {', '.join(f'{rule} {len(found)}' for rule, found in _rules(followers).items())}"]
    kept = sum(job.kept for job in jobs)
    if kept:
        lines += ["", f"  {kept} of these results lie in the store already and will be reused."]
    return "\n".join(lines)


def _rules(jobs: Iterable[Planned]) -> dict[str, list[Planned]]:
    rules: dict[str, list[Planned]] = defaultdict(list)
    for job in jobs:
        rules[job.rule].append(job)
    return dict(rules)


def _by_rule(jobs: Sequence[Planned]) -> list[str]:
    """Return one line a rule: how many jobs, and the values of their wildcards."""
    lines = []
    for rule, members in _rules(jobs).items():
        names = {n: sorted({j.wildcards[n] for j in members if n in j.wildcards}) for n in members[0].wildcards}
        said = "; ".join(f"{name} {', '.join(_some(values, 'more'))}" for name, values in names.items())
        lines.append(f"{rule}, {len(members)} job{'s' * (len(members) > 1)}{f' ({said})' if said else ''}")
    return lines


def _some(values: Sequence[str], rest: str) -> list[str]:
    if len(values) <= MOST:
        return list(values)
    return [*values[: MOST - 1], f"... {len(values) - MOST + 1} {rest}"]


def size(count: float) -> str:
    """Return a number of bytes as people read it."""
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} GB"
