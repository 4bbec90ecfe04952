"""The words of each language: invented, syllabic, with names carried over letter by letter or left in Latin."""

from __future__ import annotations

from random import Random

from stilts.miniworld.languages import LANGUAGES, LATIN_CONSONANTS, LATIN_VOWELS, Language
from stilts.miniworld.meaning import CITY_NAMES, CONTENT, FIRM_NAMES, FIRST_NAMES, FUNCTION, LAST_NAMES

# The unspaced language mixes two scripts: one ideograph a content word (an arbitrary stretch of them, their real
# meanings play no part), syllable signs for function words, endings and names.
HAN_START, HAN_SIZE = 0x4E00 + 0x300, 200
HANGUL_START, HANGUL_SIZE, HANGUL_STEP, HANGUL_NAMES = 0xAC00, 399, 28, 150
SUFFIXES = ("accusative", "plural", "passive", "future")


def name_keys() -> list[str]:
    """All name parts of the world: first, last, city and firm names."""
    sizes = {"first": FIRST_NAMES, "last": LAST_NAMES, "city": CITY_NAMES, "firm": FIRM_NAMES}
    return [f"{kind}:{i}" for kind, size in sizes.items() for i in range(size)]


def _latin_names(seed: int) -> dict[str, list[tuple[str, str]]]:
    """Each name as its syllables (consonant, vowel); no two alike."""
    rng = Random(f"names {seed}")
    seen: set[tuple] = set()
    names = {}
    for key in name_keys():
        while True:
            syllables = tuple((rng.choice(LATIN_CONSONANTS), rng.choice(LATIN_VOWELS)) for _ in range(3))
            if syllables not in seen:
                break
        seen.add(syllables)
        names[key] = list(syllables)
    return names


class Lexicon:
    """Words of one language.

    word maps a concept to its form, name maps a name part to its form, suffix maps SUFFIXES to bound forms
    ("" where the language marks it otherwise).
    """

    def __init__(self, language: Language, word: dict[str, str], name: dict[str, str], suffix: dict[str, str]) -> None:
        self.language, self.word, self.name, self.suffix = language, word, name, suffix


def _hangul(index: int) -> str:
    """The index-th open syllable sign."""
    return chr(HANGUL_START + HANGUL_STEP * index)


def is_unspaced(form: str) -> bool:
    """Whether a word is written in the signs of the unspaced language."""
    code = ord(form[0])
    return HAN_START <= code < HAN_START + HAN_SIZE or HANGUL_START <= code < HANGUL_START + HANGUL_STEP * HANGUL_SIZE


def _new(rng: Random, language: Language, syllables: int, used: set[str]) -> str:
    while True:
        if language.script == "Han":
            content = syllables > 1
            form = chr(HAN_START + rng.randrange(HAN_SIZE)) if content else _hangul(rng.randrange(HANGUL_NAMES))
        else:
            form = "".join(rng.choice(language.consonants) + rng.choice(language.vowels) for _ in range(syllables))
        if form not in used:
            used.add(form)
            return form


def _transliterate(language: Language, syllables: list[tuple[str, str]]) -> str:
    if language.script == "Han":
        signs = (LATIN_CONSONANTS.index(c) * len(LATIN_VOWELS) + LATIN_VOWELS.index(v) for c, v in syllables)
        return "".join(_hangul(HANGUL_NAMES + sign) for sign in signs)
    consonants = dict(zip(LATIN_CONSONANTS, language.consonants, strict=False))
    vowels = dict(zip(LATIN_VOWELS, language.vowels, strict=True))
    return "".join(consonants[c] + vowels[v] for c, v in syllables).capitalize()


def build_lexicons(world: dict[str, object]) -> dict[str, Lexicon]:
    """One lexicon a language, from the world seed. A language's words do not depend on which others are present."""
    seed = world["seed"]
    names = _latin_names(seed)
    latin = {key: "".join(c + v for c, v in syllables).capitalize() for key, syllables in names.items()}
    lexicons: dict[str, Lexicon] = {}
    base = _build(LANGUAGES["qaa"], None, world, cognates=0.0, names=names, latin=latin)
    for code in world["languages"]:
        share = world["cognates"] if code == "qac" else 0.0
        if code == "qaa":
            lexicons[code] = base
        else:
            lexicons[code] = _build(LANGUAGES[code], base, world, cognates=share, names=names, latin=latin)
    return lexicons


def _build(
    language: Language, base: Lexicon | None, world: dict[str, object], *, cognates: float, names: dict, latin: dict
) -> Lexicon:
    seed = world["seed"]
    rng = Random(f"words {seed} {language.code}")
    used: set[str] = set(base.word.values()) if base else set()
    word: dict[str, str] = {}
    for concept in CONTENT:
        if base and rng.random() < cognates:
            word[concept] = base.word[concept]
        else:
            word[concept] = _new(rng, language, 2, used)
    for concept in FUNCTION:
        word[concept] = _new(rng, language, 1, used)
    for digit in range(2, 10):
        word[str(digit)] = str(digit)
    suffix = {kind: _new(rng, language, 1, used) for kind in SUFFIXES}
    marks = {
        "accusative": language.accusative,
        "plural": language.plural,
        "passive": language.passive == "suffix",
        "future": language.future == "suffix",
    }
    suffix = {kind: form if marks[kind] else "" for kind, form in suffix.items()}
    name_rng = Random(f"latin {seed} {language.code}")
    name = {}
    for key, syllables in names.items():
        keep = name_rng.random() < world["latin_names"]
        name[key] = latin[key] if keep or language.script == "Latin" else _transliterate(language, syllables)
    return Lexicon(language, word, name, suffix)
