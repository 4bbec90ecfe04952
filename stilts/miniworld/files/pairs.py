"""Sentence pairs: inference (mnli, xnli, snli, anli) and paraphrase (pawsx, qqp)."""

from __future__ import annotations

from pathlib import Path

from stilts.miniworld.duplicates import Asked, question_pair
from stilts.miniworld.meaning import Sampler
from stilts.miniworld.pairs import Pair, inference_pair, paraphrase_pair, photograph_pair
from stilts.miniworld.premises import PREMISE_EVENTS, Reading, reading_pair
from stilts.miniworld.schemas import write_rows
from stilts.miniworld.world import World


def _say(world: World, code: str, pair: Pair) -> tuple[str, str]:
    return world.say(code, pair.first, *pair.first_style), world.say(code, pair.second, *pair.second_style)


def inference_items(world: World) -> dict[str, list[Pair]]:
    """The pairs of mnli (train) and xnli (validation, test), in the order of the files."""
    splits = world.draw("inference", world.sizes_of("mnli"), lambda rng, i: inference_pair(rng, Sampler(rng), i % 3))
    return {split: world.shuffled(items, "inference", split) for split, items in splits.items()}


def inference(world: World, out: Path) -> None:
    """Write out/mnli/mnli/ in the source language, with the validation pairs of xnli, and out/xnli/<language>/."""
    splits = inference_items(world)

    def rows(code: str, split: str, index: bool) -> list[dict]:
        found = []
        for i, pair in enumerate(splits[split]):
            first, second = _say(world, code, pair)
            row = {"premise": first, "hypothesis": second, "label": pair.label}
            found.append({**row, "idx": i} if index else row)
        return found

    write_rows(out, "mnli", "mnli", "train", rows(world.source, "train", True))
    write_rows(out, "mnli", "mnli", "validation_matched", rows(world.source, "validation", True))
    for code in world.languages:
        for split in ("validation", "test"):
            write_rows(out, "xnli", code, split, rows(code, split, False))


def photographs(world: World, out: Path) -> None:
    """Write out/snli/plain_text/ in the source language; one pair of fifty has no gold label (-1), as in SNLI."""
    held = {pair for split in ("validation", "test") for pair in inference_items(world)[split]}
    splits = world.draw(
        "snli", world.sizes_of("snli", test=False), lambda rng, i: photograph_pair(rng, Sampler(rng), i % 3), held
    )
    for split, items in splits.items():
        doubt = world.rng("snli", split, "doubt")
        rows = []
        for pair in world.shuffled(items, "snli", split):
            first, second = _say(world, world.source, pair)
            label = -1 if doubt.random() < 0.02 else pair.label
            rows.append({"premise": first, "hypothesis": second, "label": label})
        write_rows(out, "snli", "plain_text", split, rows)


def rounds(world: World, out: Path) -> None:
    """Write out/anli/plain_text/{train,dev}_r{1,2,3} in the source language; each round has a third of the size."""
    for number in sorted(PREMISE_EVENTS):
        sizes = {split: max(3, size // 3) for split, size in world.sizes_of("anli", test=False).items()}
        splits = world.draw(
            f"anli r{number}", sizes, lambda rng, i, n=number: reading_pair(rng, Sampler(rng, names=0.0), n, i % 3)
        )
        for split, items in splits.items():
            name = f"{'train' if split == 'train' else 'dev'}_r{number}"
            rows = [
                {"uid": f"mini-{name}-{i}", **_say_reading(world, item), "label": item.label, "reason": ""}
                for i, item in enumerate(world.shuffled(items, "anli", name))
            ]
            write_rows(out, "anli", "plain_text", name, rows)


def _say_reading(world: World, item: Reading) -> dict[str, str]:
    speaker = world.speakers[world.source]
    fronts = zip(item.events, item.fronts[:-1], strict=True)
    told = [word for event, front in fronts for word in speaker.sentence(event, False, front)]
    return {
        "premise": speaker.text(told),
        "hypothesis": world.say(world.source, item.hypothesis, False, item.fronts[-1]),
    }


def paraphrase(world: World, out: Path) -> None:
    """Write out/pawsx/PAWS-X.<language>/: validation and test in every language, train in the source language."""
    splits = world.draw("paraphrase", world.sizes_of("pawsx"), lambda rng, i: paraphrase_pair(rng, Sampler(rng), i % 2))
    for split, items in splits.items():
        shuffled = world.shuffled(items, "paraphrase", split)
        for code in [world.source] if split == "train" else world.languages:
            rows = []
            for pair in shuffled:
                first, second = _say(world, code, pair)
                rows.append({"sentence1": first, "sentence2": second, "label": str(pair.label)})
            write_rows(out, "pawsx", f"PAWS-X.{code}", split, rows)


def duplicates(world: World, out: Path) -> None:
    """Write out/qqp/qqp/ in the source language."""
    speaker = world.speakers[world.source]

    def say(asked: Asked) -> str:
        return speaker.text(speaker.question(asked.kept, asked.ask, asked.front))

    splits = world.draw(
        "qqp", world.sizes_of("qqp", test=False), lambda rng, i: question_pair(rng, Sampler(rng), i % 2)
    )
    for split, items in splits.items():
        rows = [
            {"question1": say(pair.first), "question2": say(pair.second), "label": pair.label, "idx": i}
            for i, pair in enumerate(world.shuffled(items, "qqp", split))
        ]
        write_rows(out, "qqp", "qqp", split, rows)
