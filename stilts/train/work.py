"""What training computed, counted while it runs: from it the costs of a run follow by formula."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass
class Work:
    """Counts of one task of a run.

    kind: of the task; outputs: of its head, a state. tokens, squares: sums over the sequences of their lengths and of
    the squares of these; targets: real targets of the loss; pairs: queries x candidates that dual encoders compared.
    """

    kind: str
    outputs: int
    steps: int = 0
    sequences: int = 0
    tokens: int = 0
    squares: int = 0
    targets: int = 0
    pairs: int = 0

    def add(self, lengths: np.ndarray, targets: int, pairs: int = 0) -> None:
        """Count a batch: lengths [B] of its sequences, its real targets, and the pairs that a dual encoder compared."""
        self.sequences += len(lengths)
        self.tokens += int(lengths.sum())
        self.squares += int((lengths.astype(np.int64) ** 2).sum())
        self.targets += targets
        self.pairs += pairs

    def facts(self, task: str, frozen: int) -> dict[str, Any]:
        """Return the counts for a manifest; frozen: as `Encoder.freeze` counts."""
        return {"task": task, "frozen": frozen, **asdict(self)}


def head_outputs(kind: str, outputs: int) -> int:
    """Return the outputs of a head for each state it reads; outputs: labels or choices."""
    fixed = {"multiple_choice": 1, "span_extraction": 2, "answer_retrieval": 0, "entity_retrieval": 0}
    return fixed.get(kind, outputs)
