"""Items of several splits of one kind as one task: source-language rows and their translations."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from stilts.errors import UserError
from stilts.tokens.sequences import Batch, Items


class JoinedItems:
    """The items of several splits, numbered one after the other."""

    whole = False

    def __init__(self, members: list[Items]):
        self.members = members
        self.starts = np.cumsum([0, *(len(m) for m in members)])
        choices = {m.choices for m in members if len(m)}
        if len(choices) > 1:
            raise UserError(f"{members[-1].split.folder}: the number of choices differs between translations")

    def __len__(self) -> int:
        return int(self.starts[-1])

    @property
    def choices(self) -> int:
        """Sequences an item makes, side by side."""
        return next((m.choices for m in self.members if len(m)), 1)

    @cached_property
    def lengths(self) -> np.ndarray:
        """Sub-words of each item, [items]; see `Items.lengths`."""
        return np.concatenate([m.lengths for m in self.members])

    def sub_words(self) -> np.ndarray:
        """Return the ids that the items may hold, sorted."""
        return np.unique(np.concatenate([m.sub_words() for m in self.members]))

    def batch(self, items: np.ndarray) -> Batch:
        """Return a batch of items; those of one split stand together, in the order of the splits."""
        owner = np.searchsorted(self.starts, items, side="right") - 1
        parts = [m.batch(items[owner == k] - self.starts[k]) for k, m in enumerate(self.members) if (owner == k).any()]
        return Batch(
            np.concatenate([p.ids for p in parts]),
            np.concatenate([p.lengths for p in parts]),
            {name: np.concatenate([p.targets[name] for p in parts]) for name in parts[0].targets},
            sum(p.count for p in parts),
        )


def join(members: list[Items]) -> Items | JoinedItems:
    """Return one split's items as they are, several as one."""
    return members[0] if len(members) == 1 else JoinedItems(members)
