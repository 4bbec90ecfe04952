"""Extractive question answering: squad1 and xquad, squad2, tydiqa, mlqa."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

from stilts.miniworld import passages
from stilts.miniworld.meaning import Sampler
from stilts.miniworld.schemas import write_rows
from stilts.miniworld.world import World


def _row(world: World, code: str, item: passages.Question, key: str, title: str | None = "") -> dict:
    said = passages.say(world.speakers[code], item)
    found = {"id": key, "context": said["context"], "question": said["question"], "answers": said["answers"]}
    return found if title is None else {**found, "title": title}


def _controls(world: World, folder: Path, items: list[passages.Question]) -> None:
    """Write folder/controls.json: language -> what the type-chance control scores on a task's test questions."""
    found = {code: passages.type_chance(world.speakers[code], items) for code in world.languages}
    (folder / "controls.json").write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def _answerable_items(world: World) -> dict[str, list[passages.Question]]:
    sizes = {
        "train": world.sizes["squad1_train"],
        "validation": world.sizes["validation"],
        "xquad": world.sizes["eval"],
    }
    return world.draw("squad", sizes, lambda rng, i: passages.question(rng, Sampler(rng)))


def answerable(world: World, out: Path) -> None:
    """Write out/squad1/plain_text/ in the source language and out/xquad/xquad.<language>/validation."""
    splits = _answerable_items(world)
    for split in ("train", "validation"):
        rows = [_row(world, world.source, item, f"squad-{split}-{i}") for i, item in enumerate(splits[split])]
        write_rows(out, "squad1", "plain_text", split, rows)
    for code in world.languages:
        rows = [_row(world, code, item, f"xquad-{i}", None) for i, item in enumerate(splits["xquad"])]
        write_rows(out, "xquad", f"xquad.{code}", "validation", rows)
    _controls(world, out / "xquad", splits["xquad"])


def _partly_answerable_items(world: World) -> dict[str, list[passages.Question]]:
    def make(rng: Random, i: int) -> passages.Question:
        # As in SQuAD 2.0's training part, a third of the questions has no answer.
        return (passages.unanswerable if i % 3 == 0 else passages.question)(rng, Sampler(rng))

    return world.draw("squad2", world.sizes_of("squad2", test=False), make, _answerable_items(world)["xquad"])


def partly_answerable(world: World, out: Path) -> None:
    """Write out/squad2/squad_v2/ in the source language."""
    for split, items in _partly_answerable_items(world).items():
        order = world.shuffled(items, "squad2", split)
        rows = [_row(world, world.source, item, f"squad2-{split}-{i}") for i, item in enumerate(order)]
        write_rows(out, "squad2", "squad_v2", split, rows)


def _typological_items(world: World) -> dict[str, list[passages.Question]]:
    sizes = {"train": world.sizes["tydiqa_train"], "validation": world.sizes["eval"]}
    return world.draw("tydiqa", sizes, lambda rng, i: passages.question(rng, Sampler(rng), rng.choice((2, 3))))


def typological(world: World, out: Path) -> None:
    """Write out/tydiqa/secondary_task/: all languages in one file, an id begins with its language."""
    splits = _typological_items(world)
    for split, items in splits.items():
        rows = []
        for code in world.languages:
            # As in TyDiQA the languages' training sets are of their own; few but the source's matter here.
            own = items if split == "validation" or code == world.source else items[: max(1, len(items) // 10)]
            rows += [_row(world, code, item, f"{code}--{split}-{i}-0") for i, item in enumerate(own)]
        write_rows(out, "tydiqa", "secondary_task", split, rows)
    _controls(world, out / "tydiqa", splits["validation"])


def parallel(world: World, out: Path) -> None:
    """Write out/mlqa/mlqa.<language>.<language>/: no training part, longer passages than SQuAD's.

    None of its questions stands in the files of squad1, squad2 or tydiqa.
    """
    trained = (_answerable_items(world), _partly_answerable_items(world), _typological_items(world))
    taken = [item for splits in trained for items in splits.values() for item in items]
    sizes = {"test": world.sizes["eval"], "validation": world.sizes["validation"]}
    splits = world.draw("mlqa", sizes, lambda rng, i: passages.question(rng, Sampler(rng), rng.choice((3, 4))), taken)
    for code in world.languages:
        for split, items in splits.items():
            rows = [_row(world, code, item, f"mlqa-{split}-{i}", None) for i, item in enumerate(items)]
            write_rows(out, "mlqa", f"mlqa.{code}.{code}", split, rows)
    _controls(world, out / "mlqa", splits["test"])
