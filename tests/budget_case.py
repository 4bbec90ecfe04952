"""A made-up experiment for the tests of curves and claims: runs by formula, costs by hand."""

from __future__ import annotations

from stilts.budget.results import Experiment, Key, Run

LANGUAGES = ["qaa", "qab", "qac"]
KINDS = {"pawsx": "pair_classification", "xquad": "span_extraction", "tatoeba": "bitext_retrieval"}
POINTS = ["dfull-lfull-fp32", "d2-lfull-fp32", "dfull-l32-fp32"]
COSTS = dict(zip(POINTS, (100.0, 50.0, 80.0), strict=True))
HOW = {
    "axis": "flops", "scale": "share", "budgets": [0.5, 1.0], "window": [0.5, 1.0],
    "examples": "random", "languages": "fixed", "alpha": 0.05, "margin": 1.0,
}  # fmt: skip


def spec(**more):
    targets = [
        {"task": t, "kind": k, "variant": "", "languages": LANGUAGES[1:] if t == "tatoeba" else LANGUAGES}
        for t, k in KINDS.items()
    ]
    return {
        "experiment": "x", "source_language": "qaa", "backbones": ["mini"], "targets": targets,
        "recipes": ["none", "mnli", "multi"], "seeds": [1, 2, 3], "retrieval_layer": 2, "retrieval_pooling": "mean",
        "budget_points": {t: POINTS[:1] if t == "tatoeba" else POINTS for t in KINDS}, "budget": HOW, **more,
    }  # fmt: skip


def run(value, dev, wobble=0.0, languages=LANGUAGES):
    """A run whose languages score `value`, whose blocks lie evenly around that, `wobble` apart."""
    blocks = [value + wobble * (k - 9.5) for k in range(20)]
    return Run(dict.fromkeys(languages, value), dict.fromkeys(languages, blocks), dict.fromkeys(languages, 50), dev)


def runs(score, dev=lambda key: 50.0, made=None, wobble=0.0):
    """Return every run of a spec. score, dev: functions of the key."""
    made = made or spec()
    found = {}
    for target in made["targets"]:
        for point in made["budget_points"][target["task"]]:
            for recipe in made["recipes"]:
                for seed in made["seeds"]:
                    key = Key("mini", point, recipe, target["task"], seed)
                    judged = None if target["task"] == "tatoeba" else dev(key)
                    found[key] = run(score(key), judged, wobble, target["languages"])
    return found


def costs(**change):
    return {("mini", p, t): v for p, v in (COSTS | change).items() for t in KINDS}


def experiment(score, dev=lambda key: 50.0, changed=None, prices=None, **more):
    made = spec(**more)
    return Experiment(made, runs(score, dev, made) | (changed or {}), prices or costs())
