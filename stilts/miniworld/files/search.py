"""Retrieval: tatoeba and tatoeba_r, bucc and bucc_gold, lareqa, mewslix."""

from __future__ import annotations

import json
from pathlib import Path

from stilts.miniworld import entities, passages
from stilts.miniworld.corpora import write_corpora
from stilts.miniworld.meaning import Sampler
from stilts.miniworld.schemas import write_rows
from stilts.miniworld.world import World


def bitext(world: World, out: Path) -> None:
    """Write out/tatoeba/tatoeba.<language>/ and the same pairs in the layout of out/tatoeba_r/<language>-eng/."""
    sizes = {"validation": world.sizes["tatoeba"]}
    items = world.draw("tatoeba", sizes, lambda rng, i: Sampler(rng).event())["validation"]
    for code in world.others:
        pairs = [(world.say(code, item), world.say(world.source, item)) for item in items]
        of = {"source_lang": code, "target_lang": world.source}
        rows = [{"source_sentence": here, "target_sentence": there, **of} for here, there in pairs]
        write_rows(out, "tatoeba", f"tatoeba.{code}", "validation", rows)
        lang = f"{code}-{world.source}"
        rows = [{"sentence1": here, "sentence2": there, "lang": lang} for here, there in pairs]
        write_rows(out, "tatoeba_r", f"{code}-eng", "test", rows)


def corpora(world: World, out: Path) -> None:
    """Write out/bucc/ and out/bucc_gold/ (see `stilts.miniworld.corpora`)."""
    sizes = {"validation": world.sizes["bucc"] // 2, "test": world.sizes["bucc"]}
    events = world.draw("bucc", sizes, lambda rng, i: Sampler(rng).event())
    write_corpora(out, events, world.languages, world.source, world.say, world.rng)


def answer_retrieval(world: World, out: Path) -> None:
    """Write out/lareqa/<language>.json in the layout of XQuAD-R."""
    rng = world.rng("lareqa")
    sampler = Sampler(rng)
    paragraphs = []
    while len(paragraphs) < world.sizes["lareqa_paragraphs"]:
        filled = rng.choice(passages.FILLED)
        events = passages.passage(rng, sampler, 4, filled)
        slots = sorted({"agent", "patient", filled or "agent"})
        asked = [passages.ask_about(rng, events, i, slot, 0.2) for i in range(4) for slot in slots]
        found = [item for item in asked if item]
        # One passage, so one way of saying it.
        paragraphs.append([item._replace(fronts=found[0].fronts) for item in found])
    folder = out / "lareqa"
    folder.mkdir(parents=True, exist_ok=True)
    for code in world.languages:
        said = []
        for p, asked in enumerate(paragraphs):
            if not asked:
                continue
            items = [passages.say(world.speakers[code], item) for item in asked]
            qas = [
                {
                    "id": f"lareqa-{p}-{q}",
                    "question": item["question"],
                    "answers": [
                        {"text": item["answers"]["text"][0], "answer_start": item["answers"]["answer_start"][0]}
                    ],
                }
                for q, item in enumerate(items)
            ]
            first = items[0]
            said.append(
                {
                    "context": first["context"],
                    "sentences": first["sentences"],
                    "sentence_breaks": first["sentence_breaks"],
                    "qas": qas,
                }
            )
        document = {"data": [{"title": "mini", "paragraphs": said}], "version": "1.1"}
        text = json.dumps(document, ensure_ascii=False, sort_keys=True, indent=1)
        (folder / f"{code}.json").write_text(text + "\n", encoding="utf-8")


def entity_retrieval(world: World, out: Path) -> None:
    """Write out/mewslix/: mentions by language, training pairs of the source language, the candidates' descriptions."""
    rng = world.rng("mewslix")
    size = world.sizes["mewslix_mentions"]
    known = entities.knowledge_base(rng, min(size, 200))
    meant = {
        split: [(k, *entities.mention(rng, Sampler(rng), k)) for k in known]
        for split in ("train", "validation", "test")
    }

    # More training mentions of the same entities, from a generator of their own: they move no other draw.
    more = world.rng("mewslix", "train")
    for i in range(len(known), world.sizes["mewslix_train"]):
        item = known[i % len(known)]
        meant["train"].append((item, *entities.mention(more, Sampler(more), item)))

    def mention(code: str, split: str, i: int) -> dict:
        item, event, slot = meant[split][i]
        text, start, end = entities.say_mention(world.speakers[code], event, slot)
        context = {
            "document_title": "",
            "section_title": "",
            "document_url": "",
            "language": code,
            "text": text,
            "sentence_spans": [{"start": 0, "end": len(text)}],
        }
        key = f"{code}-{split}-{i}"
        return {
            "context": context,
            "mention": {
                "example_id": key,
                "mention_span": {"start": start, "end": end},
                "entity_id": item.entity_id,
            },
        }

    def entity(code: str, item: entities.Known) -> dict:
        title, text = entities.describe(world.speakers[code], item)
        return {
            "entity_id": item.entity_id,
            "title": title,
            "description": text,
            "sentence_spans": [{"start": 0, "end": len(text)}],
            "description_language": code,
        }

    # Each entity is described in one language only, as on Wikipedia a page often exists in few.
    described = [entity(world.languages[i % len(world.languages)], item) for i, item in enumerate(known)]
    write_rows(out, "mewslix", "candidate_entities", "test", described, schema="mewslix_entities")
    for split in ("train", "validation"):
        pairs = [
            {"contextual_mention": mention(world.source, split, i), "entity": entity(world.source, item)}
            for i, (item, *_) in enumerate(meant[split])
        ]
        write_rows(out, "mewslix", "wikipedia_pairs", split, pairs, schema="mewslix_pairs")
    for code in world.languages:
        for split in ("validation", "test"):
            write_rows(out, "mewslix", code, split, [mention(code, split, i) for i in range(len(known))])
