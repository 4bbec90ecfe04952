"""Results as pandas frames: `load("results/mini").scores`. Columns and their types: docs/results.md, "In Python"."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stilts.errors import UserError, did_you_mean
from stilts.provenance.key import read_key
from stilts.provenance.manifest import MANIFEST, RUN

if TYPE_CHECKING:
    import pandas as pd

# What columns hold; every other column is a number. One name means one thing in all files, but for MIXED.
TEXT = {
    *("experiment", "backbone", "recipe", "target", "protocol", "language", "budget_point", "metric", "role", "group"),
    *(
        "average",
        "name",
        "scope",
        "targets",
        "tasks",
        "control",
        "counts",
        "pooling",
        "problem",
        "missing",
        "benchmark",
    ),
    *(
        "chosen_on",
        "system",
        "certainty",
        "source",
        "point",
        "cost",
        "unit",
        "note",
        "phase",
        "depth",
        "device",
        "drawn",
    ),
    *("id", "claim", "verdict", "reason", "place", "rule", "task", "key", "torch"),
}
WHOLE = {
    *("seed", "seeds", "seeds_above", "n", "languages", "layer", "tests", "step", "steps", "sequences", "tokens"),
    *("shared_by", "attempts"),
}
YES_NO = {"higher_is_better", "headline", "is_source", "on_front", "reused"}
MIXED = {"claims": {"budget"}}  # a number, or a window of them
FILES = {
    "scores": "scores.csv",
    "costs": "costs.csv",
    "training_costs": "training_costs.csv",
    "recipe_costs": "costs/recipe_costs.csv",
    "curves": "curves.csv",
    "areas": "curves/areas.csv",
    "pareto": "curves/pareto.csv",
    "claims": "claims.csv",
    "paper": "claims/paper.csv",
}
RUNS = (
    *("place", "rule", "backbone", "recipe", "target", "task", "benchmark", "depth", "point", "seed", "key", "reused"),
    *("device", "torch", "wall_seconds", "cpu_seconds", "memory_peak", "gpu_memory_peak", "energy", "attempts"),
)
HISTORY = ("place", "backbone", "recipe", "target", "depth", "seed", "task", "step", "loss", "rate", "norm", "dev")
# What the folders below a stage are called after.
PLACES = {
    "raw": ("task",),
    "data": ("task",),
    "tokenizers": ("backbone",),
    "tokens": ("backbone", "task"),
    "models/pretrained": ("backbone", "seed"),
    "models/random-init": ("backbone", "seed"),
    "models/intermediate": ("backbone", "recipe", "seed"),
    "models/target": ("backbone", "recipe", "target", "depth", "seed"),
    **dict.fromkeys(
        ("predictions", "embeddings", "mined", "scores"), ("backbone", "recipe", "target", "point", "seed")
    ),
    "measured": ("backbone", "target"),
    "submission": ("benchmark", "backbone", "recipe", "point", "seed"),
}


def load(folder: str | Path) -> Results:
    """Return the results of an experiment, as `results/mini`. Raises UserError where there is no such folder."""
    root = Path(folder)
    if not root.is_dir():
        there = [p.name for p in root.parent.glob("*") if p.is_dir() and not p.name.startswith(".")]
        known = f" {root.parent} holds: {', '.join(sorted(there))}." if there else ""
        raise UserError(f"there is no folder {root}.{did_you_mean(root.name, there)}{known}")
    return Results(root)


class Results:
    """The results of one experiment. A frame is read when it is asked for; it is yours to change."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def __getattr__(self, name: str) -> pd.DataFrame:
        """Return one of FILES as a frame; raises UserError while that file is not there."""
        if name not in FILES:
            raise AttributeError(f"results have no {name!r}.{did_you_mean(name, [*FILES, 'runs', 'history', 'table'])}")
        return _frame(self.root / FILES[name], name)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *FILES]

    @property
    def tables(self) -> list[str]:
        """The names that `table` takes."""
        return sorted(path.stem for path in (self.root / "tables").glob("*.csv"))

    def table(self, name: str) -> pd.DataFrame:
        """Return a table of `tables/` by its name, as `targets`; raises UserError where there is none."""
        if name not in self.tables:
            known = ", ".join(self.tables) or "none: run the workflow first"
            raise UserError(f'there is no table "{name}".{did_you_mean(name, self.tables)} Tables: {known}')
        return _frame(self.root / "tables" / f"{name}.csv", name)

    @property
    def runs(self) -> pd.DataFrame:
        """One row a finished job: what it made, which key it has, what it took."""
        return _made_of(RUNS, [_run(folder, self.root) for folder in self._folders])

    @property
    def history(self) -> pd.DataFrame:
        """One row a recorded step of every training run."""
        rows = []
        for folder in (f for f in self._folders if f.is_relative_to(self.root / "models")):
            named = place_of(folder, self.root)
            # A chain's links come before the target: history.<task>.jsonl, then history.jsonl.
            for path in sorted(folder.glob("history*.jsonl"), key=lambda p: (p.name == "history.jsonl", p.name)):
                rows += [named | json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        return _made_of(HISTORY, rows)

    @cached_property
    def _folders(self) -> list[Path]:
        return list(result_folders(self.root))


def result_folders(root: Path) -> Iterator[Path]:
    """Yield the folder of every finished result below `root`, sorted; what a job is still making is left out."""
    for path in sorted(root.rglob(RUN)):
        parts = path.relative_to(root).parts
        if (path.parent / MANIFEST).is_file() and not any(p.endswith((".part", ".old")) for p in parts):
            yield path.parent


def place_of(folder: Path, root: Path) -> dict[str, Any]:
    """Return what the place of a result says of it: place, and of backbone, recipe, target, seed, ... what it names."""
    parts = folder.relative_to(root).parts
    stage = next((n for n in (2, 1) if "/".join(parts[:n]) in PLACES), 0)
    names = PLACES.get("/".join(parts[:stage]), ())
    found = dict(zip(names, parts[stage:], strict=False))
    if "depth" in found:
        found["depth"] = found["depth"].removeprefix("d")
    seed = found.pop("seed", "").removeprefix("s")
    return {"place": "/".join(parts), **found, **({"seed": int(seed)} if seed.isdigit() else {})}


def _run(folder: Path, root: Path) -> dict[str, Any]:
    key = read_key(folder) or {}
    try:
        run = json.loads((folder / RUN).read_text(encoding="utf-8"))
    except ValueError:
        run = {}
    facts = {"rule": key.get("rule"), "key": key.get("key"), "torch": run.get("versions", {}).get("torch")}
    return run | {"reused": bool(run.get("reused"))} | place_of(folder, root) | facts


def _frame(path: Path, name: str) -> pd.DataFrame:
    """Return a CSV with the types of its columns; empty cells are missing values. Raises UserError."""
    import pandas as pd

    if not path.is_file():
        raise UserError(f"{path} is not there: the study has not got so far, or does not ask for it")
    columns = list(pd.read_csv(path, nrows=0).columns)
    types = {c: "str" if c in MIXED.get(name, ()) else _type(c) for c in columns}
    words = {"true_values": ["yes", "true"], "false_values": ["no", "false"]}
    # Empty cells are missing, and numbers that are none; the recipe `none` and a language `NA` are names.
    missing = {c: ["", "nan"] if kind == "float64" else [""] for c, kind in types.items()}
    try:
        return pd.read_csv(path, dtype=types, keep_default_na=False, na_values=missing, **words)
    except ValueError as error:
        raise UserError(f"{path}: {error}; was it edited by hand? `make verify` checks every result") from None


def _made_of(columns: tuple[str, ...], rows: list[dict[str, Any]]) -> pd.DataFrame:
    """Return rows as a frame of the given columns and their types."""
    import pandas as pd

    return pd.DataFrame({c: pd.Series([row.get(c) for row in rows], dtype=_type(c)) for c in columns})


def _type(column: str) -> str:
    if column in TEXT:
        return "str"
    return "Int64" if column in WHOLE else "boolean" if column in YES_NO else "float64"
