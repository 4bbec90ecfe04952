"""What a user may compare: an experiment, a folder, a kept run, a git revision; each is a state with scores."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from stilts.compare.runs import (
    ABOUT,
    GRID,
    NAME,
    NOW,
    RUNS,
    SCORES,
    SETTINGS,
    Run,
    all_runs,
    git,
    read_run,
    runs_of,
    short_commit,
)
from stilts.compare.settings import grid_of, settings_of
from stilts.config.load import RESERVED
from stilts.config.models import Config
from stilts.errors import UserError, did_you_mean
from stilts.metrics.table import Score, read_scores
from stilts.provenance.manifest import sha256
from stilts.provenance.store import Store

SHOWN = 8  # kept runs that a message names


@dataclass(frozen=True)
class State:
    """Scores and what made them.

    label: what it is called; digest: sha256 of its scores.csv; grid: the spec of its tables; run: the kept run it is.
    """

    label: str
    scores: tuple[Score, ...]
    digest: str
    settings: Mapping[str, Any]
    grid: Mapping[str, Any]
    run: Run | None = None


def experiment_of(configfiles: Iterable[Path], project: Path) -> str:
    """Return the name of the experiment of some configuration files, the last that names one, else the default's."""
    name = str(_chosen(configfiles, project).get("experiment", ""))
    if not NAME.fullmatch(name) or name in RESERVED:
        raise UserError(f'experiment: "{name}" cannot be the name of an experiment')
    return name


def store_of(named: Path | None, configfiles: Iterable[Path], project: Path, base: Path) -> Store:
    """Return the store that a user names, else that of the experiment of some configuration files.

    base: the folder that holds results/, from which its path counts. Raises UserError where there is none.
    """
    path = named
    if path is None:
        text = _chosen(configfiles, project).get("store", Config.model_fields["store"].default)
        if not text:
            raise UserError("this experiment has no store (store: null): name one with --store (make: STORE=...)")
        path = base / os.path.expanduser(str(text))
    if not path.is_dir():
        raise UserError(f"there is no store {path}: name it with --store (make: STORE=...)")
    return Store(path)


def _chosen(configfiles: Iterable[Path], project: Path) -> dict[str, Any]:
    """Return the top of a configuration as Snakemake reads it, unchecked: the last file that names a key has it."""
    chosen: dict[str, Any] = {}
    for path in configfiles:
        chosen |= _yaml(path)
    return chosen if "experiment" in chosen else _yaml(project / "config.yaml") | chosen


def _yaml(path: Path) -> dict[str, Any]:
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise UserError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    return raw if isinstance(raw, dict) else {}


def find_state(text: str, results: Path, experiment: str, project: Path) -> State:
    """Return the state a user means; raises UserError that lists what there is.

    results: the folder `results`; experiment: the one that `now`, and names used twice, are of.
    """
    if text == NOW or (NAME.fullmatch(text) and text != RUNS and (results / text / SCORES).is_file()):
        return of_folder(results / (experiment if text == NOW else text))
    runs = runs_of(results / RUNS / experiment)
    runs += [run for run in all_runs(results) if run.folder.parent.name != experiment]
    run = _named(text, runs, experiment)
    if run is not None:
        return of_run(run)
    path = Path(text)
    if path.name == SCORES and path.is_file():
        path = path.parent
    if path.is_dir() and text not in ("", "."):
        return of_folder(path)
    found = [r for r in runs if any(part.startswith(text) for part in (r.id, r.about["scores"], *r.names))]
    if len(found) > 1:
        raise UserError(f'"{text}" is the beginning of several kept runs: {_listed(found)}')
    return of_run(found[0] if found else _of_revision(text, runs, results, experiment, project))


def of_folder(folder: Path) -> State:
    """Return the current results of an experiment's folder, or of any folder with a scores.csv."""
    if not (folder / SCORES).is_file():
        raise UserError(f"{folder / SCORES} is missing: run the experiment first, or name another state")
    if (folder / SETTINGS).is_file() and (folder / ABOUT).is_file():
        return of_run(read_run(folder))
    path = folder / SCORES
    return State(f"{folder.name} (now)", _scores(path), sha256(path), settings_of(folder), grid_of(folder))


