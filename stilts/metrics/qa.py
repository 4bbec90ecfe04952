"""Exact match and F1 of extracted answers, with the two normalisers of the field.

`squad`: XTREME's third_party/evaluate_squad.py (SQuAD v1.1: lower case, ASCII punctuation, English articles, white
space) in every language; used for SQuAD, XQuAD and TyDiQA. `mlqa`: third_party/evaluate_mlqa.py (Unicode punctuation,
the articles of the language, Chinese by character). Questions without an answer follow SQuAD 2.0's script.
"""

from __future__ import annotations

import re
import string
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cache

from stilts.metrics.measure import Measure

Normaliser = Callable[[str], str]

_ARTICLES = {
    "en": r"\b(a|an|the)\b",
    "es": r"\b(un|una|unos|unas|el|la|los|las)\b",
    "hi": None,
    "vi": r"\b(của|là|cái|chiếc|những)\b",
    "de": r"\b(ein|eine|einen|einem|eines|einer|der|die|das|den|dem|des)\b",
    # As in the official script: `^` after the letters can never match, so that every `ال` goes.
    "ar": r"\sال^|ال",
    "zh": None,
}
_LOCAL_USE = re.compile("q[a-t][a-z]")
_HAN = re.compile("[\u4e00-\u9fa5]")
_ASCII_PUNCTUATION = str.maketrans("", "", string.punctuation)


def squad_normalise(text: str) -> str:
    """Return a text lower-cased, without ASCII punctuation and English articles, white space made single."""
    text = re.sub(r"\b(a|an|the)\b", " ", text.lower().translate(_ASCII_PUNCTUATION))
    return " ".join(text.split())


def mlqa_normaliser(language: str) -> Normaliser:
    """Return MLQA's normaliser of a language; raises ValueError for a language MLQA does not have.

    The artificial languages (ISO 639 local-use codes, qaa to qtz) have no articles to leave out.
    """
    if language not in _ARTICLES and not _LOCAL_USE.fullmatch(language):
        raise ValueError(f"MLQA's script knows no language {language!r}; it knows {', '.join(sorted(_ARTICLES))}")
    articles = _ARTICLES.get(language)

    def normalise(text: str) -> str:
        marks = _punctuation()
        text = "".join(c for c in text.lower() if c not in marks)
        if articles:
            text = re.sub(articles, " ", text)
        if language == "zh":
            text = _HAN.sub(r" \g<0> ", text)
        return " ".join(text.split())

    return normalise


@cache
def _punctuation() -> frozenset[str]:
    # range(sys.maxunicode) leaves out the last code point, as the official script does (it is unassigned).
    marks = (chr(i) for i in range(sys.maxunicode))
    return frozenset(c for c in marks if unicodedata.category(c).startswith("P")) | set(string.punctuation)


def f1(prediction: str, answer: str, normalise: Normaliser) -> float:
    """Return the F1 of two bags of words after normalising, 0 to 1; 0 when they share none."""
    words, gold = normalise(prediction).split(), normalise(answer).split()
    same = sum((Counter(words) & Counter(gold)).values())
    if same == 0:
        return 0.0
    precision, recall = same / len(words), same / len(gold)
    return 2 * precision * recall / (precision + recall)


def exact_match(prediction: str, answer: str, normalise: Normaliser) -> float:
    """Return 1.0 when the normalised texts are equal, else 0.0."""
    return float(normalise(prediction) == normalise(answer))


def question_scores(
    prediction: str, answers: Iterable[str], normalise: Normaliser, unanswerable: bool = False
) -> tuple[float, float]:
    """Return (F1, exact match) of one question, 0 to 1: the best over its gold answers.

    prediction: "" is "no answer". unanswerable: the task has questions without answers; then, as in SQuAD 2.0's
    script, gold answers that normalise to nothing are left out, and a question without any is right exactly when
    nothing is predicted. Raises ValueError when there is no gold answer and unanswerable is False.
    """
    golds = list(answers)
    if unanswerable:
        golds = [a for a in golds if normalise(a)]
        if not golds:
            nothing = float(not normalise(prediction))
            return nothing, nothing
    if not golds:
        raise ValueError("no gold answer")
    return max(f1(prediction, a, normalise) for a in golds), max(exact_match(prediction, a, normalise) for a in golds)


def qa_measures(
    predictions: Sequence[str], answers: Sequence[Sequence[str]], normalise: Normaliser, unanswerable: bool = False
) -> list[Measure]:
    """Return F1 and exact match in percent over n questions; see `question_scores`.

    Raises ValueError naming the number of the question at fault, or when the lengths differ or n is 0.
    """
    if len(predictions) != len(answers) or not len(answers):
        raise ValueError(f"{len(predictions)} predictions for {len(answers)} questions")
    total_f1 = total_em = 0.0
    for number, (prediction, golds) in enumerate(zip(predictions, answers, strict=True)):
        try:
            one_f1, one_em = question_scores(prediction, golds, normalise, unanswerable)
        except ValueError as error:
            raise ValueError(f"question {number}: {error}") from None
        total_f1, total_em = total_f1 + one_f1, total_em + one_em
    n = len(answers)
    return [Measure("f1", 100.0 * total_f1 / n, n), Measure("exact_match", 100.0 * total_em / n, n)]
