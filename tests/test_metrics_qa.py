"""Answers of questions against hand-worked cases and a plain restatement of the official scripts."""

from __future__ import annotations

import re
import string
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stilts.metrics.classification import accuracy, majority
from stilts.metrics.qa import exact_match, f1, mlqa_normaliser, qa_measures, question_scores, squad_normalise

PIECES = [
    "the ",
    "A",
    "an ",
    "der ",
    "el ",
    "ال",
    "中国",
    "x",
    " ",
    "\u00a0",
    ".",
    "。",
    "«",
    "x-y",
    "của ",
    "İ",
    "1,5",
]
texts = st.lists(st.sampled_from(PIECES), max_size=7).map("".join)


def official_squad(text):
    """evaluate_squad.py's normalize_answer, restated step by step."""
    text = "".join(c for c in text.lower() if c not in set(string.punctuation))
    return " ".join(re.sub(r"\b(a|an|the)\b", " ", text).split())


@given(texts, texts)
def test_squad_as_the_official_script(prediction, answer):
    assert squad_normalise(prediction) == official_squad(prediction)
    bags = [Counter(official_squad(t).split()) for t in (prediction, answer)]
    same = sum((bags[0] & bags[1]).values())
    size = sum(bags[0].values()) + sum(bags[1].values())
    assert f1(prediction, answer, squad_normalise) == pytest.approx(2 * same / size if same else 0.0)


@pytest.mark.parametrize(
    ("language", "text", "normal"),
    [
        ("en", "The «Large» Hadron Collider.", "large hadron collider"),
        ("es", "El gato, unos perros", "gato perros"),
        ("de", "Das Haus des Mannes", "haus mannes"),
        ("vi", "những con mèo của tôi", "con mèo tôi"),
        ("ar", "الكتاب الكبير،", "كتاب كبير"),
        ("hi", "दिल्ली।", "दिल्ली"),
        ("ar", "والقمر مقال", "و قمر مق"),  # inside a word and at its end, too
        ("zh", "中国 (China)1949年。", "中 国 china1949 年"),
        ("zh", "鿃鿄中㐀㐁国", "鿃鿄 中 㐀㐁 国"),  # the script knows U+4E00 to U+9FA5 alone
    ],
)
def test_mlqa_by_hand(language, text, normal):
    assert mlqa_normaliser(language)(text) == normal


def test_squad_leaves_unicode_punctuation_and_other_articles():
    assert squad_normalise("«Der Hund»") == "«der hund»"
    assert squad_normalise("中国。") == "中国。"  # Chinese is one word with its full stop: nothing is segmented


def test_mlqa_knows_its_languages_only():
    with pytest.raises(ValueError, match="no language 'fr'"):
        mlqa_normaliser("fr")
    # The artificial languages of the mini world have local-use codes, and no articles.
    assert mlqa_normaliser("qaa")("The  die, Fo。") == "the die fo"
    with pytest.raises(ValueError, match="qu"):
        mlqa_normaliser("qu")


def test_best_over_the_gold_answers():
    assert question_scores("the Old red barn", ["a barn", "red barn!"], squad_normalise) == (pytest.approx(0.8), 0.0)
    assert question_scores("Barn.", ["a barn", "red barn"], squad_normalise) == (1.0, 1.0)
    # F1 and exact match take their best answers apart: an empty text equals "the" but shares no word with it.
    assert question_scores("", ["the", "barn"], squad_normalise) == (0.0, 1.0)


def test_questions_without_an_answer():
    assert question_scores("", [], squad_normalise, unanswerable=True) == (1.0, 1.0)
    assert question_scores("barn", [], squad_normalise, unanswerable=True) == (0.0, 0.0)
    assert question_scores("", ["barn"], squad_normalise, unanswerable=True) == (0.0, 0.0)
    # What normalises to nothing is no answer: of a prediction, and of gold, where it leaves the others alone.
    assert question_scores("The.", [], squad_normalise, unanswerable=True) == (1.0, 1.0)
    assert question_scores("", ["the", "barn"], squad_normalise, unanswerable=True) == (0.0, 0.0)
    assert question_scores("", ["the"], squad_normalise, unanswerable=True) == (1.0, 1.0)
    with pytest.raises(ValueError, match="question 1: no gold answer"):
        qa_measures(["a", "b"], [["a"], []], squad_normalise)


def test_means_in_percent():
    measures = qa_measures(["red barn", ""], [["barn"], ["cow"]], squad_normalise)
    assert [(m.metric, m.value, m.n) for m in measures] == [("f1", pytest.approx(100 / 3), 2), ("exact_match", 0.0, 2)]


@given(texts)
def test_a_text_equals_itself_in_every_normaliser(text):
    for normalise in (squad_normalise, *map(mlqa_normaliser, ("en", "zh", "ar"))):
        assert exact_match(text, text, normalise) == 1.0


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2)), min_size=1))
def test_accuracy_and_majority(pairs):
    predicted, gold = zip(*pairs, strict=True)
    assert accuracy(predicted, gold).value == pytest.approx(100 * sum(p == g for p, g in pairs) / len(pairs))
    assert majority(gold).value == pytest.approx(max(accuracy([k] * len(gold), gold).value for k in range(3)))


def test_accuracy_refuses_other_lengths():
    with pytest.raises(ValueError, match="2 predictions for 1"):
        accuracy([1, 2], [1])
