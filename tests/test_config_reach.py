"""Every setting reaches the spec of a rule that it can change, or is on the list of those that change no result."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from stilts.config.load import load_config
from stilts.config.models import Config, Recipe
from stilts.config.specs import Specs
from stilts.config.study import Study
from stilts.errors import UserError
from stilts.provenance.manifest import canonical

# Settings that no result depends on, and why.
NO_EFFECT = {
    "title": "shown in the report",
    "local_data": "a path; the rule's inputs are the files below it",
    "task_folders": "paths; what their files say is in the specs of the tasks that are read",
    "backbones.mini.layers": "names depths before the weights are there",
    "backbones.mini.path": "a path; the rule's inputs are the files below it",
    "backbones.mini.id": "of hub backbones only",
    "backbones.mini.revision": "of hub backbones only",
    "runtime.resident_worker": "speed",
    "runtime.checkpoints": "a path; training that goes on ends in the same bytes",
    "runtime.checkpoint_minutes": "how often state is saved",
    "runtime.gpus": "what a job asks for",
    "runtime.gpu_share": "how many jobs run at a time",
    "store": "a path; equal keys give equal results",
    "runtime.tokens_per_batch": "batch splitting at prediction",
    "runtime.mining_memory_mb": "size of the blocks that mining computes",
}
NO_EFFECT |= {f"recipes.none.{key}": "the baseline trains on nothing" for key in Recipe.model_fields}
NO_EFFECT |= {
    f"recipes.{name}.{key}": "one task: nothing is mixed"
    for name in ("mnli", "squad1")
    for key in ("sampling", "temperature", "examples_cap")
}
NO_EFFECT |= {f"recipes.hellaswag.{key}": "no arm of the default experiment uses it" for key in Recipe.model_fields}


def specs_of(config: Config) -> dict[str, Any]:
    """Return every spec of the study by rule and arm, the report's left out (it shows all settings)."""
    study = Study(config)
    specs, out = Specs(study), {}

    def note(rule: str, *names: Any) -> None:
        out[f"{rule} {' '.join(map(str, names))}"] = canonical(getattr(specs, rule)(*names))

    note("make_world")
    tasks = {*config.grid.targets, *study.corpora(), *(t for r in config.recipes.values() for t in r.tasks)}
    tasks |= {f(t) for t in study.trained for f in (study.train_task, study.dev_task)}
    for task in sorted(tasks):
        note("fetch", task)
        note("prepare", task)
    for backbone in config.grid.backbones:
        if config.backbones[backbone].pretraining:
            note("train_tokenizer", backbone)
            out[f"corpus {backbone}"] = config.backbones[backbone].pretraining.corpus
        else:
            note("fetch_backbone", backbone)
        for seed in config.grid.seeds:
            if config.backbones[backbone].pretraining:
                note("pretrain", backbone, study.pretraining_seed(backbone, seed))
            for recipe in config.grid.recipes:
                if recipe != "none":
                    note("train_intermediate", backbone, recipe, seed)
    for target in config.grid.targets:
        for backbone, recipe, seed, point in study.runs(target):
            note("score", backbone, recipe, target, point, seed)
            if not study.task(target).retrieval:
                note("train_target", recipe, target, point.split("-")[0].removeprefix("d"), seed)
                note("predict", recipe, target, point)
            else:
                note("embed", target, point)
        for backbone in config.grid.backbones if config.budget.measure else []:
            note("profile_budget", backbone, target)
    note("count_costs")
    note("costs")
    note("curves")
    note("claims")
    note("summarise")
    return out


def leaves(value: Any, at: str = "") -> list[str]:
    """Return the places of all settings; a mapping that is empty by default is a setting itself."""
    if isinstance(value, dict) and value:
        return [p for k, v in value.items() for p in leaves(v, f"{at}.{k}" if at else k)]
    return [at]


# What a place is set to where "something else of its type" would not be valid or not be a change.
OTHER = {
    "provider": "hub",
    "source_language": "qab",
    "languages": ["qab"],
    "tasks": {"udpos": {"labels": ["A", "B"]}},
    "task_folders": [str(Path(__file__).parent)],
    "grid.backbones": ["other"],
    "grid.recipes": ["none", "mnli"],
    "grid.targets": ["udpos"],
    "grid.controls": [],
    "backbones.mini.source": "hub",
    "backbones.mini.pretraining.corpus": "other_text",
    "recipes.multi.sampling": "temperature",
    "intermediate.tasks": {"mnli": {"epochs": 9}},
    "target.tasks": {"udpos": {"epochs": 9}},
    "budget.depths": ["full", 2],
    "budget.max_lengths": ["full", 64],
    "budget.precisions": ["bf16"],
    "budget.axis": "memory",
    "budget.scale": "absolute",
    "budget.window": [0.7, 1.0],
    "budget.examples": "fixed",
    "budget.languages": "random",
    "retrieval.layers": [1, 2],
    "world.languages": ["qaa", "qab", "qac"],
}


def changed(place: str, before: dict) -> Config | None:
    """Return the default configuration with one setting changed; None where no other value is valid."""
    raw = copy.deepcopy(before)
    *path, key = place.split(".")
    here = raw
    for part in path:
        here = here[part]
    old = here[key]
    candidates = [OTHER[place]] if place in OTHER else []
    if not candidates:
        candidates = {
            bool: lambda: [not old],
            int: lambda: [old + 1, max(1, old // 2)],
            float: lambda: [old / 2 or 0.5, old + 1],
            str: lambda: ["mean", "first", "temperature", "other"],
            list: lambda: [[*old, 3], old[:-1]],
            dict: lambda: [{}],
            type(None): lambda: ["other", 3],
        }[type(old)]()
    if place == "grid.backbones":
        raw["backbones"]["other"] = copy.deepcopy(raw["backbones"]["mini"])
    for value in candidates:
        here[key] = value
        if value != old:
            try:
                return load_config(raw)
            except UserError:
                continue
    return None


BEFORE = Config().model_dump()
# What one task changes shows every key, most of them unset: only those that are set are settings.
for phase in ("intermediate", "target"):
    BEFORE[phase]["tasks"] = {
        task: change.model_dump(exclude_unset=True) for task, change in getattr(Config(), phase).tasks.items()
    }
SPECS = specs_of(load_config(BEFORE))


@pytest.mark.parametrize("place", leaves(BEFORE))
def test_a_setting_reaches_a_spec_or_changes_no_result(place):
    config = changed(place, BEFORE)
    if config is None:
        pytest.skip("no other value is valid here")
    moved = specs_of(config) != SPECS
    if place == "title":
        return  # the summary says it; the tables it stands beside are the same
    assert moved != (place in NO_EFFECT), f"{place}: " + ("reaches no spec" if not moved else "reaches a spec")


def test_the_list_of_settings_without_effect_names_settings():
    assert sorted(set(NO_EFFECT) - set(leaves(BEFORE))) == []
