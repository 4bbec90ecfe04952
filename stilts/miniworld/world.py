"""One mini world: its languages, and the drawing of meanings that all files share."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from random import Random

from stilts.miniworld.grammar import Speaker
from stilts.miniworld.lexicon import build_lexicons
from stilts.miniworld.meaning import Event


class World:
    """The speakers of a world's languages and the meanings of its examples.

    world: the complete settings (`settings.resolve_world`). Every task draws from generators of its own, named by the
    world seed and the task, so that one task's draws never shift another's.
    """

    def __init__(self, world: dict[str, object]) -> None:
        self.world = world
        self.sizes: dict[str, int] = world["sizes"]
        self.languages: list[str] = world["languages"]
        self.source: str = world["source_language"]
        self.lexicons = build_lexicons(world)
        self.speakers = {code: Speaker(self.lexicons, code) for code in self.languages}
        self._drawn: dict[str, dict[str, list]] = {}

    @property
    def others(self) -> list[str]:
        """The languages but the source language."""
        return [code for code in self.languages if code != self.source]

    def rng(self, *labels: str) -> Random:
        """A generator of its own for every sequence of labels."""
        return Random(" ".join(map(str, (self.world["seed"], *labels))))

    def draw(
        self, task: str, sizes: dict[str, int], make: Callable[[Random, int], object], beside: Iterable = ()
    ) -> dict[str, list]:
        """Different examples for each split: make(rng, i) draws the i-th; no meaning occurs in two splits or twice.

        beside: items of other tasks that must not come again here. A second call for a task returns the first's items.
        """
        if task in self._drawn:
            return self._drawn[task]
        seen: set = set(beside)
        splits: dict[str, list] = {}
        # The small evaluation splits first: they stay the same when the training size changes.
        for split, size in sorted(sizes.items(), key=lambda item: item[0] == "train"):
            rng = self.rng(task, split)
            items: list = []
            for _ in range(100 * size + 1000):
                if len(items) == size:
                    break
                item = make(rng, len(items))
                if item not in seen:
                    seen.add(item)
                    items.append(item)
            splits[split] = items
        self._drawn[task] = splits
        return splits

    def sizes_of(self, task: str, *, test: bool = True) -> dict[str, int]:
        """Split -> size of a task: its training file, the validation size and, for a target, the evaluation size."""
        sizes = {"test": self.sizes["eval"]} if test else {}
        return {**sizes, "validation": self.sizes["validation"], "train": self.sizes[f"{task}_train"]}

    def shuffled(self, items: list, task: str, split: str) -> list:
        """The items in an order that the label does not follow."""
        items = list(items)
        self.rng(task, split, "order").shuffle(items)
        return items

    def say(self, code: str, event: Event, passive: bool = False, front: str = "") -> str:
        """The sentence of an event in a language."""
        return self.speakers[code].text(self.speakers[code].sentence(event, passive, front))
