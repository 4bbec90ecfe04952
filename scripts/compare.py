"""Compare the scores and settings of two states of a study.

Usage: python -m scripts.compare [A [B]] [--configfile experiments/paper.yaml] [--directory FOLDER] [--languages]
       [--all] [--markdown FILE] [--json FILE]
A state is an experiment (its current results), a kept run (name, id or the beginning of one), a folder with a
scores.csv, or a git revision that a kept run was made from. B is `now` unless given, A the last kept run that differs.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from stilts.compare.difference import compare_scores
from stilts.compare.runs import NOW
from stilts.compare.settings import changes
from stilts.compare.show import as_data, as_markdown, as_text
from stilts.compare.states import State, experiment_of, find_state, last_other, of_run
from stilts.errors import UserError
from stilts.pipe import quietly
from stilts.provenance.code import ROOT
from stilts.provenance.manifest import dump_json, write_atomic


def main(argv: list[str] | None = None) -> int:
    """Print the comparison, and write it where asked for."""
    args = _parser().parse_args(argv)
    try:
        a, b = _states(args)
        found = compare_scores(a.scores, b.scores, args.languages, b.grid or a.grid)
        settings = changes(dict(a.settings), dict(b.settings)) if a.settings and b.settings else []
        if args.markdown:
            write_atomic(args.markdown, as_markdown(a, b, found, settings, args.all))
        if args.json:
            write_atomic(args.json, dump_json(as_data(a, b, found, settings)))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(as_text(a, b, found, settings, args.all))
    return 0


def _states(args: argparse.Namespace) -> tuple[State, State]:
    results, experiment = args.directory / "results", experiment_of(args.configfile, ROOT)
    b = find_state(args.b or NOW, results, experiment, ROOT)
    if args.a:
        return find_state(args.a, results, experiment, ROOT), b
    return of_run(last_other(results, experiment, b.digest)), b


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scripts.compare", description=__doc__.splitlines()[0])
    parser.add_argument("a", nargs="?", default="", help="a state; none: the last kept run whose scores are not B's")
    parser.add_argument("b", nargs="?", default=NOW, help="a state; none: the current results")
    parser.add_argument(
        "--configfile", type=Path, action="append", default=[], help="the experiment; none: config.yaml"
    )
    parser.add_argument("--directory", type=Path, default=Path(), help="folder that holds results/")
    parser.add_argument("--languages", action="store_true", help="every language by itself")
    parser.add_argument("--all", action="store_true", help="unchanged scores and long lists as well")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write it as Markdown too")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every row as JSON too")
    return parser


if __name__ == "__main__":
    sys.exit(quietly(main))
