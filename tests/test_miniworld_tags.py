"""The supertags of the mini world: every sentence of every language derives S, as a parser of its own says."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from random import Random

import pytest

from stilts.miniworld import write_world
from stilts.miniworld.files.tags import _words, categories, parsed_sentence
from stilts.miniworld.grammar import Speaker
from stilts.miniworld.languages import LANGUAGES
from stilts.miniworld.lexicon import build_lexicons
from stilts.miniworld.meaning import ROLES, Entity, Event, Sampler
from stilts.miniworld.settings import SIZES, resolve_world

LEXICONS = build_lexicons(resolve_world({"languages": list(LANGUAGES)}))


def split(category: str) -> tuple[str, str, str] | None:
    """A category as (result, slash, argument), None for an atom."""
    depth = 0
    for i in range(len(category) - 1, -1, -1):
        depth += {")": 1, "(": -1}.get(category[i], 0)
        if depth == 0 and category[i] in "/\\":
            return bare(category[:i]), category[i], bare(category[i + 1 :])
    return None


def bare(category: str) -> str:
    """The category without parentheses around the whole."""
    if not category.startswith("("):
        return category
    depth = 0
    for i, sign in enumerate(category):
        depth += {"(": 1, ")": -1}.get(sign, 0)
        if depth == 0:
            return bare(category[1:-1]) if i == len(category) - 1 else category
    raise AssertionError(f"{category} is no category")


def combine(left: str, right: str) -> list[str]:
    """Forward and backward application, N as NP, a conjunction taken as S\\S/S, and the full stop."""
    found = []
    for function, slash, argument in ((left, "/", right), (right, "\\", left)):
        parts = split(function)
        if parts and parts[1] == slash and (parts[2] == argument or (parts[2], argument) == ("NP", "N")):
            found.append(parts[0])
    if left == "conj" and right == "S":
        found.append("S\\S")
    if right == "." and left == "S":
        found.append("S")
    return found


def derives(categories: list[str], goal: str = "S") -> bool:
    """CKY: whether the categories combine to the goal."""
    size = len(categories)
    chart: dict[tuple[int, int], set[str]] = {(i, i + 1): {bare(c)} for i, c in enumerate(categories)}
    for width in range(2, size + 1):
        for start in range(size - width + 1):
            end = start + width
            chart[start, end] = {
                made
                for middle in range(start + 1, end)
                for left in chart[start, middle]
                for right in chart[middle, end]
                for made in combine(left, right)
            }
    return goal in chart[0, size]


def test_the_parser_knows_right_from_wrong():
    words = ["N", "(S\\NP)/NP", "N/N", "N", "((S\\NP)\\(S\\NP))/NP", "N", "."]
    assert derives(words)
    assert not derives([*words[:2], *words[4:]])
    assert not derives(["N", "(S/NP)/NP", "N", "."])
    assert derives(["N", "S\\NP", "conj", "N", "S\\NP", "."])


@pytest.mark.parametrize("code", list(LANGUAGES))
def test_every_sentence_derives_a_statement(code):
    rng = Random(4)
    speaker = Speaker(LEXICONS, code)
    for _ in range(400):
        person = ("is", Entity(Sampler(rng).person()), rng.choice(ROLES), Sampler(rng).place())
        item = person if rng.random() < 0.2 else parsed_sentence(rng)
        tagged = categories(speaker, item)
        assert [word for word, _ in tagged] == _words(speaker, item)
        assert derives([tag for _, tag in tagged]), [(word.form, tag) for word, tag in tagged]


def test_categories_of_known_sentences():
    event = Event("see", Entity("dog", "big"), Entity("cat", None, 3), Entity("park"), "today", negated=True)

    def tags(code: str, *style) -> str:
        return " ".join(tag for _, tag in categories(Speaker(LEXICONS, code), ("event", event, *style)))

    # Avelan: big dog not saw 3 cats in park today.
    assert tags("qaa", False, "") == (
        "N/N N (S\\NP)/(S\\NP) (S\\NP)/NP N/N N ((S\\NP)\\(S\\NP))/NP N (S\\NP)\\(S\\NP) ."
    )
    # In the passive the verb takes its subject alone, and "by" is an adjunct.
    assert tags("qaa", True, "T") == (
        "S/S N/N N (S\\NP)/(S\\NP) S\\NP ((S\\NP)\\(S\\NP))/NP N/N N ((S\\NP)\\(S\\NP))/NP N ."
    )
    # Celmish: not saw dog big 3 cats in park today; the verb takes its subject first.
    assert tags("qac", False, "") == "S/S (S/NP)/NP N N\\N N/N N (S\\S)/NP N S\\S ."
    # Dorvash: today big dog park in 3 cats saw not.
    assert tags("qad", False, "") == ("S/S N/N N N ((S\\NP)/(S\\NP))\\NP N/N N (S\\NP)\\NP (S\\NP)\\(S\\NP) .")


@pytest.mark.parametrize("source", ["qaa", "qad"])
def test_the_files_have_the_form_of_jiant_and_a_word_alone_does_not_say_its_tag(tmp_path, source):
    sizes = {**dict.fromkeys(SIZES, 10), "ccg_train": 600, "validation": 200}
    write_world({"languages": ["qaa", "qad"], "source_language": source, "sizes": sizes}, tmp_path)
    numbers = json.loads((tmp_path / "ccg" / "tags_to_id.json").read_text())
    assert sorted(numbers.values()) == list(range(len(numbers)))
    of_word: dict[str, Counter] = defaultdict(Counter)
    right = total = 0
    for name, size in (("train", 600), ("validation", 200)):
        lines = (tmp_path / "ccg" / f"{name}.tsv").read_text().splitlines()
        assert len(lines) == size
        for line in lines:
            words, tags = (part.split(" ") for part in line.split("\t"))
            assert len(words) == len(tags)
            assert set(tags) <= set(numbers)
            for word, tag in zip(words, tags, strict=True):
                if name == "train":
                    of_word[word][tag] += 1
                else:
                    total += 1
                    right += of_word[word].most_common(1)[0][0] == tag if of_word[word] else 0
    assert 0.8 < right / total < 0.96
