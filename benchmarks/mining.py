"""Mining of translations: the textbook's two searches and loop over candidates, against ours.

The textbook's way: each side searches the other in its own products (torch.topk), then every candidate's margin is
computed by itself in a loop. Its products are numpy's, and once more oneDNN's, as ours are.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import torch

from benchmarks.compare import alternate, run_row
from stilts.model.device import prepare_torch
from stilts.model.linear import linear
from stilts.retrieval.mining import NEIGHBOURS, mine

SIZES = {"rows": 20_000, "dim": 1024, "repeats": 3}


Products = Callable[[np.ndarray, np.ndarray], np.ndarray]


def by_numpy(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return a @ b.T."""
    return a @ b.T


def by_onednn(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return a @ b.T."""
    return linear(torch.from_numpy(a), torch.from_numpy(b), None).numpy()


def textbook(
    x: np.ndarray, y: np.ndarray, products: Products = by_numpy, k: int = NEIGHBOURS, block: int = 2048
) -> list[tuple[int, int]]:
    """Return the mined pairs, best first; x, y: float32 [n, dim], any length."""
    x, y = (v / np.linalg.norm(v, axis=1, keepdims=True) for v in (x, y))

    def search(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = [
            torch.topk(torch.from_numpy(products(a[row : row + block], b)), min(k, len(b)), dim=1)
            for row in range(0, len(a), block)
        ]
        return torch.cat([f.values for f in found]).numpy(), torch.cat([f.indices for f in found]).numpy()

    (near_y, at_y), (near_x, at_x) = search(x, y), search(y, x)
    mean_x, mean_y = near_y.mean(axis=1), near_x.mean(axis=1)

    def margins(a, b, at, mean_a, mean_b) -> np.ndarray:
        scores = np.zeros(at.shape)
        for i in range(len(at)):
            for j in range(at.shape[1]):
                scores[i, j] = a[i].dot(b[at[i, j]]) / ((mean_a[i] + mean_b[at[i, j]]) / 2)
        return scores

    forward, backward = margins(x, y, at_y, mean_x, mean_y), margins(y, x, at_x, mean_y, mean_x)
    pairs = [(i, int(at_y[i, best])) for i, best in enumerate(forward.argmax(axis=1))]
    pairs += [(int(at_x[j, best]), j) for j, best in enumerate(backward.argmax(axis=1))]
    scores = np.concatenate([forward.max(axis=1), backward.max(axis=1)])
    left, right, kept = set(), set(), []
    for at in np.argsort(-scores, kind="stable"):
        i, j = pairs[at]
        if i not in left and j not in right and scores[at] > 0:
            left.add(i)
            right.add(j)
            kept.append((i, j))
    return kept


def measure(rows: int, dim: int, repeats: int) -> dict[str, Any]:
    """Return seconds of both sides, and whether they mine the same pairs; half of the rows have a noisy translation."""
    prepare_torch(1)
    make = np.random.default_rng(0)
    x, y = (make.normal(size=(rows, dim)).astype(np.float32) + 0.3 for _ in "xy")
    y[: rows // 2] = x[: rows // 2] + make.normal(size=(rows // 2, dim)) * 1.5
    query, match, _ = mine(x, y)
    mined = set(zip(query.tolist(), match.tolist(), strict=True))
    wanted = set(textbook(x, y))
    same = f"the same {len(mined)} pairs"
    return {
        "equal": mined == wanted,
        "checked": same if mined == wanted else f"{len(mined ^ wanted)} of {len(mined | wanted)} pairs DIFFER",
        **alternate(
            {
                "the textbook's way": lambda: textbook(x, y),
                "the textbook's way by oneDNN": lambda: textbook(x, y, by_onednn),
                "ours": lambda: mine(x, y),
            },
            repeats,
        ),
    }


if __name__ == "__main__":
    sys.exit(run_row("mining", __doc__, measure, SIZES))
