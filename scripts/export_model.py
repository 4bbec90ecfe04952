"""Write a model of an experiment as a plain Hugging Face folder with a model card.

Usage: python -m scripts.export_model RUN [--configfile experiments/paper.yaml] [--directory FOLDER] [--output FOLDER]
RUN is a model's folder, from the working directory or below the experiment's results:
models/target/mini/none/xquad/dfull/s1, models/intermediate/mini/mnli/s1. Without --output the folder lies in
results/exported/<experiment>/ and an earlier export of the same model is replaced.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from pathlib import Path

from stilts.compare.states import experiment_of
from stilts.errors import UserError
from stilts.metrics.table import Score, read_scores
from stilts.provenance.code import ROOT
from stilts.provenance.job import publish
from stilts.provenance.key import read_key
from stilts.provenance.manifest import MANIFEST, SPEC, read_manifest
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
    """Return the folder of a model, relative to the folder that holds results/."""
    folders = [run, root / run]
    for folder in folders:
        inside = (directory / folder / MANIFEST).is_file() and (directory / folder / "config.json").is_file()
        if inside and not folder.is_absolute() and folder.parts[0] == "results" and "models" in folder.parts:
            return folder
    raise UserError(f"{' and '.join(str(f) for f in dict.fromkeys(folders))}: no finished model of an experiment there")


def _place(folder: Path) -> Path:
    """Return <experiment>/<kind>-<backbone>-...: one folder a model."""
    at = folder.parts.index("models")
    return Path(folder.parts[at - 1], "-".join(folder.parts[at + 1 :]))


def write(folder: Path, directory: Path, output: Path) -> str:
    """Write a model and its card to a folder; return the transformers class it loads as."""
    from stilts.model.export import export

    source = directory / folder
    read_manifest(source / MANIFEST)
    spec = json.loads((source / SPEC).read_text(encoding="utf-8"))
    task = spec.get("task", {})
    kind, labels = task.get("kind", ""), task.get("labels", [])
    key = read_key(source)
    base = directory / key["inputs"]["base"][0][0] if key and key["inputs"].get("base") else None
    part = output.with_name(output.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    try:
        found = export(source, part, base, kind, labels, spec.get("settings", {}).get("pooling", "first"))
        text = card(folder, directory, kind, found.name, found.lost, _scores(folder, directory))
        (part / "README.md").write_text(text, encoding="utf-8")
        publish(part, output)
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return found.name


def _scores(folder: Path, directory: Path) -> list[Score]:
    """Return the experiment's scores of a tuned model; an encoder has none of its own."""
    at = folder.parts.index("models")
    path = directory.joinpath(*folder.parts[:at], "scores.csv")
    if folder.parts[at + 1] != "target" or not path.is_file():
        return []
    backbone, recipe, target, depth, seed = folder.parts[at + 2 :]
    arm = (backbone, recipe, target, seed)
    return [
        s
        for s in read_scores(path)
        if (s.backbone, s.recipe, s.target, f"s{s.seed}") == arm and s.budget_point.startswith(f"{depth}-")
    ]


if __name__ == "__main__":
    sys.exit(main())
