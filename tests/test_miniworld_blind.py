"""The intermediate tasks of the mini world with a part hidden: what is left says nothing, or no more than stated."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from stilts.miniworld import passages
from stilts.miniworld.duplicates import duplicate_label, question_pair
from stilts.miniworld.grammar import Speaker
from stilts.miniworld.lexicon import build_lexicons
from stilts.miniworld.meaning import ANIMATE_VERBS, CAUSE, EFFECT, THING_VERBS, Sampler
from stilts.miniworld.pairs import inference_label, photograph_pair
from stilts.miniworld.premises import reading_label, reading_pair
from stilts.miniworld.settings import resolve_world
from stilts.miniworld.situations import knowledge, reading, right_knowledge, right_situation, social
from tests.blind_case import blind_score

SPEAKER = Speaker(build_lexicons(resolve_world({})), "qaa")


def draw(make, size: int, **sampler) -> list:
    rng = Random(2)
    items = [make(rng, Sampler(rng, **sampler), i) for i in range(size)]
    Random(0).shuffle(items)
    return items


def forms(*said) -> list[str]:
    return [word.form for words in said for word in words]


def premise(item) -> list[str]:
    return forms(*(SPEAKER.sentence(e, False, f) for e, f in zip(item.events, item.fronts, strict=False)))


def hypothesis(item) -> list[str]:
    return forms(SPEAKER.sentence(item.hypothesis, False, item.fronts[-1]))


def question(asked) -> list[str]:
    return forms(SPEAKER.question(*asked))


def sentence(item, side: str) -> list[str]:
    return forms(SPEAKER.sentence(getattr(item, side), *getattr(item, f"{side}_style")))


ANLI = {number: draw(lambda rng, s, i, n=number: reading_pair(rng, s, n, i % 3), 4500, names=0.0) for number in (1, 3)}
QQP = draw(lambda rng, s, i: question_pair(rng, s, i % 2), 4500)
SNLI = draw(lambda rng, s, i: photograph_pair(rng, s, i % 3), 4500)
SQUAD2 = draw(lambda rng, s, i: (passages.unanswerable if i % 2 else passages.question)(rng, s), 3000)
SITUATIONS = {make: draw(lambda rng, s, i, make=make: make(rng, s), 2500) for make in (reading, social, knowledge)}


def test_labels_follow_from_the_meanings():
    assert all(reading_label(item.events, item.hypothesis) == item.label for items in ANLI.values() for item in items)
    assert all(duplicate_label(pair.first, pair.second) == pair.label for pair in QQP)
    assert all(inference_label(pair.first, pair.second) == pair.label for pair in SNLI)
    assert all(right_situation(item) == item.label for make in (reading, social) for item in SITUATIONS[make])
    assert all(right_knowledge(item) == item.label for item in SITUATIONS[knowledge])


BLIND = {
    "anli r1, premise": (ANLI[1], premise),
    "anli r1, hypothesis": (ANLI[1], hypothesis),
    "anli r3, premise": (ANLI[3], premise),
    "anli r3, hypothesis": (ANLI[3], hypothesis),
    "qqp, first": (QQP, lambda item: question(item.first)),
    "qqp, second": (QQP, lambda item: question(item.second)),
    "snli, premise": (SNLI, lambda item: sentence(item, "first")),
    "snli, hypothesis": (SNLI, lambda item: sentence(item, "second")),
}


@pytest.mark.parametrize("what", BLIND)
def test_one_text_of_a_pair_says_nothing(what):
    items, say = BLIND[what]
    score, bar = blind_score([say(item) for item in items], [item.label for item in items])
    assert score < bar, f"{what} alone scores {score:.3f}"


def test_a_question_alone_does_not_say_whether_it_has_an_answer():
    texts = [forms(SPEAKER.question(item.kept, item.ask)) for item in SQUAD2]
    score, bar = blind_score(texts, [int(item.meant is None) for item in SQUAD2])
    assert score < bar, f"squad2: the question alone scores {score:.3f}"


@pytest.mark.parametrize("make", SITUATIONS, ids=lambda make: make.__name__)
def test_an_alternative_alone_says_nothing(make):
    texts, labels = [], []
    for item in SITUATIONS[make]:
        for choice, label in ((item.label, 1), ((item.label + 1) % len(item.choices), 0)):
            said = item.choices[choice]
            texts.append([said] if make is knowledge else forms(SPEAKER.sentence(said)))
            labels.append(label)
    score, bar = blind_score(texts, labels)
    assert score < bar, f"{make.__name__}: an alternative alone scores {score:.3f}"


@pytest.mark.parametrize("make", SITUATIONS, ids=lambda make: make.__name__)
def test_what_comes_before_the_alternatives_does_not_say_where_the_right_one_is(make):
    places = Counter(item.label for item in SITUATIONS[make])
    size = len(SITUATIONS[make][0].choices)
    mean, spread = 2500 / size, (2500 / size * (1 - 1 / size)) ** 0.5
    assert all(abs(places[place] - mean) < 4 * spread for place in range(size))


def ring_of(verb: str) -> list[str]:
    return ANIMATE_VERBS if verb in ANIMATE_VERBS else THING_VERBS


@pytest.mark.parametrize("make", SITUATIONS, ids=lambda make: make.__name__)
def test_all_alternatives_together_say_nothing(make):
    """They differ in the verb alone; how many neighbours in its script a verb has among them does not matter."""
    size = len(SITUATIONS[make][0].choices)
    near: dict[int, list[bool]] = {}
    for item in SITUATIONS[make]:
        verbs = [getattr(choice, "verb", choice) for choice in item.choices]
        assert len(set(verbs)) == size
        assert make is knowledge or len({(choice.agent, choice.patient) for choice in item.choices}) == 1
        for place, verb in enumerate(verbs):
            neighbours = len({EFFECT[verb], CAUSE[verb]} & set(verbs))
            near.setdefault(neighbours, []).append(place == item.label)
    assert set(near) == {0, 1, 2}
    for hits in near.values():
        assert abs(sum(hits) - len(hits) / size) < 4 * (len(hits) / size * (1 - 1 / size)) ** 0.5


def expected(item, candidates: set[str]) -> float:
    """The chance of a reader who takes any of the candidates that are offered, or any alternative if none is."""
    offered = [c.verb for c in item.choices if c.verb in candidates]
    return (item.choices[item.label].verb in offered) / len(offered) if offered else 1 / len(item.choices)


@pytest.mark.parametrize(("make", "bars"), [(reading, (0.79, 0.79, 0.52)), (social, (0.86, 1.0, 0.86))])
def test_readers_of_a_part_are_wrong_as_often_as_stated(make, bars):
    """The bars of docs/mini_world.md: without the direction, without who is asked about, without both."""
    found = [0.0, 0.0, 0.0]
    for item in SITUATIONS[make]:
        event, ahead = item.told[item.about], EFFECT if item.asked == "effect" else CAUSE
        parts = ({EFFECT[event.verb], CAUSE[event.verb]}, {ahead[e.verb] for e in item.told})
        both = {way[e.verb] for e in item.told for way in (EFFECT, CAUSE)}
        for i, candidates in enumerate((*parts, both)):
            found[i] += expected(item, candidates) / len(SITUATIONS[make])
    assert found == pytest.approx(bars, abs=0.02)


def shared_words(first: list[str], second: list[str]) -> int:
    """How many words of the second text do not stand in the first."""
    return len(set(second) - set(first))


@pytest.mark.parametrize(("what", "bound"), [("anli", 0.55), ("qqp", 0.75)])
def test_shared_words_say_no_more_than_stated(what, bound):
    """The bar of docs/mini_world.md: the best guess from the number of words that only the second text has."""
    if what == "anli":
        seen = [(shared_words(premise(item), hypothesis(item)), item.label) for item in ANLI[1]]
    else:
        seen = [(shared_words(question(item.first), question(item.second)), item.label) for item in QQP]
    table: dict[int, Counter] = {}
    for missing, label in seen:
        table.setdefault(missing, Counter())[label] += 1
    best = sum(max(counts.values()) for counts in table.values()) / len(seen)
    print(what, best)
    assert best < bound
