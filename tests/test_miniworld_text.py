"""The words of the mini world: languages are parallel, spans point where they say, settings are checked."""

from __future__ import annotations

from random import Random

import pytest

from stilts.errors import UserError
from stilts.miniworld.documents import DocumentWriter
from stilts.miniworld.grammar import Speaker
from stilts.miniworld.languages import LANGUAGES
from stilts.miniworld.lexicon import Lexicon, build_lexicons
from stilts.miniworld.meaning import CONTENT, FUNCTION, Entity, Event, Sampler, slot_values
from stilts.miniworld.settings import SIZES, WORLD_DEFAULTS, resolve_world

ALL = resolve_world({"languages": list(LANGUAGES)})
LEXICONS = build_lexicons(ALL)


def understand(words, lexicon: Lexicon) -> dict[str, object]:
    """What a statement says, read back from its words by the lexicon alone, with the slots the words claim."""
    concepts = {form: concept for concept, form in lexicon.word.items()}
    names = {form: key for key, form in lexicon.name.items()}
    endings = [""] + [a + b for a in [*lexicon.suffix.values(), ""] for b in [*lexicon.suffix.values(), ""] if a + b]
    endings.sort(key=len)  # the longest root is the word
    found: dict[str, list[str]] = {}
    for word in words:
        if not word.slot:
            continue
        for ending in endings:
            root = word.form.removesuffix(ending) if ending else word.form
            meaning = concepts.get(root) or names.get(root)
            if meaning and (ending == "" or word.form.endswith(ending)):
                found.setdefault(word.slot, []).append(meaning)
                break
        else:
            raise AssertionError(f"no such word in {lexicon.language.name}: {word.form}")
    return {slot: " ".join(parts) for slot, parts in found.items()}


@pytest.mark.parametrize("code", list(LANGUAGES))
def test_a_sentence_says_its_meaning_in_every_language(code):
    rng = Random(3)
    sampler = Sampler(rng)
    speaker = Speaker(LEXICONS, code)
    for _ in range(300):
        event = sampler.event(negated=0.3, count=0.3, future=0.3)
        said = understand(speaker.sentence(event, rng.random() < 0.3, rng.choice(("", "T", "P"))), LEXICONS[code])
        meant = {slot: str(value) for slot, value in slot_values(event).items()}
        for flag, concept in (("negated", "not"), ("future", "future")):
            if flag in meant:
                meant[flag] = concept
            if flag == "future" and LANGUAGES[code].future == "suffix":
                meant.pop("future", None)
        assert said == meant


@pytest.mark.parametrize("code", list(LANGUAGES))
def test_languages_have_own_words_and_no_word_means_two_things(code):
    lexicon = LEXICONS[code]
    words = [lexicon.word[concept] for concept in CONTENT + FUNCTION]
    assert len(set(words)) == len(words)
    assert len(set(lexicon.name.values())) == len(lexicon.name)
    if code != "qaa":
        shared = sum(lexicon.word[c] == LEXICONS["qaa"].word[c] for c in CONTENT) / len(CONTENT)
        assert shared <= (0.3 if code == "qac" else 0.0)


def test_languages_differ_in_word_order():
    event = Event("see", Entity("dog"), Entity("cat"), Entity("park"), "today")
    orders = {
        code: tuple(word.slot for word in Speaker(LEXICONS, code).clause(event) if word.slot) for code in LANGUAGES
    }
    assert orders["qaa"] == ("agent", "verb", "patient", "place", "time")
    assert orders["qac"] == ("verb", "agent", "patient", "place", "time")
    assert orders["qad"] == ("time", "agent", "place", "patient", "verb")
    assert len(set(orders.values())) == len(orders)


@pytest.mark.parametrize("code", list(LANGUAGES))
def test_word_offsets_point_at_the_words(code):
    sampler = Sampler(Random(5))
    speaker = Speaker(LEXICONS, code)
    for _ in range(100):
        text = speaker.join(speaker.sentence(sampler.event(count=0.3)))
        assert [text.text[a:b] for a, b in text.spans] == [word.form for word in text.words]


def test_an_unspaced_language_has_spaces_only_around_foreign_letters_and_digits():
    speaker = Speaker(LEXICONS, "qae")
    event = Event("see", Entity("dog"), Entity("cat"), Entity("park"), "today")
    assert " " not in speaker.text(speaker.sentence(event))
    assert " 3 " in speaker.text(speaker.sentence(event._replace(patient=Entity("cat", None, 3))))


def test_language_words_do_not_depend_on_the_other_languages():
    few = build_lexicons(resolve_world({"languages": ["qad", "qac"], "source_language": "qac"}))
    assert few["qad"].word == LEXICONS["qad"].word
    assert few["qac"].word == LEXICONS["qac"].word


def test_documents_are_one_line_of_one_or_two_segments():
    writer = DocumentWriter(ALL, LEXICONS, "qaa")
    documents = [writer.document() for _ in range(500)]
    assert all("\n" not in text and text.count("\t") <= 1 and text.strip() for text in documents)
    assert sum("\t" in text for text in documents) > 250


def test_defaults_are_complete_and_copied():
    world = resolve_world(None)
    assert set(world) == set(WORLD_DEFAULTS)
    assert world["sizes"] == SIZES
    assert world["sizes"] is not SIZES


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"sede": 3}, "sede"),
        ({"sizes": {"evil": 3}}, "evil"),
        ({"sizes": {"eval": 0}}, "eval"),
        ({"languages": ["qaa"]}, "two"),
        ({"languages": ["qaa", "qaz"]}, "qaz"),
        ({"languages": ["qab", "qac"]}, "source_language"),
        ({"cognates": 1.5}, "cognates"),
    ],
)
def test_a_wrong_setting_is_named(spec, said):
    with pytest.raises(UserError, match=said):
        resolve_world(spec)
