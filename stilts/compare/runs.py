"""Kept runs: a small record of the scores of each finished run, so that later runs can be compared with it.

A record is a folder `results/runs/<experiment>/<id>/` with `scores.csv`, `settings.json`, `grid.json` (the spec of the
tables) and `about.json`. Equal scores are one record. No rule reads any of it.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stilts.compare.settings import grid_of, settings_of, title_of
from stilts.config.load import RESERVED
from stilts.errors import UserError
from stilts.provenance.manifest import dump_json, sha256, write_atomic

RUNS, NOW = "runs", "now"
ABOUT, SCORES, SETTINGS, GRID = "about.json", "scores.csv", "settings.json", "grid.json"
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")
# What a result can depend on; scratch files elsewhere make no commit dirty.
CODE = ("Snakefile", "rules", "scripts", "stilts", "tasks", "envs")


@dataclass(frozen=True)
class Run:
    """A kept run. about: experiment, title, time (UTC, when first seen), names, scores (sha256), seen.

    seen: the commits that gave these scores, each with the time it last did, the last of them last.
    """

    folder: Path
    about: Mapping[str, Any]

    @property
    def id(self) -> str:
        """The name of its folder."""
        return self.folder.name

    @property
    def names(self) -> list[str]:
        """The names that users gave it."""
        return list(self.about["names"])

    @property
    def label(self) -> str:
        """How it is called in tables: its first name, else its id."""
        return self.names[0] if self.names else self.id

    @property
    def commit(self) -> str:
        """The last commit it was made from, `+` for uncommitted changes; empty outside a repository."""
        return short_commit(self.about["seen"][-1]) if self.about["seen"] else ""


def short_commit(seen: Mapping[str, Any]) -> str:
    """Return a commit as shown: ten digits, and a `+` where the code had uncommitted changes."""
    return seen["commit"][:10] + "+" * bool(seen["dirty"])


def keep_run(root: Path, project: Path, name: str = "") -> tuple[Run, bool]:
    """Keep the current scores of the experiment below `root`; return the record, and whether it is new.

    name: a name for it. Raises UserError where there are no scores, or the name is taken or cannot be one.
    """
    scores = root / SCORES
    if not scores.is_file():
        raise UserError(f"{scores} is missing: run the workflow first, then keep its scores")
    home, found = root.parent / RUNS / root.name, sha256(scores)
    before = runs_of(home)
    _check_name(name, found, before, root.parent)
    seen = git_state(project)
    known = next((run for run in before if run.about["scores"] == found), None)
    if known is not None:
        return _seen_again(known, seen, name), False
    now = time.time()
    about = {
        "experiment": root.name,
        "title": title_of(root),
        "time": _utc(now),
        "names": [name] if name else [],
        "scores": found,
        "seen": [seen] if seen else [],
    }
    folder = home / f"{time.strftime('%Y-%m-%dT%H%M', time.gmtime(now))}-{found[:8]}"
    _write(folder, scores, {SETTINGS: settings_of(root), GRID: grid_of(root), ABOUT: about})
    return Run(folder, about), True


def _write(folder: Path, scores: Path, texts: Mapping[str, Any]) -> None:
    part = folder.with_name(folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    shutil.copyfile(scores, part / SCORES)
    for name, value in texts.items():
        (part / name).write_text(dump_json(value), encoding="utf-8")
    part.rename(folder)


def _seen_again(run: Run, seen: dict[str, Any], name: str) -> Run:
    """Note the commit that gave the same scores, as the last that did, and another name."""
    about = dict(run.about)
    if seen:
        others = [s for s in about["seen"] if (s["commit"], s["dirty"]) != (seen["commit"], seen["dirty"])]
        about["seen"] = [*others, seen]
    if name and name not in about["names"]:
        about["names"] = [name, *about["names"]]
    if about != run.about:
        write_atomic(run.folder / ABOUT, dump_json(about))
    return Run(run.folder, about)


def _check_name(name: str, scores: str, before: list[Run], results: Path) -> None:
    if not name:
        return
    if not NAME.fullmatch(name) or name in RESERVED or (results / name).is_dir():
        taken = "is an experiment" if (results / name).is_dir() and name not in RESERVED else "cannot be one"
        raise UserError(f'the name "{name}" {taken}: choose letters, digits, "_.+-", as NAME=before')
    for run in before:
        if name in (*run.names, run.id) and run.about["scores"] != scores:
            raise UserError(f'the name "{name}" is that of {run.folder}: choose another, or delete that folder')


def runs_of(home: Path, faults: list[str] | None = None) -> list[Run]:
    """Return the kept runs of one experiment, `results/runs/<experiment>`, oldest first.

    faults: receives a message for each damaged one; without it the first raises UserError.
    """
    runs = []
    for path in home.glob(f"*/{ABOUT}"):
        if path.parent.name.endswith(".part"):
            continue
        try:
            runs.append(read_run(path.parent))
        except UserError as error:
            if faults is None:
                raise
            faults.append(str(error))
    return sorted(runs, key=lambda run: (run.about["time"], run.id))


def all_runs(results: Path, faults: list[str] | None = None) -> list[Run]:
    """Return the kept runs of every experiment below `results`, experiment by experiment; faults: as of `runs_of`."""
    homes = sorted(p for p in (results / RUNS).glob("*") if p.is_dir())
    return [run for home in homes for run in runs_of(home, faults)]


def read_run(folder: Path) -> Run:
    """Return one kept run; raises UserError where it is damaged."""
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        texts = [about[name] for name in ("experiment", "title", "time", "scores")] + list(about["names"])
        texts += [seen[name] for seen in about["seen"] for name in ("time", "commit")]
        whole = all(isinstance(text, str) for text in texts)
        whole = whole and all(isinstance(seen["dirty"], bool) for seen in about["seen"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        whole = False
    if not whole:
        raise UserError(f"{folder / ABOUT} is damaged: delete {folder}")
    return Run(folder, about)


def git_state(project: Path) -> dict[str, Any]:
    """Return time, commit and dirty (uncommitted changes of code) of a repository; {} where there is none."""
    commit = git(project, "rev-parse", "--verify", "--quiet", "HEAD")
    if not commit:
        return {}
    changes = git(project, "status", "--porcelain", "--untracked-files=normal", "--", *CODE)
    return {"time": _utc(time.time()), "commit": commit, "dirty": bool(changes)}


def git(project: Path, *arguments: str) -> str:
    """Return what git says in a folder, or nothing where it fails or is not there."""
    command = ["git", "-C", str(project), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _utc(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
