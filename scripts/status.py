"""Say how far a study is while it runs: jobs by rule, what runs now, the best scores so far, the expected end.

Usage: python -m scripts.status [--configfile experiments/paper.yaml] [--directory FOLDER] [--watch] [--every SECONDS]
For a second terminal; it reads what jobs write anyway and changes nothing. --watch goes on until the run has ended: on
a terminal it draws the overview anew, elsewhere it prints a line whenever something changed.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from stilts.errors import UserError
from stilts.pipe import quietly
from stilts.reruns.logs import failure, last_line
from stilts.reruns.status import FAILED, RUNNING, STATES, WAITING, Job, Status, Watch

CLEAR = "\033[H\033[2J"
MOST = 12  # jobs of one kind that are named


def main(argv: list[str] | None = None) -> int:
    """Print the overview once, or until the run has ended."""
    parser = argparse.ArgumentParser(prog="python -m scripts.status", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--configfile", type=Path, action="append", default=[], help="the experiment; none: config.yaml"
    )
    parser.add_argument("--directory", type=Path, default=Path(), help="folder that holds results/")
    parser.add_argument("--watch", action="store_true", help="go on until the run has ended")
    parser.add_argument("--every", type=float, default=5.0, metavar="SECONDS", help="how often to look (with --watch)")
    args = parser.parse_args(argv)
    try:
        watch = Watch(args.configfile, args.directory)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    status, told = watch.look(), ""
    try:
        while args.watch and (status.controller or status.jobs[RUNNING]):
            if sys.stdout.isatty():
                print(CLEAR + overview(watch, status), flush=True)
            elif (line := summary(watch, status)) != told:
                print(told := line, flush=True)
            time.sleep(args.every)
            status = watch.look()
    except KeyboardInterrupt:
        return 0
    print((CLEAR if args.watch and sys.stdout.isatty() else "") + overview(watch, status))
    return 0


def summary(watch: Watch, status: Status) -> str:
    """Return the study in one line."""
    counts = ", ".join(f"{len(status.jobs[state])} {state}" for state in STATES if status.jobs[state])
    return f"{watch.root}: {counts} of {len(watch.jobs)} jobs; {_end(status)}"


def overview(watch: Watch, status: Status) -> str:
    """Return the study at one moment, as a person reads it."""
    lines = [summary(watch, status), "", f"{'rule':<20}" + "".join(f"{state:>9}" for state in STATES)]
    for rule in watch.rules:
        counts = [sum(job.rule == rule for job in status.jobs[state]) for state in STATES]
        if any(counts):
            lines.append(f"{rule:<20}" + "".join(f"{count or '':>9}" for count in counts))
    for state, say in ((RUNNING, last_line), (FAILED, failure)):
        lines += _named(watch, f"{state.capitalize()}:", status.jobs[state], say)
    if status.best:
        lines += [
            "",
            "Best recipe so far (mean over seeds and the languages that are not trained on; beside it `none`):",
        ]
        names = [" ".join((b.arm.recipe, b.arm.backbone, b.arm.budget_point)) for b in status.best]
        wide = max(map(len, names))
        for best, name in zip(status.best, names, strict=True):
            beside = f"{best.baseline:6.1f}" if best.baseline is not None else "     -"
            seeds = f"{best.seeds} seed{'s' * (best.seeds > 1)}"
            lines.append(f"  {best.target:<16} {best.score:6.1f} {beside}   {name:<{wide}}   {seeds}")
    return "\n".join(lines)


def _named(watch: Watch, title: str, jobs: list[Job], say) -> list[str]:
    if not jobs:
        return []
    lines = ["", title]
    for job in jobs[:MOST]:
        said = say(job.log)
        lines.append(f"  {job.rule} {job.folder.relative_to(watch.root)}{f'   {said}' if said else ''}")
    return lines + ([f"  ... and {len(jobs) - MOST} more"] if len(jobs) > MOST else [])


def _end(status: Status) -> str:
    if not status.jobs[RUNNING] and not status.jobs[WAITING]:
        return "some jobs failed" if status.jobs[FAILED] else "all done"
    if not (status.controller or status.jobs[RUNNING]):
        return "nothing runs now"
    if status.left is None:
        return "no end can be told yet"
    when = time.strftime("%H:%M", time.localtime(time.time() + status.left))
    more = f", more for {', '.join(status.unknown)}" if status.unknown else ""
    return f"about {_span(status.left)} left, until {when}{more}"


def _span(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{minutes // 60} h {minutes % 60:02d} min" if minutes >= 60 else f"{max(1, minutes)} min"


if __name__ == "__main__":
    sys.exit(quietly(main))
