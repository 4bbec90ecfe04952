"""Write a model of an experiment as a plain Hugging Face folder with a model card.

Usage: python -m scripts.export_model RUN [--configfile experiments/paper.yaml] [--directory FOLDER] [--output FOLDER]
RUN is a model's folder, from the working directory or below the experiment's results:
models/target/mini/none/xquad/dfull/s1, models/intermediate/mini/mnli/s1. Without --output the folder lies in
results/exported/<experiment>/ and an earlier export of the same model is replaced.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from pathlib import Path

from stilts.compare.states import experiment_of
from stilts.errors import UserError
from stilts.metrics.table import Score, read_scores
from stilts.provenance.code import ROOT
from stilts.provenance.job import publish
from stilts.provenance.key import read_key
from stilts.provenance.manifest import KEY, MANIFEST, read_manifest
from stilts.report.model_card import card


def main(argv: list[str] | None = None) -> int:
    """Export one model; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m scripts.export_model", description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, metavar="RUN", help="the model's folder")
    parser.add_argument(
        "--configfile", type=Path, action="append", default=[], help="the experiment; none: config.yaml"
    )
    parser.add_argument("--directory", type=Path, default=Path(), help="folder that holds results/")
    parser.add_argument("--output", type=Path, help="folder to write; it must not be there yet")
    args = parser.parse_args(argv)
    try:
        root = Path("results") / experiment_of(args.configfile, ROOT)
        folder = _find(args.run, root, args.directory)
        output = args.output or args.directory / "results/exported" / _place(folder)
        if args.output and output.exists():
            raise UserError(f"{output} is there already: name another folder")
        name = write(folder, args.directory, output)
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{output}: {name}, with a model card in README.md")
    return 0


def _find(run: Path, root: Path, directory: Path) -> Path:
    """Return the folder of a model, results/<experiment>/models/..., as seen from the folder that holds results/."""
    for folder in (run, root / run):
        path = Path(os.path.relpath(directory / folder, directory))
        there = all((directory / path / name).is_file() for name in (MANIFEST, "config.json"))
        if there and path.parts[::2][:2] == ("results", "models"):
            return path
    raise UserError(f"there is no finished model in {run}, nor in {root / run}")


def _place(folder: Path) -> Path:
    """Return <experiment>/<kind>-<backbone>-...: one folder a model."""
    _, experiment, _, *names = folder.parts
    return Path(experiment, "-".join(names))


def write(folder: Path, directory: Path, output: Path) -> str:
    """Write a model and its card to a folder; return the transformers class it loads as."""
    from stilts.model.export import export

    source = directory / folder
    read_manifest(source / MANIFEST)
    key = read_key(source)
    if key is None:
        raise UserError(f"{source / KEY} is missing or damaged: run the workflow again")
    spec, bases = key["spec"], key["inputs"].get("base", [])
    task, pooling = spec.get("task", {}), spec.get("settings", {}).get("pooling", "first")
    base = directory / bases[0][0] if bases else None
    part = output.with_name(output.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        found = export(source, part, base, task.get("kind", ""), task.get("labels", []), pooling)
        text = card(folder, directory, task.get("kind", ""), found.name, found.lost, _scores(folder, directory))
        (part / "README.md").write_text(text, encoding="utf-8")
        publish(part, output)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return found.name


def _scores(folder: Path, directory: Path) -> list[Score]:
    """Return the experiment's scores of a tuned model; an encoder has none of its own."""
    results, experiment, _, what, *names = folder.parts
    path = directory / results / experiment / "scores.csv"
    if what != "target" or not path.is_file():
        return []
    backbone, recipe, target, depth, seed = names
    arm = (backbone, recipe, target, seed)
    return [
        s
        for s in read_scores(path)
        if (s.backbone, s.recipe, s.target, f"s{s.seed}") == arm and s.budget_point.startswith(f"{depth}-")
    ]


if __name__ == "__main__":
    sys.exit(main())
