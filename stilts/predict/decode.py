"""From the outputs of windows to the answer of an example: tags a word, n-best spans a question."""

from __future__ import annotations

from typing import Any

import numpy as np

from stilts.tokens.sequences import IGNORE, Items

MAX_ANSWER = 30  # sub-words, as in the SQuAD scripts
NBEST = 20


def decode_tags(items: Items, outputs: list[np.ndarray]) -> dict[int, list[int]]:
    """Return example -> predicted tag of each word, read at its first sub-word."""
    tags: dict[int, list[int]] = {}
    for (example, first, last), scores in zip(items.rows, outputs, strict=True):
        start = items.split.bounds(int(example), 0)[0]
        targets = items.split.targets[start + first : start + last]
        tags.setdefault(int(example), []).extend(scores[np.flatnonzero(targets != IGNORE)].argmax(1).tolist())
    return tags


def decode_spans(items: Items, outputs: list[np.ndarray], nbest: int = NBEST) -> dict[int, list[dict[str, Any]]]:
    """Return example -> its n best spans over all windows, best first.

    A span is {start_logit, end_logit, char_start, char_end}; char_start -1 is "no answer" (its scores are the
    smallest null score over the windows). The n best starts and the n best ends of a window are combined; of these
    spans those stay that start where the window gives their first sub-word the most context of all windows, and are
    at most MAX_ANSWER sub-words long: the rules of the SQuAD script. It takes its n best from all sub-words of a
    window; here those of the question, which could never answer, take no place.
    """
    windows: dict[int, list[int]] = {}
    for i, example in enumerate(items.rows[:, 0]):
        windows.setdefault(int(example), []).append(i)
    return {e: _merge(items, e, at, outputs, nbest) for e, at in windows.items()}


def _merge(items: Items, example: int, at: list[int], outputs: list[np.ndarray], nbest: int) -> list[dict[str, Any]]:
    bounds = items.rows[at, 1:]
    chars = items.split.chars
    context = items.split.bounds(example, 1)[0]
    found: list[np.ndarray] = []  # rows of start score, end score, first and last sub-word
    null: tuple[float, float] | None = None
    for k, item in enumerate(at):
        scores = outputs[item]
        nothing = (float(scores[0, 0]), float(scores[0, 1]))
        null = nothing if null is None or sum(nothing) < sum(null) else null
        first = int(bounds[k, 0])
        start, end = scores[1:].T.astype(float)
        starts, ends = (np.argsort(-x, kind="stable")[:nbest] for x in (start, end))
        s, e = (x.ravel() for x in np.meshgrid(starts[_most_context(bounds, k)[starts]], ends))
        fits = (s <= e) & (e < s + MAX_ANSWER)
        s, e = s[fits], e[fits]
        found.append(np.stack([start[s], end[e], context + first + s, context + first + e], axis=1))
    spans = np.concatenate(found)
    order = np.lexsort((spans[:, 3], spans[:, 2], -(spans[:, 0] + spans[:, 1])))
    best, seen = [], set()
    for s_score, e_score, s, e in spans[order].tolist():
        span = (int(chars[int(s), 0]), int(chars[int(e), 1]))
        if span in seen or span[0] >= span[1]:
            continue
        seen.add(span)
        best.append({"start_logit": s_score, "end_logit": e_score, "char_start": span[0], "char_end": span[1]})
        if len(best) == nbest:
            break
    best.append({"start_logit": null[0], "end_logit": null[1], "char_start": -1, "char_end": -1})
    return best


def _most_context(bounds: np.ndarray, k: int) -> np.ndarray:
    """Return for each sub-word of window k whether no other window gives it more context (SQuAD's rule), [window]."""
    first, last = bounds[k]
    if len(bounds) == 1:
        return np.ones(last - first, bool)
    position = np.arange(first, last)
    context = np.full((len(bounds), len(position)), -1.0)
    for w, (a, b) in enumerate(bounds):
        inside = (position >= a) & (position < b)
        room = np.minimum(position - a, b - 1 - position) + 0.01 * (b - a)
        context[w, inside] = room[inside]
    return context.argmax(0) == k
