"""The intermediate tasks of the mini world, read back from their rows: words and a lexicon give every label again."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest

from stilts.miniworld import write_world
from stilts.miniworld.lexicon import build_lexicons
from stilts.miniworld.meaning import (
    ADJECTIVES,
    ANIMATE_VERBS,
    ANTONYM,
    HYPERNYM,
    NOUNS,
    THING_VERBS,
    TIMES,
    VERBS,
)
from stilts.miniworld.settings import SIZES, resolve_world

SPEC = {
    "seed": 3,
    "languages": ["qaa", "qab"],
    "sizes": {
        **dict.fromkeys(SIZES, 20),
        **dict.fromkeys(("anli_train", "snli_train", "qqp_train", "cosmosqa_train", "csqa_train", "siqa_train"), 400),
    },
}
LEXICON = build_lexicons(resolve_world(SPEC))["qaa"]
CONCEPTS = {form: concept for concept, form in LEXICON.word.items()}
NAMES = {form: key for key, form in LEXICON.name.items()}
WH = {"who": "agent", "whom": "patient", "where": "place", "when": "time"}


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    out = tmp_path_factory.mktemp("world")
    write_world(SPEC, out)
    return out


def rows(world, path: str) -> list[dict]:
    found = pq.read_table(world / f"{path}.parquet").to_pylist()
    assert len(found) >= 100
    return found


def concepts(text: str) -> list[str]:
    """The concepts of a sentence of Avelan (qaa): endings off, the two parts of a name apart."""
    endings = ("", LEXICON.suffix["plural"], LEXICON.suffix["passive"])
    found = []
    for word in text.rstrip(".?").split():
        roots = [word.removesuffix(ending) for ending in endings if word.endswith(ending)]
        found.append(next(CONCEPTS.get(root) or NAMES[root] for root in roots if root in CONCEPTS or root in NAMES))
    return found


def understand(text: str) -> dict[str, str]:
    """Slot -> value of a statement or question in Avelan: agent before the verb, patient after it, "in" before a place.

    A question's `ask` is the slot of its question word.
    """
    said: dict[str, str] = {}
    side, attribute = "agent", None
    for concept in concepts(text):
        if concept in VERBS:
            said["verb"], side = concept, "patient"
        elif concept == "in":
            before, side = side, "place"
        elif concept in TIMES:
            said["time"] = concept
        elif concept in ADJECTIVES:
            attribute = concept
        elif concept in WH:
            said["ask"] = WH[concept]
        elif concept.isdigit() or concept in ("not", "future"):
            said[concept if concept in ("not", "future") else f"{side}_count"] = concept
        else:
            assert concept in NOUNS or ":" in concept, concept
            said[side] = f"{said[side]} {concept}" if side in said else concept
            if attribute:
                said[f"{side}_attribute"], attribute = attribute, None
            if side == "place" and not concept.startswith("first:"):
                side = before
    return said


def sentences(text: str) -> list[dict[str, str]]:
    return [understand(sentence) for sentence in text.split(".") if sentence.strip()]


def inference(premise: list[dict[str, str]], hypothesis: dict[str, str]) -> int:
    """0 entailment, 1 neutral, 2 contradiction: what one event says of the hypothesis."""

    def about(event: dict[str, str]) -> bool:
        sides = all(hypothesis[s] in (event[s], HYPERNYM.get(event[s])) for s in ("agent", "patient"))
        return event["verb"] == hypothesis["verb"] and sides

    told = [event for event in premise if about(event)]
    assert len(told) <= 1
    if not told:
        return 1
    label = 0
    for slot, value in hypothesis.items():
        if slot in ("verb", "agent", "patient") or told[0].get(slot) == value:
            continue
        if slot in told[0] and (slot in ("place", "time") or ANTONYM[value] == told[0][slot]):
            return 2
        label = 1
    return label


def test_anli_labels_stand_in_the_words(world):
    for number, size in ((1, 2), (2, 3), (3, 3)):
        found = rows(world, f"anli/plain_text/train_r{number}")
        for row in found:
            premise = sentences(row["premise"])
            assert len(premise) == size
            assert inference(premise, understand(row["hypothesis"])) == row["label"], row
        assert {row["label"] for row in found} == {0, 1, 2}
        classes = [set(concepts(row["hypothesis"])) & {"person", "animal", "thing"} for row in found]
        assert any(classes) == (number == 3)


def test_snli_labels_stand_in_the_words_and_some_are_missing(world):
    found = rows(world, "snli/plain_text/train")
    for row in found:
        if row["label"] != -1:
            assert inference(sentences(row["premise"]), understand(row["hypothesis"])) == row["label"], row
    assert 0 < sum(row["label"] == -1 for row in found) < 0.05 * len(found)


def test_qqp_labels_stand_in_the_words(world):
    found = rows(world, "qqp/qqp/train")
    for row in found:
        assert row["question1"] != row["question2"]
        assert (understand(row["question1"]) == understand(row["question2"])) == row["label"], row
    assert sum(row["label"] for row in found) == len(found) // 2


def effect_of(verb: str) -> str:
    """The verb that usually follows, by the place in its list (the scripts are rings)."""
    ring = ANIMATE_VERBS if verb in ANIMATE_VERBS else THING_VERBS
    return ring[(ring.index(verb) + 1) % len(ring)]


def asked_for(question: str) -> tuple[list[str], str]:
    """What the question names, and its direction: "so what" or "because what"."""
    *named, link, what = concepts(question)
    assert what == "what"
    return named, link


def fits(link: str, told: str, choice: str) -> bool:
    return effect_of(told) == choice if link == "so" else effect_of(choice) == told


@pytest.mark.parametrize(("task", "choices"), [("cosmosqa", "answer0 answer1 answer2 answer3"),
                                               ("siqa", "answerA answerB answerC")])  # fmt: skip
def test_situations_have_one_right_answer_in_the_words(world, task, choices):
    links = set()
    for row in rows(world, f"{task}/default/train"):
        named, link = asked_for(row["question"])
        links.add(link)
        who = " ".join(concept for concept in named if concept not in ADJECTIVES)
        (event,) = [event for event in sentences(row["context"]) if event["agent"] == who]
        right = []
        for number, column in enumerate(choices.split()):
            choice = understand(row[column])
            same = (choice["agent"], choice["patient"]) == (event["agent"], event["patient"])
            if same and fits(link, event["verb"], choice["verb"]):
                right.append(number)
        assert right == [int(row["label"]) - (task == "siqa")], row
    assert links == {"so", "because"}


def test_common_sense_has_one_right_verb(world):
    for row in rows(world, "csqa/default/train"):
        named, link = asked_for(row["question"])
        (verb,) = [concept for concept in named if concept in VERBS]
        assert row["question_concept"] == LEXICON.word[verb]
        offered = [CONCEPTS[form] for form in row["choices"]["text"]]
        right = [letter for letter, choice in zip("ABCDE", offered, strict=True) if fits(link, verb, choice)]
        assert right == [row["answerKey"]], row
        assert row["choices"]["label"] == list("ABCDE")
        assert len(set(offered)) == 5


def test_no_test_question_was_trained_on(world):
    """MLQA's questions stand in no other file, SNLI's pairs not in XNLI, SQuAD 2.0's not in XQuAD."""

    def keys(paths: list[str], *columns: str) -> set[tuple]:
        return {tuple(row[c] for c in columns) for path in paths
                for row in pq.read_table(world / f"{path}.parquet").to_pylist()}  # fmt: skip

    asked = ("context", "question")
    squad = keys(["squad1/plain_text/train", "squad1/plain_text/validation", "squad2/squad_v2/train"], *asked)
    assert squad.isdisjoint(keys(["mlqa/mlqa.qaa.qaa/test", "mlqa/mlqa.qaa.qaa/validation"], *asked))
    assert keys(["squad2/squad_v2/train"], *asked).isdisjoint(keys(["xquad/xquad.qaa/validation"], *asked))
    told = ("premise", "hypothesis")
    assert keys(["snli/plain_text/train"], *told).isdisjoint(keys(["xnli/qaa/test"], *told))
