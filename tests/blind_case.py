"""A reader of one input only: what it scores, and the bar it must stay under."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import numpy as np


def blind_score(texts: list[list[str]], labels: list[int]) -> tuple[float, float]:
    """Accuracy on held-out items of a softmax regression over words and word pairs of one input; and its 3-sigma bar.

    `texts` are lists of words. The bar is chance plus three standard errors.
    """
    features = [set(words) | {f"{a} {b}" for a, b in pairwise(words)} for words in texts]
    counts = Counter(f for found in features for f in found)
    index = {f: i for i, f in enumerate(sorted(f for f, n in counts.items() if n >= 5))}
    x = np.zeros((len(texts), len(index) + 1), np.float32)
    x[:, -1] = 1
    for row, found in enumerate(features):
        for f in found:
            if f in index:
                x[row, index[f]] = 1
    y = np.eye(max(labels) + 1, dtype=np.float32)[labels]
    cut = len(texts) * 2 // 3
    w = np.zeros((x.shape[1], y.shape[1]), np.float32)
    for _ in range(150):
        z = x[:cut] @ w
        p = np.exp(z - z.max(1, keepdims=True))
        p /= p.sum(1, keepdims=True)
        w -= 0.5 * (x[:cut].T @ (p - y[:cut]) / cut * 4 + 1e-3 * w)
    right = (x[cut:] @ w).argmax(1) == np.array(labels[cut:])
    chance = max(Counter(labels[cut:]).values()) / (len(texts) - cut)
    return float(right.mean()), chance + 3 * float(np.sqrt(chance * (1 - chance) / (len(texts) - cut)))
