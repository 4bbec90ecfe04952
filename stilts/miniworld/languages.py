"""The artificial languages: script, sounds, word order, morphology. Codes are ISO 639 local-use codes."""

from __future__ import annotations

from dataclasses import dataclass

LATIN_CONSONANTS = ["p", "b", "t", "d", "k", "g", "m", "n", "l", "r", "s", "v", "f", "z"]
LATIN_VOWELS = ["a", "e", "i", "o", "u"]


@dataclass(frozen=True)
class Language:
    """One language. Orders are strings of constituents: S subject, V verb group, O object, P place, T time.

    Tasks use `order`; running text now and then `other_order`, as speakers of real languages do.

    verb_group orders n negation, f future, v verb, p passive marker. A suffix of None means the language
    does not mark that; `passive` and `future` are "suffix" (bound to the verb) or "word".
    """

    code: str
    name: str
    script: str
    consonants: tuple[str, ...]
    vowels: tuple[str, ...]
    order: str
    other_order: str
    verb_group: str
    adjective_first: bool
    preposition: bool
    wh_first: bool
    accusative: bool
    plural: bool
    passive: str
    future: str
    spaced: bool = True
    stop: str = "."


def _letters(text: str) -> tuple[str, ...]:
    return tuple(text.split())


LANGUAGES: dict[str, Language] = {
    language.code: language
    for language in (
        Language(
            "qaa", "Avelan", "Latin", _letters("p b t d k g m n l r s v f z"), _letters("a e i o u"),
            "SVOPT", "TSVOP", "fnvp", True, True, True, False, True, "suffix", "word",
        ),
        Language(
            "qab", "Borudi", "Cyrillic", _letters("п б т д к г м н л р с в ф з"), _letters("а е и о у"),
            "TSVOP", "TOVSP", "nvfp", True, True, True, True, True, "suffix", "suffix",
        ),
        Language(
            "qac", "Celmish", "Latin", _letters("p b t d c g m n l r s v h j"), _letters("à é î ó û"),
            "VSOPT", "SVOPT", "nfpv", False, True, True, False, False, "word", "word",
        ),
        Language(
            "qad", "Dorvash", "Devanagari", _letters("प ब त द क ग म न ल र स व ह ज"), _letters("ा े ि ो ु"),
            "TSPOV", "TSVOP", "vpnf", True, False, False, True, False, "suffix", "word",
        ),
        Language(
            "qae", "Enkai", "Han", (), (),
            "TSPVO", "TPSVO", "npfv", True, True, False, False, False, "word", "word", spaced=False, stop="。",
        ),
        Language(
            "qaf", "Fennoro", "Greek", _letters("π β τ δ κ γ μ ν λ ρ σ φ χ ζ"), _letters("α ε ι ο υ"),
            "SOPVT", "SVOPT", "vfpn", False, False, True, True, True, "suffix", "suffix",
        ),
    )
}  # fmt: skip
