"""Write a whole mini world: every raw file of every task, the same meanings in every language."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from random import Random

from stilts.miniworld import entities, passages
from stilts.miniworld.choices import Choice, cause_or_effect, completion
from stilts.miniworld.corpora import write_corpora
from stilts.miniworld.documents import DocumentWriter
from stilts.miniworld.grammar import Speaker, Word
from stilts.miniworld.lexicon import build_lexicons
from stilts.miniworld.meaning import ROLES, Entity, Event, Sampler
from stilts.miniworld.pairs import Pair, inference_pair, paraphrase_pair
from stilts.miniworld.schemas import NER_NAMES, UPOS_NAMES, write_rows
from stilts.miniworld.settings import resolve_world


def write_world(spec: dict, out: Path) -> None:
    """Write every raw file of the world described by `spec` (keys and defaults: settings.WORLD_DEFAULTS) under `out`.

    Files: out/<task>/<config>/<split>.parquet in hub schemas, out/mlm_text/<language>.txt (one document a line, a TAB
    between two segments), out/lareqa/<language>.json (XQuAD-R layout). The same spec gives the same bytes.
    Raises UserError for a spec that `resolve_world` refuses.
    """
    World(resolve_world(spec)).write(Path(out))


class World:
    """The meanings of all examples of one world, and their sentences in each language."""

    def __init__(self, world: dict[str, object]) -> None:
        self.world = world
        self.sizes: dict[str, int] = world["sizes"]
        self.languages: list[str] = world["languages"]
        self.source: str = world["source_language"]
        self.lexicons = build_lexicons(world)
        self.speakers = {code: Speaker(self.lexicons, code) for code in self.languages}

    def rng(self, *labels: str) -> Random:
        return Random(" ".join(map(str, (self.world["seed"], *labels))))

    def write(self, out: Path) -> None:
        self.documents(out)
        self.inference(out)
        self.paraphrase(out)
        self.questions(out)
        self.choices(out)
        self.tagging(out)
        self.bitext(out)
        self.corpora(out)
        self.answer_retrieval(out)
        self.entity_retrieval(out)

    # examples
    def draw(self, task: str, sizes: dict[str, int], make: Callable[[Random, int], object]) -> dict[str, list]:
        """Different examples for each split: make(rng, i) draws the i-th; no meaning occurs in two splits or twice."""
        seen: set = set()
        splits: dict[str, list] = {}
        # The small evaluation splits first: they stay the same when the training size changes.
        for split, size in sorted(sizes.items(), key=lambda item: item[0] == "train"):
            rng = self.rng(task, split)
            items: list = []
            for _ in range(100 * size + 1000):
                if len(items) == size:
                    break
                item = make(rng, len(items))
                if item not in seen:
                    seen.add(item)
                    items.append(item)
            splits[split] = items
        return splits

    def documents(self, out: Path) -> None:
        folder = out / "mlm_text"
        folder.mkdir(parents=True, exist_ok=True)
        for code in self.languages:
            writer = DocumentWriter(self.world, self.lexicons, code)
            lines = [writer.document() for _ in range(self.sizes["mlm_documents"])]
            (folder / f"{code}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def inference(self, out: Path) -> None:
        sizes = {"test": self.sizes["eval"], "validation": self.sizes["validation"], "train": self.sizes["mnli_train"]}
        splits = self.draw("inference", sizes, lambda rng, i: inference_pair(rng, Sampler(rng), i % 3))
        splits = {split: self.shuffled(items, "inference", split) for split, items in splits.items()}

        def rows(code: str, split: str, index: bool) -> list[dict]:
            found = []
            for i, pair in enumerate(splits[split]):
                first, second = self.say_pair(code, pair)
                row = {"premise": first, "hypothesis": second, "label": pair.label}
                found.append({**row, "idx": i} if index else row)
            return found

        write_rows(out, "mnli", "mnli", "train", rows(self.source, "train", True))
        write_rows(out, "mnli", "mnli", "validation_matched", rows(self.source, "validation", True))
        for code in self.languages:
            for split in ("validation", "test"):
                write_rows(out, "xnli", code, split, rows(code, split, False))

    def paraphrase(self, out: Path) -> None:
        sizes = {"test": self.sizes["eval"], "validation": self.sizes["validation"], "train": self.sizes["pawsx_train"]}
        splits = self.draw("paraphrase", sizes, lambda rng, i: paraphrase_pair(rng, Sampler(rng), i % 2))
        for split, items in splits.items():
            shuffled = self.shuffled(items, "paraphrase", split)
            for code in [self.source] if split == "train" else self.languages:
                rows = []
                for pair in shuffled:
                    first, second = self.say_pair(code, pair)
                    rows.append({"sentence1": first, "sentence2": second, "label": str(pair.label)})
                write_rows(out, "pawsx", f"PAWS-X.{code}", split, rows)

    def shuffled(self, items: list, task: str, split: str) -> list:
        """The items in an order that the label does not follow."""
        items = list(items)
        self.rng(task, split, "order").shuffle(items)
        return items

    def say_pair(self, code: str, pair: Pair) -> tuple[str, str]:
        speaker = self.speakers[code]
        first = speaker.sentence(pair.first, *pair.first_style)
        return speaker.text(first), speaker.text(speaker.sentence(pair.second, *pair.second_style))

    def questions(self, out: Path) -> None:
        def row(code: str, item: passages.Question, key: str, title: str | None = "") -> dict:
            said = passages.say(self.speakers[code], item)
            found = {"id": key, "context": said["context"], "question": said["question"], "answers": said["answers"]}
            return found if title is None else {**found, "title": title}

        source = self.source
        sizes = {
            "train": self.sizes["squad1_train"],
            "validation": self.sizes["validation"],
            "xquad": self.sizes["eval"],
        }
        splits = self.draw("squad", sizes, lambda rng, i: passages.question(rng, Sampler(rng)))
        for split in ("train", "validation"):
            rows = [row(source, item, f"squad-{split}-{i}") for i, item in enumerate(splits[split])]
            write_rows(out, "squad1", "plain_text", split, rows)
        for code in self.languages:
            rows = [row(code, item, f"xquad-{i}", None) for i, item in enumerate(splits["xquad"])]
            write_rows(out, "xquad", f"xquad.{code}", "validation", rows)

        self.controls(out / "xquad", splits["xquad"])

        def squad2(rng: Random, i: int) -> passages.Question:
            # As in SQuAD 2.0, about a third of the training questions has no answer, half in validation.
            draw = passages.unanswerable if i % 3 == 0 else passages.question
            return draw(rng, Sampler(rng))

        sizes = {"train": self.sizes["squad2_train"], "validation": self.sizes["validation"]}
        splits = self.draw("squad2", sizes, squad2)
        for split, items in splits.items():
            rows = [row(source, x, f"squad2-{split}-{i}") for i, x in enumerate(self.shuffled(items, "squad2", split))]
            write_rows(out, "squad2", "squad_v2", split, rows)

        sizes = {"train": self.sizes["tydiqa_train"], "validation": self.sizes["eval"]}
        splits = self.draw("tydiqa", sizes, lambda rng, i: passages.question(rng, Sampler(rng), rng.choice((2, 3))))
        for split, items in splits.items():
            rows = []
            for code in self.languages:
                # As in TyDiQA the languages' training sets are of their own; few but the source's matter here.
                own = items if split == "validation" or code == source else items[: max(1, len(items) // 10)]
                rows += [row(code, item, f"{code}--{split}-{i}-0") for i, item in enumerate(own)]
            write_rows(out, "tydiqa", "secondary_task", split, rows)
        self.controls(out / "tydiqa", splits["validation"])

    def controls(self, folder: Path, items: list[passages.Question]) -> None:
        """Write folder/controls.json: language -> what the type-chance control scores on a task's test questions."""
        found = {code: passages.type_chance(self.speakers[code], items) for code in self.languages}
        (folder / "controls.json").write_text(json.dumps(found, indent=1, sort_keys=True) + "\n", encoding="utf-8")

    def choices(self, out: Path) -> None:
        def say(code: str, event: Event) -> str:
            return self.speakers[code].text(self.speakers[code].sentence(event))

        def copa(code: str, item: Choice, i: int) -> dict:
            first, second = (say(code, choice) for choice in item.choices)
            premise = say(code, item.told[0])
            return {
                "premise": premise,
                "choice1": first,
                "choice2": second,
                "question": item.asked,
                "idx": i,
                "label": item.label,
            }

        sizes = {"test": self.sizes["eval"], "validation": self.sizes["validation"], "train": self.sizes["copa_train"]}
        splits = self.draw("copa", sizes, lambda rng, i: cause_or_effect(rng, Sampler(rng)))
        for split in ("train", "validation"):
            write_rows(out, "copa", "copa", split, [copa(self.source, x, i) for i, x in enumerate(splits[split])])
        for code in self.languages:
            for split in ("validation", "test"):
                rows = [{**copa(code, item, i), "changed": False} for i, item in enumerate(splits[split])]
                write_rows(out, "xcopa", code, split, rows)

        sizes = {"validation": self.sizes["validation"], "train": self.sizes["hellaswag_train"]}
        for split, items in self.draw("hellaswag", sizes, lambda rng, i: completion(rng, Sampler(rng))).items():
            rows = []
            for i, item in enumerate(items):
                told = " ".join(say(self.source, event) for event in item.told)
                rows.append(
                    {
                        "ind": i,
                        "activity_label": "",
                        "ctx_a": told,
                        "ctx_b": "",
                        "ctx": told,
                        "endings": [say(self.source, choice) for choice in item.choices],
                        "source_id": f"mini~{split}~{i}",
                        "split": "val" if split == "validation" else split,
                        "split_type": "indomain",
                        "label": str(item.label),
                    }
                )
            write_rows(out, "hellaswag", "default", split, rows)

    def tagging(self, out: Path) -> None:
        def sentence(rng: Random, names: float, half: int | None) -> tuple:
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

        def words(code: str, item: tuple) -> list[Word]:
            speaker = self.speakers[code]
            if item[0] == "is":
                return speaker.description(*item[1:])
            return speaker.linked(*item[1:]) if item[0] == "link" else speaker.sentence(*item[1:])

        # Entities: names of the test and validation files never occur in the training file.
        plans = {
            "udpos": (0.15, dict.fromkeys(("train", "validation", "test"))),
            "panx": (0.6, {"train": 0, "validation": 1, "test": 1}),
        }
        for task, (names, halves) in plans.items():
            sizes = {
                "test": self.sizes["eval"],
                "validation": self.sizes["validation"],
                "train": self.sizes[f"{task}_train"],
            }
            for split, size in sizes.items():
                items = self.draw(
                    f"{task} {split}", {split: size}, lambda rng, i, h=halves[split], n=names: sentence(rng, n, h)
                )[split]
                for code in [self.source] if split == "train" else self.languages:
                    said = [words(code, item) for item in items]
                    if task == "udpos":
                        rows = [
                            {"tokens": [w.form for w in s], "pos_tags": [UPOS_NAMES.index(w.upos) for w in s]}
                            for s in said
                        ]
                        write_rows(out, task, f"udpos.{code}", split, rows)
                    else:
                        rows = [
                            {
                                "tokens": [w.form for w in s],
                                "ner_tags": [NER_NAMES.index(w.entity) for w in s],
                                "langs": [code] * len(s),
                            }
                            for s in said
                        ]
                        write_rows(out, task, f"PAN-X.{code}", split, rows)

    def bitext(self, out: Path) -> None:
        items = self.draw("tatoeba", {"validation": self.sizes["tatoeba"]}, lambda rng, i: Sampler(rng).event())[
            "validation"
        ]
        for code in self.languages:
            if code == self.source:
                continue
            said = [(self.say(code, item), self.say(self.source, item)) for item in items]
            pair = {"source_lang": code, "target_lang": self.source}
            rows = [{"source_sentence": here, "target_sentence": there, **pair} for here, there in said]
            write_rows(out, "tatoeba", f"tatoeba.{code}", "validation", rows)
            lang = f"{code}-{self.source}"
            rows = [{"sentence1": here, "sentence2": there, "lang": lang} for here, there in said]
            write_rows(out, "tatoeba_r", f"{code}-eng", "test", rows)

    def corpora(self, out: Path) -> None:
        sizes = {"validation": self.sizes["bucc"] // 2, "test": self.sizes["bucc"]}
        events = self.draw("bucc", sizes, lambda rng, i: Sampler(rng).event())
        write_corpora(out, events, self.languages, self.source, self.say, self.rng)

    def say(self, code: str, event: Event) -> str:
        """The sentence of an event in a language."""
        return self.speakers[code].text(self.speakers[code].sentence(event))

    def answer_retrieval(self, out: Path) -> None:
        rng = self.rng("lareqa")
        sampler = Sampler(rng)
        paragraphs = []
        while len(paragraphs) < self.sizes["lareqa_paragraphs"]:
            filled = rng.choice(passages.FILLED)
            events = passages.passage(rng, sampler, 4, filled)
            slots = sorted({"agent", "patient", filled or "agent"})
            asked = [passages.ask_about(rng, events, i, slot, 0.2) for i in range(4) for slot in slots]
            found = [item for item in asked if item]
            # One passage, so one way of saying it.
            paragraphs.append([item._replace(fronts=found[0].fronts) for item in found])
        folder = out / "lareqa"
        folder.mkdir(parents=True, exist_ok=True)
        for code in self.languages:
            said = []
            for p, asked in enumerate(paragraphs):
                if not asked:
                    continue
                items = [passages.say(self.speakers[code], item) for item in asked]
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

    def entity_retrieval(self, out: Path) -> None:
        rng = self.rng("mewslix")
        size = self.sizes["mewslix_mentions"]
        known = entities.knowledge_base(rng, min(size, 200))
        meant = {
            split: [(k, *entities.mention(rng, Sampler(rng), k)) for k in known]
            for split in ("train", "validation", "test")
        }

        # More training mentions of the same entities, from a generator of their own: they move no other draw.
        more = self.rng("mewslix", "train")
        for i in range(len(known), self.sizes["mewslix_train"]):
            item = known[i % len(known)]
            meant["train"].append((item, *entities.mention(more, Sampler(more), item)))

        def mention(code: str, split: str, i: int) -> dict:
            item, event, slot = meant[split][i]
            text, start, end = entities.say_mention(self.speakers[code], event, slot)
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
            title, text = entities.describe(self.speakers[code], item)
            return {
                "entity_id": item.entity_id,
                "title": title,
                "description": text,
                "sentence_spans": [{"start": 0, "end": len(text)}],
                "description_language": code,
            }

        # Each entity is described in one language only, as on Wikipedia a page often exists in few.
        described = [entity(self.languages[i % len(self.languages)], item) for i, item in enumerate(known)]
        write_rows(out, "mewslix", "candidate_entities", "test", described, schema="mewslix_entities")
        for split in ("train", "validation"):
            pairs = [
                {"contextual_mention": mention(self.source, split, i), "entity": entity(self.source, item)}
                for i, (item, *_) in enumerate(meant[split])
            ]
            write_rows(out, "mewslix", "wikipedia_pairs", split, pairs, schema="mewslix_pairs")
        for code in self.languages:
            for split in ("validation", "test"):
                write_rows(out, "mewslix", code, split, [mention(code, split, i) for i in range(len(known))])
