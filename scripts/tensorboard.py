"""Write the training curves of an experiment as TensorBoard event files, one folder a training run.

Usage: python -m scripts.tensorboard [--configfile experiments/paper.yaml] [--directory FOLDER] [--output FOLDER]
Then: tensorboard --logdir FOLDER (TensorBoard is no part of the environment). Without --output the folder is
results/exported/<experiment>/tensorboard, and an earlier one is replaced. Steps have no time of their own: they are
laid out evenly over the time that the job took.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stilts.compare.states import experiment_of
from stilts.errors import UserError
from stilts.pipe import quietly
from stilts.provenance.code import ROOT
from stilts.provenance.job import publish
from stilts.provenance.manifest import MANIFEST, RUN
from stilts.report.events import event_file
from stilts.results import result_folders

CURVES = ("loss", "dev", "norm", "rate")


def main(argv: list[str] | None = None) -> int:
    """Write the event files."""
    parser = argparse.ArgumentParser(prog="python -m scripts.tensorboard", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--configfile", type=Path, action="append", default=[], help="the experiment; none: config.yaml"
    )
    parser.add_argument("--directory", type=Path, default=Path(), help="folder that holds results/")
    parser.add_argument("--output", type=Path, help="folder to write; it must not be there yet")
    args = parser.parse_args(argv)
    try:
        experiment = experiment_of(args.configfile, ROOT)
        output = args.output or args.directory / "results/exported" / experiment / "tensorboard"
        if args.output and output.exists():
            raise UserError(f"{output} is there already: name another folder")
        count = write(args.directory / "results" / experiment / "models", output)
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{count} training runs written. To see them: tensorboard --logdir {output}")
    return 0


def write(models: Path, output: Path) -> int:
    """Write one event file for each history below `models`; return how many. Raises UserError where there is none."""
    part = output.with_name(output.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    found = [path for folder in result_folders(models) for path in sorted(folder.glob("history*.jsonl"))]
    if not found:
        raise UserError(f"no finished training below {models}: run the workflow first")
    for path in found:
        chain = path.stem.partition(".")[2]  # history.<task>.jsonl: what a target is tuned on first
        place = part / path.parent.relative_to(models) / chain / "events.out.tfevents.0.stilts"
        place.parent.mkdir(parents=True, exist_ok=True)
        end, seconds = (path.parent / MANIFEST).stat().st_mtime, _seconds(path.parent)
        rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        place.write_bytes(event_file(end - seconds, _points(rows, end, seconds)))
    publish(part, output)
    return len(found)


def _points(rows: list[dict[str, Any]], end: float, seconds: float) -> Iterator[tuple[float, int, dict[str, float]]]:
    several = len({row.get("task") for row in rows}) > 1
    for number, row in enumerate(rows, start=1):
        tags = {curve: f"{curve}/{row['task']}" if several and curve == "loss" else curve for curve in CURVES}
        values = {tag: row[curve] for curve, tag in tags.items() if curve in row}
        yield end - seconds * (1 - number / len(rows)), row["step"], values


def _seconds(folder: Path) -> float:
    return float(json.loads((folder / RUN).read_text(encoding="utf-8")).get("wall_seconds", 0.0))


if __name__ == "__main__":
    sys.exit(quietly(main))