def of_run(run: Run) -> State:
    """Return the state of a kept run; raises UserError where its scores are not those that were kept."""
    path = run.folder / SCORES
    if not path.is_file() or sha256(path) != run.about["scores"]:
        raise UserError(f"{path} is not what was kept: delete {run.folder}")
    settings, grid = (_json(run.folder / name) for name in (SETTINGS, GRID))
    label = f"{run.about['experiment']} ({run.label}{f', {run.commit}' if run.commit else ''})"
    return State(label, _scores(path), run.about["scores"], settings, grid, run)


def last_other(results: Path, experiment: str, scores: str) -> Run:
    """Return the latest kept run of an experiment whose scores (sha256) are others; raises UserError if none."""
    found = [run for run in runs_of(results / RUNS / experiment) if run.about["scores"] != scores]
    if not found:
        raise UserError(f"there is no kept run of {experiment} with other scores than now: name a state, as A=before")
    return found[-1]


def _named(text: str, runs: list[Run], experiment: str) -> Run | None:
    """Return the kept run of a name, an id, or `experiment/name`; that of the experiment at hand comes first."""
    home, _, name = text.rpartition("/")
    found = [r for r in runs if name in (r.id, *r.names) and home in ("", r.folder.parent.name)]
    own = [r for r in found if r.folder.parent.name == experiment]
    if len(found) > 1 and not own:
        raise UserError(f'several experiments have a kept run "{text}": {_listed(found)}')
    return (own or found or [None])[0]


def _of_revision(text: str, runs: list[Run], results: Path, experiment: str, project: Path) -> Run:
    """Return the kept run that a commit gave last: of the experiment at hand, and of clean code, where there is one."""
    commit = git(project, "rev-parse", "--verify", "--quiet", f"{text}^{{commit}}") if not text.startswith("-") else ""
    if not commit:
        experiments = sorted(p.parent.name for p in results.glob(f"*/{SCORES}"))
        names = [n for run in runs for n in (*run.names, run.id)]
        raise UserError(
            f'There is no state "{text}".{did_you_mean(text, [*experiments, *names])}\n'
            f"  experiments with scores: {', '.join(experiments) or 'none'}\n"
            f"  kept runs: {_listed(runs)}\n"
            "  else: a folder with a scores.csv, or a git revision that a kept run was made from"
        )
    made = [(run, seen) for run in runs for seen in run.about["seen"] if seen["commit"] == commit]
    if not made:
        raise UserError(f"No kept run was made from {text} ({commit[:10]}). Kept runs: {_listed(runs)}")
    clean = [(run, seen) for run, seen in made if not seen["dirty"]]
    own = [(run, seen) for run, seen in clean or made if run.folder.parent.name == experiment]
    return max(own or clean or made, key=lambda found: found[1]["time"])[0]


def _listed(runs: list[Run]) -> str:
    latest = sorted(runs, key=lambda run: run.about["time"], reverse=True)
    texts = [f"{r.folder.parent.name}/{r.label} ({_commits(r)})" for r in latest[:SHOWN]]
    return (", ".join(texts) + f" and {len(runs) - SHOWN} older" * (len(runs) > SHOWN)) or "none"


def _commits(run: Run) -> str:
    return " ".join(map(short_commit, run.about["seen"])) or "no commit"


def _scores(path: Path) -> tuple[Score, ...]:
    """Return the scores of a file; raises UserError where one cell has two."""
    scores = read_scores(path)
    seen: set[tuple] = set()
    for score in scores:
        cell = score.key[1:]  # without the experiment, whose name two states may not share
        if cell in seen:
            raise UserError(f"{path} has two scores of {' '.join(map(str, cell))}")
        seen.add(cell)
    return tuple(scores)


def _json(path: Path) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        raise UserError(f"{path} is damaged: delete {path.parent}") from None
