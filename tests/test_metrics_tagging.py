"""Tagging scores against hand-worked cases, brute force and values of seqeval itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stilts.metrics.tagging import seqeval_f1, token_accuracy, xtreme_f1

UPOS = ["ADJ", "CCONJ", "INTJ", "NOUN", "SCONJ", "SYM", "VERB", "X"]
NER = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG"]

# Random cases scored by seqeval 0.0.12 and 1.2.2 in environments of their own (neither is a dependency).
GOLDEN = json.loads((Path(__file__).parent / "golden" / "seqeval.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(("scorer", "version"), [(xtreme_f1, "seqeval 0.0.12"), (seqeval_f1, "seqeval 1.2.2")])
def test_agrees_with_seqeval(scorer, version):
    assert len(GOLDEN) > 100
    for case in GOLDEN:
        predicted, gold = ([s.split() for s in case[side]] for side in ("predicted", "gold"))
        assert scorer(predicted, gold).value == pytest.approx(case[version], abs=1e-8), case


def test_bare_tags_merge_so_that_one_wrong_border_loses_everything():
    gold, predicted = [["NOUN", "VERB", "VERB"]], [["NOUN", "NOUN", "VERB"]]
    assert xtreme_f1(predicted, gold).value == 0.0
    assert seqeval_f1(predicted, gold).value == 0.0
    assert token_accuracy(predicted, gold).value == pytest.approx(200 / 3)


def test_the_versions_part_on_conjunctions_and_x():
    # From 0.0.19 the first letter is cut off: CCONJ and SCONJ become one type; X at a sentence's end has no end.
    assert xtreme_f1([["CCONJ", "NOUN"]], [["SCONJ", "NOUN"]]).value == 50.0
    assert seqeval_f1([["CCONJ", "NOUN"]], [["SCONJ", "NOUN"]]).value == 100.0
    assert xtreme_f1([["NOUN", "X"]], [["NOUN", "X"]]).value == 100.0
    assert seqeval_f1([["NOUN", "NOUN"]], [["NOUN", "X"]]).value == 0.0
    assert seqeval_f1([["X"]], [["X"]]).value == 0.0  # no chunk at all


def test_entities_by_hand():
    gold = [["B-PER", "I-PER", "O", "B-ORG"], ["O", "I-ORG", "O"]]
    # Right: PER 0-1. Wrong: ORG at 3 missed; I-ORG without B- begins a chunk, predicted too long.
    predicted = [["B-PER", "I-PER", "O", "O"], ["O", "B-ORG", "I-ORG"]]
    measure = xtreme_f1(predicted, gold)
    assert measure == seqeval_f1(predicted, gold)
    assert measure.value == pytest.approx(100 * 2 * (1 / 2) * (1 / 3) / (1 / 2 + 1 / 3))
    assert (measure.metric, measure.n, measure.higher_is_better) == ("f1", 2, True)


def well_formed(kinds=("PER", "ORG")):
    """Sentences of B-/I-/O tags in which every I- follows its own kind, with the chunks they mean."""

    def build(parts):
        tags, spans = [], []
        for kind, length in parts:
            if kind:
                spans.append((kind, len(tags), len(tags) + length - 1))
                tags += [f"B-{kind}"] + [f"I-{kind}"] * (length - 1)
            else:
                tags += ["O"] * length
        return tags, spans

    return st.lists(st.tuples(st.sampled_from([*kinds, None]), st.integers(1, 3)), min_size=1, max_size=4).map(build)


@given(st.lists(st.tuples(well_formed(), well_formed()), min_size=1, max_size=4))
def test_entity_f1_is_the_f1_of_the_spans(sentences):
    predicted, gold, ours, theirs = [], [], set(), set()
    for number, ((p, p_spans), (g, g_spans)) in enumerate(sentences):
        length = max(len(p), len(g))
        predicted.append(p + ["O"] * (length - len(p)))
        gold.append(g + ["O"] * (length - len(g)))
        ours |= {(number, *s) for s in p_spans}
        theirs |= {(number, *s) for s in g_spans}
    right = len(ours & theirs)
    expected = 200 * right / (len(ours) + len(theirs)) if right else 0.0
    assert xtreme_f1(predicted, gold).value == pytest.approx(expected)
    assert seqeval_f1(predicted, gold).value == pytest.approx(expected)


@given(st.lists(st.lists(st.tuples(*[st.sampled_from(UPOS)] * 2), min_size=1, max_size=6), min_size=1, max_size=4))
def test_bare_tags_against_runs_of_equal_tags(pairs):
    """XTREME's F1 on bare tags is the F1 of runs of equal tags (SCONJ, SYM: every word alone)."""
    sides = [[[word[side] for word in s] for s in pairs] for side in (0, 1)]

    def runs(sentences):
        found = set()
        for number, tags in enumerate(sentences):
            start = 0
            for i in range(1, len(tags) + 1):
                if i == len(tags) or tags[i] != tags[start] or tags[i][0] == "S":
                    found.add((number, tags[start], start, i - 1))
                    start = i
        return found

    ours, theirs = map(runs, sides)
    right = len(ours & theirs)
    assert xtreme_f1(*sides).value == pytest.approx(200 * right / (len(ours) + len(theirs)) if right else 0.0)


@given(st.lists(st.lists(st.sampled_from(NER), min_size=1, max_size=5), min_size=1, max_size=4))
def test_perfect_tags_score_everything_or_hold_no_chunk(gold):
    for scorer in (xtreme_f1, seqeval_f1):
        assert scorer(gold, gold).value == (100.0 if any(t != "O" for s in gold for t in s) else 0.0)


def test_faults_are_named():
    with pytest.raises(ValueError, match="sentence 1: 1 predicted tags for 2 words"):
        xtreme_f1([["O"], ["O"]], [["O"], ["O", "O"]])
    with pytest.raises(ValueError, match="2 predicted sentences for 1"):
        token_accuracy([["O"], ["O"]], [["O"]])
    with pytest.raises(ValueError, match="no words"):
        token_accuracy([[]], [[]])
