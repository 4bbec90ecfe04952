"""Measure how often the intervals of the claims miss the truth, by simulation, and print it as Markdown.

Usage: python -m scripts.error_rates [--runs 10000] [--languages 4]
Takes about two minutes with the defaults. The naive bootstrap over seeds and examples stands beside.
"""

from __future__ import annotations

import argparse
import sys

import numpy as np

from stilts.stats.simulation import EXAMPLES, LANGUAGE, SEED, Components, bootstrap_miss_rate, draw, miss_rate

SEEDS = (2, 3, 4, 5, 6, 8, 10)
CASES = {
    "seeds alone": Components(examples=0, crossed=0),
    "seeds far above examples": Components(examples=0.2, crossed=0.1),
    "examples as seeds": Components(),
    "examples far above seeds": Components(examples=4),
    "hardly by seeds": Components(seed=0.1),
    "languages differ": Components(language=1.0),
    "languages differ far more": Components(language=4.0),
    "a tenth of the runs fail": Components(collapse=0.1),
}
ALLOWED = {
    "these examples, these languages": (SEED,),
    "other examples, these languages": (SEED, EXAMPLES),
    "other examples, other languages": (SEED, LANGUAGE, EXAMPLES),
}


def main(argv: list[str] | None = None) -> int:
    """Print one table for each thing a claim can be meant for, and one for the bootstrap."""
    parser = argparse.ArgumentParser(prog="python -m scripts.error_rates", description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=10000, help="simulated studies in each cell")
    parser.add_argument("--languages", type=int, default=4, help="languages of a simulated study")
    args = parser.parse_args(argv)
    rng = np.random.default_rng(1)
    for name, random in ALLOWED.items():
        print(_head(f"Claims for {name}"))
        for case, how in CASES.items():
            studies = (draw(rng, how, args.runs, n, args.languages, random) for n in SEEDS)
            print(_line(case, [miss_rate(found, random) for found in studies]))
    print(_head("Naive bootstrap over seeds and examples, these languages"))
    for case, how in CASES.items():
        studies = (draw(rng, how, min(args.runs, 2000), n, args.languages, (SEED, EXAMPLES)) for n in SEEDS)
        print(_line(case, [bootstrap_miss_rate(rng, found) for found in studies]))
    return 0


def _head(title: str) -> str:
    columns = "| what varies | " + " | ".join(f"{n} seeds" for n in SEEDS) + " |"
    return f"\n**{title}**: share of intervals that miss, in percent\n\n{columns}\n" + "|---" * (len(SEEDS) + 1) + "|"


def _line(case: str, rates: list[float]) -> str:
    return f"| {case} | " + " | ".join(f"{100 * r:.1f}" for r in rates) + " |"


if __name__ == "__main__":
    sys.exit(main())
