"""Tagging scores: token accuracy, and chunk F1 as XTREME printed it and as seqeval computes it today.

Part-of-speech tags carry no B-/I- prefix, so that seqeval reads the first letter as prefix and merges equal
neighbours into one chunk. What a chunk is then depends on seqeval's version:

* up to 0.0.12 (XTREME's published numbers): the type is the text after the last `-`, here the whole tag;
* from 0.0.19: the type is what follows the first letter, so that `CCONJ` and `SCONJ` are one type, and `X` (like
  `_` and the `O` that ends a sentence) has the empty type, written `_`.

The rules below are seqeval's (MIT licence, github.com/chakki-works/seqeval, metrics/sequence_labeling.py), which
follow conlleval. Sentences are joined with an `O` between them, offsets run through.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain

from stilts.metrics.measure import Measure

OUTSIDE = "O"
Chunk = tuple[str, int, int]


def token_accuracy(predicted: Sequence[Sequence], gold: Sequence[Sequence]) -> Measure:
    """Return the share of words with the right tag in percent; n counts sentences.

    predicted, gold: one list of tags (names or numbers) a sentence. Raises ValueError when a sentence's lengths differ.
    """
    _check(predicted, gold)
    pairs = [(p, g) for ps, gs in zip(predicted, gold, strict=True) for p, g in zip(ps, gs, strict=True)]
    if not pairs:
        raise ValueError("no words")
    return Measure("accuracy", 100.0 * sum(p == g for p, g in pairs) / len(pairs), len(gold))


def xtreme_f1(predicted: Sequence[Sequence[str]], gold: Sequence[Sequence[str]]) -> Measure:
    """Return chunk F1 in percent as XTREME's evaluate.py with seqeval <= 0.0.12; n counts sentences."""
    return _f1(predicted, gold, _last_part)


def seqeval_f1(predicted: Sequence[Sequence[str]], gold: Sequence[Sequence[str]]) -> Measure:
    """Return chunk F1 in percent as seqeval >= 0.0.19 (1.x: micro average, default mode); n counts sentences."""
    return _f1(predicted, gold, _rest)


def chunks(sentences: Sequence[Sequence[str]], type_of: Callable[[str], str]) -> Iterator[Chunk]:
    """Yield (type, first word, last word) of every chunk; word numbers run through all sentences."""
    before, kind, begin = OUTSIDE, "", 0
    for position, tag in enumerate(chain.from_iterable(chain(s, (OUTSIDE,)) for s in sentences)):
        letter, type_ = tag[0], type_of(tag)
        if _ends(before, letter, kind, type_):
            yield kind, begin, position - 1
        if _starts(before, letter, kind, type_):
            begin = position
        before, kind = letter, type_


def _last_part(tag: str) -> str:
    return tag.rsplit("-", maxsplit=1)[-1]


def _rest(tag: str) -> str:
    return tag[1:].split("-", maxsplit=1)[-1] or "_"


def _ends(before: str, letter: str, kind: str, type_: str) -> bool:
    if before in ("E", "S") or (before in ("B", "I") and letter in ("B", "S", "O")):
        return True
    return before not in ("O", ".") and kind != type_


def _starts(before: str, letter: str, kind: str, type_: str) -> bool:
    if letter in ("B", "S") or (before in ("E", "S", "O") and letter in ("E", "I")):
        return True
    return letter not in ("O", ".") and kind != type_


def _f1(predicted: Sequence[Sequence[str]], gold: Sequence[Sequence[str]], type_of: Callable[[str], str]) -> Measure:
    _check(predicted, gold)
    if not gold:
        raise ValueError("no sentences")
    if not all(tag for tags in chain(predicted, gold) for tag in tags):
        raise ValueError("an empty tag")
    ours, theirs = set(chunks(predicted, type_of)), set(chunks(gold, type_of))
    right = len(ours & theirs)
    precision = right / len(ours) if ours else 0.0
    recall = right / len(theirs) if theirs else 0.0
    f1 = 2 * precision * recall / (precision + recall) if right else 0.0
    return Measure("f1", 100.0 * f1, len(gold))


def _check(predicted: Sequence[Sequence], gold: Sequence[Sequence]) -> None:
    if len(predicted) != len(gold):
        raise ValueError(f"{len(predicted)} predicted sentences for {len(gold)}")
    for number, (p, g) in enumerate(zip(predicted, gold, strict=True)):
        if len(p) != len(g):
            raise ValueError(f"sentence {number}: {len(p)} predicted tags for {len(g)} words")
