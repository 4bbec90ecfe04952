"""The rerun matrix: one edit, and exactly the jobs that must run after it.

What must run is written as rules with the values of their wildcards: "train_target predict score: target=udpos; TAIL".
Where each rule's results lie is said here once more, independently of the workflow.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from tests.study_case import ROOT, TINY

SOURCES = ("Snakefile", "config.yaml", "rules", "scripts", "stilts", "tasks", "envs", "profiles", "experiments")
SOURCES += ("published", "claims", "report")
TAIL = "count_costs costs curves claims summarise figures report"
AFTER_SCORES = "curves claims summarise figures report"
MODELS = "train_intermediate train_target predict score profile_budget"
BELOW_TRAINING = "train_target predict score profile_budget"
RETRIEVAL = "embed mine score profile_budget: target=tatoeba"
ALL = "ALL"
LISTS = {"TAIL": TAIL, "AFTER_SCORES": AFTER_SCORES}
ARM = r"(?P<backbone>[^/]+)/(?P<recipe>[^/]+)/(?P<target>[^/]+)"
PLACES = {
    "make_world": r"world",
    "make_translation": r"world/(?P<task>[^/]+)",
    "fetch": r"raw/(?P<task>[^/]+)",
    "prepare": r"data/(?P<task>[^/]+)",
    "train_tokenizer": r"tokenizers/(?P<backbone>[^/]+)",
    "tokenize": r"tokens/(?P<backbone>[^/]+)/(?P<task>[^/]+)",
    "pretrain": r"models/pretrained/(?P<backbone>[^/]+)/s(?P<seed>\d+)",
    "randomise": r"models/random-init/(?P<backbone>[^/]+)/s(?P<seed>\d+)",
    "train_intermediate": r"models/intermediate/(?P<backbone>[^/]+)/(?P<recipe>[^/]+)/s(?P<seed>\d+)",
    "train_target": rf"models/target/{ARM}/d(?P<depth>\w+)/s(?P<seed>\d+)",
    "predict": rf"predictions/{ARM}/(?P<point>[^/]+)/s(?P<seed>\d+)",
    "embed": rf"embeddings/{ARM}/(?P<point>[^/]+)/s(?P<seed>\d+)",
    "mine": rf"mined/{ARM}/(?P<point>[^/]+)/s(?P<seed>\d+)",
    "score": rf"scores/{ARM}/(?P<point>[^/]+)/s(?P<seed>\d+)",
    "count_costs": r"counted",
    "profile_budget": r"measured/(?P<backbone>[^/]+)/(?P<target>[^/]+)",
    "costs": r"costs",
    "curves": r"curves",
    "claims": r"claims",
    "summarise": r"tables",
    "figures": r"figures",
    "report": r"report",
}

Job = tuple[str, str]


def wildcards(job: Job) -> dict[str, str]:
    """Return the wildcards of a job, read off its output."""
    rule, output = job
    found = re.fullmatch(rf"results/[^/]+/{PLACES[rule]}/manifest\.json", output)
    assert found, f"{rule} makes {output}"
    return found.groupdict()


def expected(jobs: Iterable[Job], text: str) -> set[Job]:
    """Return the jobs that a description means, of all jobs of a study."""
    jobs, wanted = set(jobs), set()
    for part in filter(None, (p.strip() for p in text.split(";"))):
        if part == ALL:
            return jobs
        names, _, conditions = part.partition(":")
        allowed = {k: set(v.split("|")) for k, v in (c.split("=") for c in conditions.split())}
        rules = {r for n in names.split() for r in LISTS.get(n, n).split()}
        assert rules <= PLACES.keys(), part
        found = {
            job for job in jobs if job[0] in rules and all(wildcards(job).get(k, "") in v for k, v in allowed.items())
        }
        assert found, f"{part} means no job"
        wanted |= found
    return wanted


def tell(found: set[Job], wanted: set[Job]) -> str:
    """Return what runs needlessly and what is missed, for a message."""
    needless, missed = (sorted(" ".join(job) for job in jobs)[:12] for jobs in (found - wanted, wanted - found))
    return f"needless: {needless}\nmissed: {missed}"


def tiny() -> dict[str, Any]:
    """Return the tiny configuration as plain data."""
    return yaml.safe_load(TINY.read_text(encoding="utf-8"))


def merged(raw: dict[str, Any], change: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration with some keys replaced, mappings merged."""
    out = dict(raw)
    for key, value in change.items():
        old = out.get(key)
        out[key] = merged(old, value) if isinstance(value, dict) and isinstance(old, dict) else value
    return out


def write(path: Path, raw: dict[str, Any]) -> Path:
    """Write a configuration; return the file."""
    path.write_text(yaml.safe_dump(raw, sort_keys=False), encoding="utf-8")
    return path


def clone(folder: Path) -> Path:
    """Return a copy of the project's sources, with new dates."""
    for name in SOURCES:
        source, target = ROOT / name, folder / name
        if source.is_dir():
            shutil.copytree(source, target, copy_function=shutil.copyfile, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    return folder


def copied(study: Path, folder: Path, *, dates: bool = True) -> Path:
    """Return a copy of a study's results and records, without its store. dates: keep them."""
    copy = shutil.copy2 if dates else shutil.copyfile
    shutil.copytree(study, folder, copy_function=copy, ignore=shutil.ignore_patterns(".store", "log", "shadow"))
    return folder


def edit(path: Path, old: str, new: str) -> None:
    """Replace a text that must be there once."""
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{path}: {text.count(old)} times {old!r}"
    path.write_text(text.replace(old, new), encoding="utf-8")
