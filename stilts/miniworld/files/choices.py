"""Multiple choice: copa and xcopa, hellaswag, cosmosqa, csqa, siqa."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random

from stilts.miniworld.choices import Choice, cause_or_effect, completion
from stilts.miniworld.meaning import Sampler
from stilts.miniworld.schemas import write_rows
from stilts.miniworld.situations import LINKS, Knowledge, Situation, knowledge, reading, social
from stilts.miniworld.world import World


def causes(world: World, out: Path) -> None:
    """Write out/copa/copa/ in the source language and out/xcopa/<language>/."""

    def row(code: str, item: Choice, i: int) -> dict:
        first, second = (world.say(code, choice) for choice in item.choices)
        found = {"premise": world.say(code, item.told[0]), "choice1": first, "choice2": second}
        return {**found, "question": item.asked, "idx": i, "label": item.label}

    splits = world.draw("copa", world.sizes_of("copa"), lambda rng, i: cause_or_effect(rng, Sampler(rng)))
    for split in ("train", "validation"):
        write_rows(out, "copa", "copa", split, [row(world.source, x, i) for i, x in enumerate(splits[split])])
    for code in world.languages:
        for split in ("validation", "test"):
            rows = [{**row(code, item, i), "changed": False} for i, item in enumerate(splits[split])]
            write_rows(out, "xcopa", code, split, rows)


def completions(world: World, out: Path) -> None:
    """Write out/hellaswag/default/ in the source language."""
    sizes = world.sizes_of("hellaswag", test=False)
    for split, items in world.draw("hellaswag", sizes, lambda rng, i: completion(rng, Sampler(rng))).items():
        rows = []
        for i, item in enumerate(items):
            told = " ".join(world.say(world.source, event) for event in item.told)
            rows.append(
                {
                    "ind": i,
                    "activity_label": "",
                    "ctx_a": told,
                    "ctx_b": "",
                    "ctx": told,
                    "endings": [world.say(world.source, choice) for choice in item.choices],
                    "source_id": f"mini~{split}~{i}",
                    "split": "val" if split == "validation" else split,
                    "split_type": "indomain",
                    "label": str(item.label),
                }
            )
        write_rows(out, "hellaswag", "default", split, rows)


def _write(world: World, out: Path, task: str, make: Callable[[Random], object], row: Callable) -> None:
    """Write out/<task>/default/ in the source language: make(rng) draws an item, row(item, id) says it."""
    for split, items in world.draw(task, world.sizes_of(task, test=False), lambda rng, i: make(rng)).items():
        rows = [row(item, f"mini-{split}-{i}") for i, item in enumerate(items)]
        write_rows(out, task, "default", split, rows)


def _context(world: World, item: Situation) -> dict[str, str]:
    """What is told, and the question: who or what the asked event begins with, then "so what?" or "because what?"."""
    speaker = world.speakers[world.source]
    told = [word for event in item.told for word in speaker.sentence(event)]
    asked = speaker.what_of(speaker.phrase(item.told[item.about].agent, "agent"), LINKS[item.asked])
    return {"context": speaker.text(told), "question": speaker.text(asked)}


def readings(world: World, out: Path) -> None:
    """Write out/cosmosqa/default/ in the source language."""

    def row(item: Situation, key: str) -> dict:
        said = {f"answer{n}": world.say(world.source, choice) for n, choice in enumerate(item.choices)}
        return {"id": key, **_context(world, item), **said, "label": item.label}

    _write(world, out, "cosmosqa", lambda rng: reading(rng, Sampler(rng)), row)


def social_situations(world: World, out: Path) -> None:
    """Write out/siqa/default/ in the source language; labels are "1" to "3"."""

    def row(item: Situation, key: str) -> dict:
        said = {f"answer{n}": world.say(world.source, choice) for n, choice in zip("ABC", item.choices, strict=True)}
        return {**_context(world, item), **said, "label": str(item.label + 1)}

    _write(world, out, "siqa", lambda rng: social(rng, Sampler(rng)), row)


def common_sense(world: World, out: Path) -> None:
    """Write out/csqa/default/ in the source language; the label is the letter of the right choice."""
    speaker = world.speakers[world.source]

    def row(item: Knowledge, key: str) -> dict:
        if item.asked == "agent":
            question = speaker.question(item.event, "agent")
        else:
            question = speaker.what_of(speaker.clause(item.event), LINKS[item.asked])
        letters = list("ABCDE")
        return {
            "id": key,
            "question": speaker.text(question),
            "question_concept": speaker.word(item.event.verb).form,
            "choices": {"label": letters, "text": [speaker.word(choice).form for choice in item.choices]},
            "answerKey": letters[item.label],
        }

    _write(world, out, "csqa", lambda rng: knowledge(rng, Sampler(rng)), row)
