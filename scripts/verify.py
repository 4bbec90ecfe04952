"""Check that finished results are what they say they are; optionally make one again and compare bytes.

Usage: python -m scripts.verify [--configfile experiments/paper.yaml] [--directory FOLDER]
       [--rerun [RULE or OUTPUT]] [--seed N]
       python -m scripts.verify --store [FOLDER]
Exit status 1: something does not match.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
from itertools import groupby
from pathlib import Path

from stilts.compare.states import experiment_of, store_of
from stilts.errors import UserError
from stilts.pipe import quietly
from stilts.provenance.code import ROOT
from stilts.reruns.again import choose, run_again
from stilts.reruns.plan import Asked, asked_of
from stilts.reruns.stale import TARGETS
from stilts.reruns.verify import KINDS, Verdict, verify_store, verify_study
from stilts.reruns.words import size

STORED = "The next job that asks for it sets it aside and computes again; or delete the entry's folder."
MOST = 20  # findings of one kind that are named


def main(argv: list[str] | None = None) -> int:
    """Check, say what was found; 1 where something does not match."""
    args = _parser().parse_args(argv)
    try:
        if args.store is not None:
            store = store_of(Path(args.store) if args.store else None, args.configfile, ROOT, args.directory)
            return _tell(verify_store(store), store.root, "entries")
        root = args.directory / "results" / experiment_of(args.configfile, ROOT)
        if args.rerun is not None:
            return _rerun(root, args)
        return _tell(verify_study(root, args.directory, _asked(args)), root, "results")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


def _asked(args: argparse.Namespace) -> dict[Path, Asked]:
    """Return what results are asked to be now; nothing where that cannot be planned: hashes and keys can be checked."""
    try:
        return asked_of(args.configfile, args.directory, TARGETS)
    except UserError as error:
        print(f"note: not compared with the configuration, which cannot be planned: {error}", file=sys.stderr)
        return {}


def _tell(verdict: Verdict, root: Path, what: str) -> int:
    print(f"{root}: {verdict.results} {what}, {verdict.files} files ({size(verdict.bytes)}) hashed.")
    order = list(KINDS)
    for kind, group in groupby(sorted(verdict.findings, key=lambda f: (order.index(f.kind), f)), lambda f: f.kind):
        findings, (title, todo, fault) = list(group), KINDS[kind]
        print(f"\n{'' if fault else 'note: '}{len(findings)} {title}:")
        for found in findings[:MOST]:
            print(f"  {found.path}{f': {found.what}' if found.what else ''}")
        if len(findings) > MOST:
            print(f"  ... and {len(findings) - MOST} more")
        print(f"  {STORED if what == 'entries' and fault else todo}")
    if verdict.holds:
        print("Everything matches." if not verdict.findings else "\nEverything else matches.")
    return 0 if verdict.holds else 1


def _rerun(root: Path, args: argparse.Namespace) -> int:
    seed = secrets.randbelow(10**6) if args.seed is None else args.seed
    job, many = choose(root, args.directory, args.rerun, seed)
    print(f"Again: {job.key['rule']}, {job.folder} (1 of {many} that can run again, --seed {seed})", flush=True)
    with tempfile.TemporaryDirectory(prefix="stilts-verify-") as place:
        outcome = run_again(job, Path(place))
    if not outcome.differing:
        print(f"The same bytes, after {outcome.seconds:.1f} s.")
        return 0
    print(f"Not the same, after {outcome.seconds:.1f} s:")
    print(*(f"  {line}" for line in outcome.differing), sep="\n")
    if outcome.machine:
        print("It ran on another machine or with other versions, which may round otherwise:")
        print(*(f"  {line}" for line in outcome.machine), sep="\n")
    else:
        print(
            "Same machine, same versions: a file was changed by hand (`make verify`), or the job is not deterministic."
        )
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scripts.verify", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--configfile", type=Path, action="append", default=[], help="the experiment; none: config.yaml"
    )
    parser.add_argument("--directory", type=Path, default=Path(), help="folder that holds results/")
    parser.add_argument(
        "--rerun", nargs="?", const="", metavar="RULE|OUTPUT", help="make one result again: any cheap one, or this"
    )
    parser.add_argument("--seed", type=int, help="which one: the same seed draws the same")
    parser.add_argument(
        "--store", nargs="?", const="", metavar="FOLDER", help="check a store instead: this, the experiment's"
    )
    return parser


if __name__ == "__main__":
    sys.exit(quietly(main))
