"""Settings of the mini world (the generator's own defaults are the ones here)."""

from __future__ import annotations

from pydantic import Field

from stilts.tasks.spec import Strict


class World(Strict):
    """Settings of the artificial languages and of the data derived from them."""

    seed: int = Field(1, ge=0, description="Seed of the world: its lexicon, its sentences and its tasks.")
