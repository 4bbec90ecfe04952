"""Bundle one run: settings, code list, lock, manifests, metrics and logs of it and of all jobs it came from.

Usage: python -m scripts.export_run RESULT [--configfile experiments/paper.yaml] [--directory FOLDER]
       [--output run.zip]
RESULT is the folder of a result, from the working directory or below the experiment's results:
scores/mini/none/xquad/dfull-lfull-fp32/s1, models/target/mini/none/xquad/dfull/s1. The bundle is a .zip, .tar or
.tar.gz, or a folder. Without --output it is a folder in results/exported/<experiment>/, and an earlier one is replaced.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from stilts.compare.states import experiment_of
from stilts.errors import UserError
from stilts.provenance.code import ROOT
from stilts.provenance.job import publish
from stilts.provenance.manifest import MANIFEST
from stilts.report.bundle import bundle

ARCHIVES = {".tar.gz": "gztar", ".zip": "zip", ".tar": "tar"}


def main(argv: list[str] | None = None) -> int:
    """Write the bundle of one run."""
    parser = argparse.ArgumentParser(prog="python -m scripts.export_run", description=__doc__.splitlines()[0])
    parser.add_argument("result", type=Path, metavar="RESULT", help="the folder of a result")
    parser.add_argument(
        "--configfile", type=Path, action="append", default=[], help="the experiment; none: config.yaml"
    )
    parser.add_argument("--directory", type=Path, default=Path(), help="folder that holds results/")
    parser.add_argument("--output", type=Path, help="folder, .zip, .tar or .tar.gz to write; it must not be there yet")
    args = parser.parse_args(argv)
    try:
        experiment = Path("results", experiment_of(args.configfile, ROOT))
        folder = next(
            (f for f in (args.result, experiment / args.result) if (args.directory / f / MANIFEST).is_file()), None
        )
        if folder is None or folder.is_absolute() or folder.parts[0] != "results":
            raise UserError(f"{args.result} and {experiment / args.result}: no finished result of an experiment there")
        name = "-".join(("run", *folder.parts[2:]))
        output = args.output or args.directory / "results/exported" / folder.parts[1] / name
        if args.output and output.exists():
            raise UserError(f"{output} is there already: choose another name")
        jobs = _write(folder, args.directory, output)
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{output}: {jobs} jobs")
    return 0


def _write(folder: Path, directory: Path, output: Path) -> int:
    """Write a bundle whole or not at all; return how many jobs it holds."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, suffix=".part") as scratch:
        end = next((end for end in ARCHIVES if output.name.endswith(end)), "")
        made = Path(scratch, output.name.removesuffix(end))
        made.mkdir()
        jobs = bundle(folder, directory, ROOT, made)
        if end:
            packed = shutil.make_archive(str(Path(scratch, "bundle")), ARCHIVES[end], scratch, made.name)
            Path(packed).replace(output)
        else:
            publish(made, output)
    return jobs


if __name__ == "__main__":
    sys.exit(main())
