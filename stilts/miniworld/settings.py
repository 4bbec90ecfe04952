"""What a mini world is made of: the default settings and their checks (plain dictionaries, no third-party import)."""

from __future__ import annotations

from stilts.errors import UserError

# How many examples each file gets. "train" files exist for the source language only, as in XTREME;
# "eval" is the number of examples of every validation and test file, the same meanings in every language.
SIZES: dict[str, int] = {
    "mlm_documents": 12000,  # documents a language
    "mnli_train": 12000,
    "anli_train": 6000,  # over the three rounds
    "snli_train": 6000,
    "qqp_train": 6000,
    "squad1_train": 12000,
    "squad2_train": 8000,
    "hellaswag_train": 4000,
    "cosmosqa_train": 4000,
    "csqa_train": 3000,
    "siqa_train": 3000,
    "ccg_train": 2000,
    "pawsx_train": 2000,
    "copa_train": 1200,
    "udpos_train": 1000,
    "panx_train": 1000,
    "tydiqa_train": 500,
    "eval": 200,
    "validation": 200,
    "tatoeba": 400,
    "bucc": 700,  # meanings of the test corpora: 400 sentences a side, 100 of them gold; validation has half
    "lareqa_paragraphs": 80,
    "mewslix_train": 2000,  # training pairs, several of each entity
    "mewslix_mentions": 200,  # mentions a language, at most 200: each is of another entity
}

WORLD_DEFAULTS: dict[str, object] = {
    # World seed: everything below follows from it, byte for byte.
    "seed": 1,
    # Codes of the languages of this world, from stilts/miniworld/languages.py.
    "languages": ["qaa", "qab", "qac", "qad", "qae"],
    # The language that plays English: training files are in it.
    "source_language": "qaa",
    "sizes": SIZES,
    # Share of pretraining documents in which words are swapped for words of other languages, and the share of words.
    "code_switched_documents": 0.45,
    "code_switched_words": 0.4,
    # Share of pretraining documents that say the same thing in two languages, segment by segment.
    "parallel_documents": 0.3,
    # Share of the clauses in pretraining documents that follow the language's second word order.
    "order_variation": 0.25,
    # Share of names that keep Latin letters in languages with another script (the rest is transliterated).
    "latin_names": 0.3,
    # Share of words that the second Latin-script language borrows from the first unchanged.
    "cognates": 0.15,
    # Share of the documents of an unspaced language that are written with spaces, as in primers.
    "spaced_documents": 0.3,
}


def resolve_world(spec: dict[str, object] | None) -> dict[str, object]:
    """Fill `spec` with the defaults and check it.

    Raises UserError for an unknown key, an unknown language, a source language that is not among the
    languages, a share outside 0..1 or a size below 1.
    """
    from stilts.miniworld.languages import LANGUAGES

    spec = dict(spec or {})
    for key in spec:
        if key not in WORLD_DEFAULTS:
            raise UserError(f"mini world: unknown setting '{key}'; known: {', '.join(WORLD_DEFAULTS)}")
    world = {**WORLD_DEFAULTS, **spec}
    sizes = dict(world["sizes"])
    for key in sizes:
        if key not in SIZES:
            raise UserError(f"mini world: unknown size '{key}'; known: {', '.join(SIZES)}")
    world["sizes"] = {**SIZES, **sizes}
    for key, value in world["sizes"].items():
        if not isinstance(value, int) or value < 1:
            raise UserError(f"mini world: size '{key}' must be a whole number of at least 1, not {value!r}")
    languages = list(world["languages"])
    if len(languages) < 2 or len(set(languages)) != len(languages):
        raise UserError("mini world: 'languages' must name at least two different languages")
    for code in languages:
        if code not in LANGUAGES:
            raise UserError(f"mini world: no language '{code}'; there are {', '.join(LANGUAGES)}")
    if world["source_language"] not in languages:
        raise UserError(
            f"mini world: source_language '{world['source_language']}' is not among languages {', '.join(languages)}"
        )
    for key, value in world.items():
        if isinstance(WORLD_DEFAULTS[key], float) and not 0 <= float(value) <= 1:
            raise UserError(f"mini world: '{key}' must lie between 0 and 1, not {value!r}")
    return world
