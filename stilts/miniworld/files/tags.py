"""Tagged words: udpos, panx, panx_r, ccg."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

from stilts.miniworld.grammar import Speaker, Word
from stilts.miniworld.meaning import ROLES, Entity, Sampler
from stilts.miniworld.schemas import NER_NAMES, UPOS_NAMES, write_rows
from stilts.miniworld.supertags import Tagged, clause_categories, linked_categories
from stilts.miniworld.world import World

# Entities: names of the test and validation files never occur in the training file.
HALVES = {"train": 0, "validation": 1, "test": 1}


def _sentence(rng: Random, names: float, half: int | None) -> tuple:
    """A meaning to be said: a description, two linked events, or one event with its style."""
    sampler = Sampler(rng, half, names)
    kind = rng.random()
    if kind < 0.15:
        person = Entity(sampler.person())
        return ("is", person, rng.choice(ROLES), sampler.place() if rng.random() < 0.6 else None)
    first = sampler.event(place=0.6, time=0.5, attribute=0.3, count=0.2, negated=0.15, future=0.2)
    if kind < 0.3:
        second = sampler.event(place=0.2, time=0.2, count=0.1)
        return ("link", rng.choice(("so", "because", "and")), first, second)
    return ("event", first, rng.random() < 0.2, rng.choice(("", "", "T", "P")))


def parsed_sentence(rng: Random) -> tuple:
    """As `_sentence`, with more of what makes a category depend on a word's place: adjuncts first and last, voices."""
    sampler = Sampler(rng, names=0.4)
    first = sampler.event(place=0.85, time=0.85, attribute=0.25, count=0.15, negated=0.2, future=0.2)
    if rng.random() < 0.25:
        second = sampler.event(place=0.5, time=0.5, count=0.1, negated=0.2)
        return ("link", rng.choice(("so", "because", "and")), first, second)
    return ("event", first, rng.random() < 0.4, rng.choice(("", "T", "P")))


def _words(speaker: Speaker, item: tuple) -> list[Word]:
    if item[0] == "is":
        return speaker.description(*item[1:])
    return speaker.linked(*item[1:]) if item[0] == "link" else speaker.sentence(*item[1:])


def categories(speaker: Speaker, item: tuple) -> Tagged:
    """The words of `_words` with their lexical categories."""
    kind, *rest = item
    if kind == "is":
        tagged = clause_categories(speaker, speaker.described(*rest))
    elif kind == "link":
        link, *events = rest
        first, second = (clause_categories(speaker, speaker.arranged(event)) for event in events)
        tagged = linked_categories(speaker, first, link, second)
    else:
        event, passive, front = rest
        tagged = clause_categories(speaker, speaker.arranged(event, passive, front), passive)
    return [*tagged, (speaker.stop(), ".")]


def _items(world: World, task: str, split: str, size: int, names: float, half: int | None) -> list[tuple]:
    return world.draw(f"{task} {split}", {split: size}, lambda rng, i: _sentence(rng, names, half))[split]


def parts_of_speech(world: World, out: Path) -> None:
    """Write out/udpos/udpos.<language>/: validation and test in every language, train in the source language."""
    for split, size in world.sizes_of("udpos").items():
        items = _items(world, "udpos", split, size, 0.15, None)
        for code in [world.source] if split == "train" else world.languages:
            said = [_words(world.speakers[code], item) for item in items]
            rows = [{"tokens": [w.form for w in s], "pos_tags": [UPOS_NAMES.index(w.upos) for w in s]} for s in said]
            write_rows(out, "udpos", f"udpos.{code}", split, rows)


def names(world: World, out: Path) -> None:
    """Write out/panx/PAN-X.<language>/ as `parts_of_speech`, and the same rows in WikiANN's layout for panx_r."""
    for split, size in world.sizes_of("panx").items():
        items = _items(world, "panx", split, size, 0.6, HALVES[split])
        for code in [world.source] if split == "train" else world.languages:
            rows = []
            for said in (_words(world.speakers[code], item) for item in items):
                tags = [NER_NAMES.index(w.entity) for w in said]
                rows.append({"tokens": [w.form for w in said], "ner_tags": tags, "langs": [code] * len(said)})
            write_rows(out, "panx", f"PAN-X.{code}", split, rows)
            write_rows(out, "panx_r", code, split, [{**row, "spans": _spans(row)} for row in rows])


def _spans(row: dict) -> list[str]:
    """The names of a sentence as WikiANN lists them: "PER: first last"."""
    found: list[str] = []
    for token, tag in zip(row["tokens"], row["ner_tags"], strict=True):
        name = NER_NAMES[tag]
        if name.startswith("B-"):
            found.append(f"{name[2:]}: {token}")
        elif name.startswith("I-"):
            found[-1] += f" {token}"
    return found


def supertags(world: World, out: Path) -> None:
    """Write out/ccg/{train,validation}.tsv (words TAB categories) and tags_to_id.json, in the source language."""
    folder = out / "ccg"
    folder.mkdir(parents=True, exist_ok=True)
    known: set[str] = set()
    sizes = world.sizes_of("ccg", test=False)
    for split in sizes:
        lines = []
        for item in world.draw("ccg", sizes, lambda rng, i: parsed_sentence(rng))[split]:
            tagged = categories(world.speakers[world.source], item)
            known.update(tag for _, tag in tagged)
            lines.append(" ".join(w.form for w, _ in tagged) + "\t" + " ".join(tag for _, tag in tagged))
        (folder / f"{split}.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="")
    numbers = {tag: number for number, tag in enumerate(sorted(known))}
    (folder / "tags_to_id.json").write_text(json.dumps(numbers, indent=0) + "\n", encoding="utf-8", newline="")
