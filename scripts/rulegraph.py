"""Write the graph of the default experiment's rules, as Snakemake draws it, into README.md.

Usage: python -m scripts.rulegraph [--print]
The graph is Mermaid, which GitHub and GitLab draw without Graphviz; `snakemake --rulegraph dot` is for other tools.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile

from stilts.errors import UserError
from stilts.provenance.code import ROOT
from stilts.provenance.manifest import write_atomic

README = ROOT / "README.md"
BEGIN, END = "<!-- rule graph, written by `make rulegraph` -->\n", "<!-- end of the rule graph -->\n"


def main(argv: list[str] | None = None) -> int:
    """Draw the graph."""
    parser = argparse.ArgumentParser(prog="python -m scripts.rulegraph", description=__doc__.splitlines()[0])
    parser.add_argument("--print", action="store_true", help="print it, write nothing")
    args = parser.parse_args(argv)
    try:
        graph = rule_graph()
        if args.print:
            print(graph, end="")
        else:
            write_atomic(README, with_graph(README.read_text(encoding="utf-8"), graph))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def rule_graph() -> str:
    """Return the rules of the default experiment and what reads whose results, as a Mermaid flow chart."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--rulegraph", "mermaid-js"]
    with tempfile.TemporaryDirectory() as empty:
        done = subprocess.run([*command, "--directory", empty], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f"Snakemake cannot plan the default experiment:\n{done.stderr[-2000:]}")
    names = dict(re.findall(r"^\s*(id\d+)\[(\w+)\]$", done.stdout, re.MULTILINE))
    found = re.findall(r"^\s*(id\d+) --> (id\d+)$", done.stdout, re.MULTILINE)
    edges = sorted((names[a], names[b]) for a, b in found if names[b] != "all")
    return "\n".join(["```mermaid", "flowchart LR", *(f"  {a} --> {b}" for a, b in edges), "```", ""])


def with_graph(text: str, graph: str) -> str:
    """Return a page with the graph between its marks. Raises UserError where they are not there."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise UserError(f"{README.name} lacks the marks that the rule graph belongs between")
    return before + BEGIN + graph + END + after


if __name__ == "__main__":
    sys.exit(main())
