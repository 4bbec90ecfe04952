"""The paper's claims as data: what it says, what it found, and which contrast of ours tests it."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from stilts.tasks.spec import Strict


class Claim(Strict):
    """One claim: a difference between recipes, over targets, that is above zero, not above it, or largest."""

    id: str
    says: str = Field(description="The claim in one sentence.")
    source: str = Field(description="Where it is made.")
    published: float | None = Field(None, description="The difference it gives, in points.")
    certainty: Literal["verified", "second-hand", "own"] = Field(
        "verified",
        description="Of the claim: read in its source, told by others and not read there, or a question of our own.",
    )
    test: Literal["gain", "no gain"] = Field(
        "gain", description="`gain`: the difference is above 0; `no gain`: it is below the margin that matters."
    )
    recipes: list[str] = Field(description="Recipes, or `best-per-target`.")
    against: list[str] = Field(description="What each is compared with; one name stands for all (and the reverse).")
    take: Literal["first", "mean", "every"] = Field(
        "mean",
        description="Of the pairs that the experiment has: the first, their mean, or every one (the claim needs all).",
    )
    targets: list[str] = Field(description="The mean over those that the experiment has is tested.")
    average: Literal["zero-shot", "all"] = Field("zero-shot", description="Languages: without or with the source's.")
    cut: Literal["", "depth", "length", "precision"] = Field(
        "", description="The harshest point that cuts this alone; empty: the experiment's first point."
    )
    per: Literal["", "training"] = Field("", description="What the difference is divided by.")

    @model_validator(mode="after")
    def _paired(self) -> Claim:
        if len(self.recipes) != len(self.against) and 1 not in (len(self.recipes), len(self.against)):
            raise ValueError(f"{self.id}: {len(self.recipes)} recipes against {len(self.against)}")
        return self

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Return (recipe, what it is compared with)."""
        many = max(len(self.recipes), len(self.against))
        first, second = (names * many if len(names) == 1 else names for names in (self.recipes, self.against))
        return list(zip(first, second, strict=True))
