"""Settings of the mini world; the generator checks what a type cannot (stilts/miniworld/settings.py)."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from stilts.miniworld.settings import SIZES, WORLD_DEFAULTS
from stilts.tasks.spec import Strict

Share = Annotated[float, Field(ge=0.0, le=1.0)]


class World(Strict):
    """Settings of the artificial languages and of the data derived from them."""

    seed: int = Field(
        WORLD_DEFAULTS["seed"], ge=0, description="Seed of the world: its words, its sentences and its tasks."
    )
    languages: list[str] = Field(
        default_factory=lambda: list(WORLD_DEFAULTS["languages"]),
        description="Codes of the languages (stilts/miniworld/languages.py).",
    )
    sizes: dict[str, int] = Field(
        default_factory=lambda: dict(SIZES),
        description="Examples in each file; `eval` is every test file, the same meanings in every language.",
    )
    code_switched_documents: Share = Field(
        WORLD_DEFAULTS["code_switched_documents"],
        description="Share of pretraining documents with words of other languages.",
    )
    code_switched_words: Share = Field(
        WORLD_DEFAULTS["code_switched_words"], description="Share of the words switched in them."
    )
    parallel_documents: Share = Field(
        WORLD_DEFAULTS["parallel_documents"],
        description="Share of pretraining documents that say the same in two languages.",
    )
    latin_names: Share = Field(
        WORLD_DEFAULTS["latin_names"], description="Share of names kept in Latin letters where the script is another."
    )
    cognates: Share = Field(
        WORLD_DEFAULTS["cognates"], description="Share of words the second Latin-script language borrows unchanged."
    )
    spaced_documents: Share = Field(
        WORLD_DEFAULTS["spaced_documents"],
        description="Share of an unspaced language's documents that are written with spaces.",
    )
    order_variation: Share = Field(
        WORLD_DEFAULTS["order_variation"],
        description="Share of clauses in pretraining documents in the language's second word order.",
    )
