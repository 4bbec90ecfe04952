"""The card of an exported model: what it is, how it was made, from which data, its scores, where it came from."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from stilts.errors import UserError
from stilts.metrics.table import Score
from stilts.provenance.key import read_key
from stilts.provenance.manifest import MANIFEST, RUN, sha256
from stilts.tasks.registry import get_task

SHOWN = ("learning_rate", "epochs", "batch_size", "max_length", "weight_decay", "dropout", "frozen_layers")
PIPELINES = {
    "pair_classification": "text-classification",
    "token_tagging": "token-classification",
    "span_extraction": "question-answering",
    "multiple_choice": "multiple-choice",
}
Made = dict[Path, dict[str, Any]]


def made_from(folder: Path, place: Path) -> Made:
    """Return folder -> key of every result that a result was made from and that is still there, itself last.

    place: what the paths in keys are relative to, as `folder` is.
    """
    found: Made = {}

    def visit(here: Path) -> None:
        if here in found:
            return
        # The mini world is one result in many folders, whose key lies above them.
        key = read_key(place / here) or read_key(place / here.parent)
        for path, digest in (e for entries in (key or {"inputs": {}})["inputs"].values() for e in entries):
            if (place / path).is_file() and sha256(place / path) == digest:
                visit(Path(path).parent)
        if key:
            found[here] = key

    visit(folder)
    return found


def card(folder: Path, place: Path, kind: str, name: str, lost: str, scores: Iterable[Score]) -> str:
    """Return the text of README.md.

    folder, place: of the model, as for `made_from`; kind: of its task, empty for an encoder; name: the transformers
    class; lost: what that does not hold; scores: of this model.
    """
    made = made_from(folder, place)
    data = [_data(key, made, place) for key in made.values() if key["rule"] == "prepare"]
    start = next((_facts(place / f) for f, k in made.items() if k["rule"] == "fetch_backbone"), {})
    parts = [
        _front(kind, start, data),
        f"# {'/'.join(folder.parts[folder.parts.index('models') + 1 :])}",
        _what(kind, made, start),
        _use(name, lost),
        "## How it was made\n\n" + _table(("step", "tasks", "settings", "seed"), map(_step, _trainings(made))),
        "## Data\n\nThe licences of the data and of the encoder bind whoever uses the weights.\n\n"
        + _table(("task", "source", "revision", "licence"), data),
        _scores(scores),
        _provenance(folder, place, made),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _front(kind: str, start: Mapping[str, Any], data: Iterable[tuple]) -> str:
    homes = sorted({source for _, source, revision, _ in data if revision})
    head = {"library_name": "transformers", "tags": ["stilts", "cross-lingual"], "license": "other"}
    head |= {"pipeline_tag": PIPELINES[kind]} if kind in PIPELINES else {}
    head |= {"base_model": start["repository"]} if start.get("repository") else {}
    head |= {"datasets": homes} if homes else {}
    return f"---\n{yaml.safe_dump(head, sort_keys=True)}---"


def _what(kind: str, made: Made, start: Mapping[str, Any]) -> str:
    before = "an encoder of the user's own"
    if start.get("repository"):
        before = f"`{start['repository']}` (revision `{start['revision']}`)"
    stand_in = any(key["rule"] == "pretrain" for key in made.values())
    if stand_in:
        before = "a small stand-in that the workflow pretrained itself"
    control = " Its weights were drawn anew first: it is a control." if _has(made, "randomise") else ""
    tuned = f", tuned for {kind.replace('_', ' ')}" if kind else ""
    text = f"An XLM-R encoder that starts from {before}{tuned}.{control}"
    return text + ("\n\n**Its scores say nothing about XLM-R.**" if stand_in else "")


def _has(made: Made, rule: str) -> bool:
    return any(key["rule"] == rule for key in made.values())


def _use(name: str, lost: str) -> str:
    lines = f"from transformers import AutoTokenizer, {name}\n\n"
    lines += f'model = {name}.from_pretrained("FOLDER")\ntokenizer = AutoTokenizer.from_pretrained("FOLDER")'
    told = f"\n\nNot in this class: {lost}. The head as it was trained is in `head.safetensors`." if lost else ""
    return f"## Use\n\n```python\n{lines}\n```{told}"


def _trainings(made: Made) -> list[tuple[str, list[str], Mapping[str, Any], int]]:
    """Return (step, tasks, settings, seed) of each training that led to the model, first to last."""
    found = []
    for folder, key in made.items():
        spec = key["spec"]
        if key["rule"] == "pretrain":
            settings = spec["pretraining"] | spec["pretraining"]["training"]
            found.append(("pretraining", ["masked LM"], settings, spec["seed"]))
        elif key["rule"] == "train_intermediate":
            tasks = [entry["task"]["task"] for entry in spec["tasks"]]
            tasks += [f"masked LM on {spec['masked_lm']['corpus']}"] if "masked_lm" in spec else []
            found.append((f"recipe {folder.parent.name}", tasks, spec["settings"], spec["seed"]))
        elif key["rule"] == "train_target":
            steps = [*spec.get("chain", []), {"task": spec["task"], "settings": spec["settings"]}]
            found += [("target", [s["task"]["task"]], s["settings"], spec["seed"]) for s in steps]
    return found


def _step(step: tuple[str, list[str], Mapping[str, Any], int]) -> tuple[str, ...]:
    name, tasks, settings, seed = step
    shown = ", ".join(f"{key} {settings[key]}" for key in ("steps", *SHOWN) if settings.get(key))
    return name, ", ".join(tasks), shown, str(seed)


def _facts(folder: Path) -> dict[str, Any]:
    return json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["facts"]


def _data(key: Mapping[str, Any], made: Made, place: Path) -> tuple[str, str, str, str]:
    """Return (task, source, revision, licence) of prepared data."""
    task = key["spec"]["task"]["task"]
    homes = [Path(path).parent for entries in key["inputs"].values() for path, _ in entries]
    rules = {made[home]["rule"] for home in homes if home in made}
    if rules & {"make_world", "make_translation"}:
        return task, "the workflow's mini world (artificial languages)", "", "as the workflow"
    try:
        licence = get_task(task).licence
    except UserError:
        licence = ""
    if rules == {"fetch"}:
        facts = _facts(place / homes[0])
        return task, facts.get("repository", "the user's files"), facts.get("revision", ""), licence or "not named"
    return task, "the tasks it joins" if rules == {"prepare"} else "no longer there", "", licence or "not named"


def _scores(scores: Iterable[Score]) -> str:
    rows = [
        (f"{s.target}@{s.protocol}", s.budget_point, s.language, s.metric, f"{s.value:.2f}", str(s.n)) for s in scores
    ]
    return "## Scores\n\n" + _table(("score", "budget point", "language", "metric", "value", "n"), rows) if rows else ""


def _provenance(folder: Path, place: Path, made: Made) -> str:
    lines = [f"manifest of the model: `{sha256(place / folder / MANIFEST)}`"]
    if key := made.get(folder):
        lines += [f"key: `{key['key']}`", f"code: `{key['code']}`", f"packages: `{key['versions']}`"]
    try:
        run = json.loads((place / folder / RUN).read_text(encoding="utf-8"))
        lines += [f"{name}: {run[name]}" for name in ("device", "cuda", "driver") if run.get(name)]
    except (OSError, ValueError):
        pass
    return "## Provenance\n\n" + "\n".join(f"- {line}" for line in lines)


def _table(head: tuple[str, ...], rows: Iterable[Iterable[str]]) -> str:
    cells = [
        [str(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in [head, ["---"] * len(head), *rows]
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)
