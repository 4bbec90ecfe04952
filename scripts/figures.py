"""Draw the figures: Vega-Lite specifications, SVG, PNG and the plotted rows.

Usage: python -m scripts.figures --spec JSON --tables x/tables/manifest.json --curves x/curves/manifest.json
       --claims x/claims/manifest.json --costs x/costs/manifest.json --models results/x/models
       --output x/figures/manifest.json
Which histories below --models are read follows from the spec. Writes index.json and, of every figure,
<name>.json, .svg, .png and .csv (docs/report.md).
"""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from stilts.figures.draw import write_figures
from stilts.figures.gain_vs_training_cost import gain_vs_training_cost
from stilts.figures.heatmap import heatmap
from stilts.figures.pareto import pareto
from stilts.figures.per_language import per_language
from stilts.figures.retrieval_by_layer import retrieval_by_layer
from stilts.figures.score_at_budget import score_at_budget
from stilts.figures.source import Source
from stilts.figures.training_curves import training_curves
from stilts.provenance.job import run_job

FIGURES = (score_at_budget, heatmap, per_language, retrieval_by_layer, gain_vs_training_cost, pareto)


def work(spec: dict[str, Any], args: Namespace, folder: Path) -> dict[str, Any]:
    """Make every figure that the study has rows for."""
    source = Source(spec, args.tables.parent.parent)
    return write_figures(folder, [*(make(source) for make in FIGURES), training_curves(source, args.models)])


def histories(spec: dict[str, Any], args: Namespace) -> list[Path]:
    """Return the manifest of every model whose training is drawn."""
    return [args.models / model["place"] / "manifest.json" for model in spec["models"]]


if __name__ == "__main__":
    inputs = {"tables": "", "curves": "", "claims": "", "costs": "", "models": ""}
    sys.exit(run_job(work, inputs, reads=histories))
