"""What the training of an experiment cost: every phase of every run, and every recipe, shared work counted once.

A phase is a model folder: its manifest has what was counted, its run.json what was measured when it was made.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from stilts.budget.flops import Shape, head_training_flops, shape_of, training_flops
from stilts.provenance.manifest import MANIFEST, RUN
from stilts.tasks.arms import runs_of

PRETRAINING, INTERMEDIATE, TARGET = "pretraining", "intermediate", "target"
COUNTED = ("steps", "sequences", "tokens", "flops")
MEASURED = ("device", "wall_seconds", "cpu_seconds", "memory_peak", "gpu_memory_peak", "energy", "attempts")
PHASE = ("phase", "backbone", "recipe", "target", "depth", "seed")
COLUMNS = (*PHASE, *COUNTED, *MEASURED, "shared_by", "note")
RECIPE = ("backbone", "recipe", "target", "depth", "seed")
RECIPE_COLUMNS = (*RECIPE, "flops_intermediate", "flops_target", "flops", "seconds", "energy", "note")
TOKENS_READ = ("span_extraction",)
TARGETS_READ = ("token_tagging", "masked_lm")


class Phase(NamedTuple):
    """One training run by its place. before: the place it starts from, None where that was not trained here."""

    phase: str
    backbone: str
    recipe: str
    target: str
    depth: str
    seed: int
    place: str
    before: str | None


def flops_of(work: Iterable[Mapping[str, Any]], shape: Shape) -> float:
    """Return the operations of a training run from the `work` of its manifest; dev evaluations are not in it."""
    total = 0.0
    for part in work:
        rows = part["sequences"]
        if part["kind"] in TOKENS_READ:
            rows = part["tokens"]
        elif part["kind"] in TARGETS_READ:
            rows = part["targets"]
        total += training_flops(shape, part["tokens"], part["squares"], part["frozen"])
        total += head_training_flops(part["kind"], shape, rows, part["outputs"], part["frozen"], part["pairs"])
    return total


def counted(folder: Path) -> dict[str, float]:
    """Return steps, sequences, tokens and FLOPs of the model in a folder."""
    facts = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["facts"]
    shape = shape_of(json.loads((folder / "config.json").read_text(encoding="utf-8")))
    sums = {name: sum(part[name] for part in facts["work"]) for name in ("steps", "sequences", "tokens")}
    return sums | {"flops": flops_of(facts["work"], shape)}


def measured(folder: Path) -> dict[str, Any]:
    """Return what a run measured of itself when it was made; nothing where its run.json is gone."""
    try:
        run = json.loads((folder / RUN).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {name: run[name] for name in (*MEASURED, "energy_note") if run.get(name) is not None}


def users(phases: Iterable[Phase]) -> dict[str, int]:
    """Return place -> tuned models that stand on it, itself included where it is one."""
    at = {p.place: p for p in phases}
    found = dict.fromkeys(at, 0)
    for p in at.values():
        if p.phase == TARGET:
            for place in chain_of(p, at):
                found[place] += 1
    return found


def chain_of(phase: Phase, at: Mapping[str, Phase]) -> Iterator[str]:
    """Yield the places of a run and of all it stands on, last first."""
    place: str | None = phase.place
    while place is not None and place in at:
        yield place
        place = at[place].before


def recipe_rows(phases: list[Phase], work: Mapping[str, Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the cost of each recipe x target: what it adds to pretraining, and what of it other targets share.

    work: place -> counted and measured. A recipe's own work is its intermediate phases and the target's; that of its
    intermediate phases is shared by the targets, so that sums over targets count it too often.
    """
    at = {p.place: p for p in phases}
    for p in (p for p in phases if p.phase == TARGET):
        own = [x for x in chain_of(p, at) if at[x].phase != PRETRAINING]
        before = [x for x in own if at[x].phase == INTERMEDIATE]
        yield {
            **{name: getattr(p, name) for name in RECIPE},
            "flops_intermediate": sum(work[x]["flops"] for x in before),
            "flops_target": work[p.place]["flops"],
            "flops": sum(work[x]["flops"] for x in own),
            "seconds": _sum(work[x].get("wall_seconds") for x in own),
            "energy": _sum(work[x].get("energy") for x in own),
            "note": "; ".join(f"{x}: {work[x]['note']}" for x in own if work[x]["note"]),
        }


def _sum(values: Iterable[float | None]) -> float | None:
    """Return a sum; None where a part is missing."""
    values = list(values)
    return None if None in values else round(sum(values), 3)


def phases_of(spec: Mapping[str, Any]) -> list[Phase]:
    """Return every training run of a study, each behind what it starts from.

    spec: `backbones` (name -> seed of the grid -> seed of its pretraining, null where it was not trained here),
    `starts` (recipe -> the recipe it comes after, `none`: the backbone), `targets` (name -> owner, kind, points), and
    the grid's recipes, seeds, controls and control_seeds.
    """
    found: dict[str, Phase] = {}

    def add(phase: str, names: tuple[str, str, str, str, int], place: str, before: str | None) -> str:
        found.setdefault(place, Phase(phase, *names, place, before))
        return place

    def pretrained(backbone: str, seed: int) -> str | None:
        made = spec["backbones"][backbone][str(seed)]
        names = (backbone, "", "", "", made)
        return None if made is None else add(PRETRAINING, names, f"pretrained/{backbone}/s{made}", None)

    def encoder(backbone: str, recipe: str, seed: int) -> str | None:
        if recipe == "random-init":
            return None
        if recipe not in spec["starts"]:
            return pretrained(backbone, seed)
        before = encoder(backbone, spec["starts"][recipe], seed)
        names = (backbone, recipe, "", "", seed)
        return add(INTERMEDIATE, names, f"intermediate/{backbone}/{recipe}/s{seed}", before)

    grid = [spec[name] for name in ("recipes", "seeds", "controls", "control_seeds")]
    for target in spec["targets"].values():
        for b, r, s, point in runs_of(target["kind"], target["points"], list(spec["backbones"]), *grid):
            before = encoder(b, r, s)
            if target["owner"]:
                d = depth_of(point)
                place = f"target/{b}/{r}/{target['owner']}/d{d}/s{s}"
                add(TARGET, (b, r, target["owner"], d, s), place, before)
    return list(found.values())


def example_of(spec: Mapping[str, Any], backbone: str, target: str, point: str) -> str:
    """Return the place of a model that a point runs: recipes and seeds share its cost, so any of them will do."""
    recipe, seed = any_arm(spec["recipes"], spec["seeds"])
    owner = spec["targets"][target]["owner"]
    if owner:
        return f"target/{backbone}/{recipe}/{owner}/d{depth_of(point)}/s{seed}"
    if recipe != "none":
        return f"intermediate/{backbone}/{recipe}/s{seed}"
    made = spec["backbones"][backbone][str(seed)]
    return f"pretrained/{backbone}/{'fetched' if made is None else f's{made}'}"


def any_arm(recipes: Sequence[str], seeds: Sequence[int]) -> tuple[str, int]:
    """Return the recipe and seed whose models stand for all; their order in the configuration says nothing."""
    return "none" if "none" in recipes else min(recipes), min(seeds)


def depth_of(point: str) -> str:
    """Return the depth of a budget point (`full` or a number in digits)."""
    return point.split("-", maxsplit=1)[0].removeprefix("d")
