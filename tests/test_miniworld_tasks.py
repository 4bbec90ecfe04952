"""The tasks of the mini world: gold labels follow from the meanings, and one input alone says nothing."""

from __future__ import annotations

from random import Random

import pytest

from stilts.miniworld import passages
from stilts.miniworld.choices import cause_or_effect, completion, right_choice
from stilts.miniworld.grammar import Speaker
from stilts.miniworld.languages import LANGUAGES
from stilts.miniworld.lexicon import build_lexicons
from stilts.miniworld.meaning import Sampler
from stilts.miniworld.pairs import inference_label, inference_pair, paraphrase_label, paraphrase_pair
from stilts.miniworld.settings import resolve_world
from tests.blind_case import blind_score

LEXICONS = build_lexicons(resolve_world({"languages": list(LANGUAGES)}))


def draw(make, size: int, seed: int = 1) -> list:
    rng = Random(seed)
    return [make(rng, Sampler(rng), i) for i in range(size)]


def test_inference_labels_follow_from_the_meanings():
    pairs = draw(lambda rng, sampler, i: inference_pair(rng, sampler, i % 3), 3000)
    assert all(inference_label(pair.first, pair.second) == pair.label for pair in pairs)


def test_paraphrase_labels_follow_from_the_meanings():
    pairs = draw(lambda rng, sampler, i: paraphrase_pair(rng, sampler, i % 2), 2000)
    assert all(paraphrase_label(pair.first, pair.second) == pair.label for pair in pairs)
    speaker = Speaker(LEXICONS, "qaa")
    for pair in pairs[:200]:
        # Hard by construction: both sentences of a non-paraphrase use the very same words but for voice marks.
        first, second = (sorted(w.form for w in speaker.sentence(event)) for event in (pair.first, pair.second))
        assert first == second


def test_choices_follow_from_the_meanings():
    for make in (cause_or_effect, completion):
        for item in draw(lambda rng, sampler, i, make=make: make(rng, sampler), 1000):
            assert right_choice(item) == item.label
            assert len(set(item.choices)) == len(item.choices)


def test_a_question_has_one_answer_and_an_unanswerable_one_has_none():
    for item in draw(lambda rng, sampler, i: passages.question(rng, sampler), 1000):
        assert [passages.answers(item.kept, item.ask, e) for e in item.events].count(True) == 1
        assert passages.answers(item.kept, item.ask, item.events[item.meant])
    for item in draw(lambda rng, sampler, i: passages.unanswerable(rng, sampler), 500):
        assert item.meant is None
        assert not any(passages.answers(item.kept, item.ask, e) for e in item.events)


@pytest.mark.parametrize("code", list(LANGUAGES))
def test_answers_stand_in_their_contexts(code):
    speaker = Speaker(LEXICONS, code)
    for item in draw(lambda rng, sampler, i: passages.question(rng, sampler), 200):
        said = passages.say(speaker, item)
        (text,), (start,) = said["answers"]["text"], said["answers"]["answer_start"]
        assert text
        assert said["context"][start : start + len(text)] == text
        low, high = said["sentence_breaks"][item.meant]
        assert low <= start < high
        assert said["sentences"][item.meant] == said["context"][low:high]


# One-input-only controls


def words_of(speaker: Speaker, *said) -> list[str]:
    return [word.form for words in said for word in words]


@pytest.mark.parametrize("task", ["inference", "paraphrase"])
@pytest.mark.parametrize("side", ["first", "second"])
def test_one_sentence_of_a_pair_says_nothing(task, side):
    make = inference_pair if task == "inference" else paraphrase_pair
    pairs = draw(lambda rng, sampler, i: make(rng, sampler, i % (3 if task == "inference" else 2)), 4500, seed=2)
    Random(0).shuffle(pairs)
    speaker = Speaker(LEXICONS, "qaa")
    texts = [words_of(speaker, speaker.sentence(getattr(p, side), *getattr(p, f"{side}_style"))) for p in pairs]
    score, bar = blind_score(texts, [p.label for p in pairs])
    assert score < bar, f"{task}: the {side} sentence alone scores {score:.3f}"


@pytest.mark.parametrize("make", [cause_or_effect, completion])
def test_an_alternative_alone_says_nothing(make):
    items = draw(lambda rng, sampler, i: make(rng, sampler), 2500, seed=2)
    speaker = Speaker(LEXICONS, "qaa")
    texts, labels = [], []
    for item in items:
        wrong = item.choices[(item.label + 1) % len(item.choices)]
        for choice, label in ((item.choices[item.label], 1), (wrong, 0)):
            texts.append(words_of(speaker, speaker.sentence(choice)))
            labels.append(label)
    score, bar = blind_score(texts, labels)
    assert score < bar, f"{make.__name__}: an alternative alone scores {score:.3f}"


def test_the_bar_catches_an_artefact():
    """The control controlled: hypotheses denied only in contradictions must be found out."""
    rng = Random(1)
    texts = [["a", rng.choice("bcd"), "not"] if i % 3 == 2 else ["a", rng.choice("bcd")] for i in range(3000)]
    score, bar = blind_score(texts, [i % 3 for i in range(3000)])
    assert score > bar


def test_choosing_a_span_of_the_right_type_is_often_wrong():
    """Type-chance: a random slot of the asked type answers at most half of the questions."""
    items = draw(lambda rng, sampler, i: passages.question(rng, sampler), 600)
    for code in ("qaa", "qae"):
        chance = passages.type_chance(Speaker(LEXICONS, code), items)
        assert 25 < chance["exact_match"] <= chance["f1"] < 50
