"""Blocks of a test set against the scores of their rows alone, by brute force."""

from __future__ import annotations

import random
import statistics

import pytest

from stilts.errors import UserError
from stilts.metrics.blocks import (
    BLOCKS,
    judge_blocks,
    judge_pair_blocks,
    judge_rank_blocks,
    read_blocks,
    write_blocks,
)
from stilts.metrics.judge_search import judge_ranks
from stilts.tasks.spec import TaskSpec

SIZES = {"qaa": 53, "qab": 20, "qac": 19}


def task(kind, **more):
    base = {"task": "t", "kind": kind, "group": "qa", "description": "", "source": {}, "metrics": []}
    return TaskSpec.model_validate(base | more)


def rows():
    return [(f"{x}-{k}", x) for x, n in SIZES.items() for k in range(n)]


def test_a_block_is_a_run_of_neighbours_and_all_are_there_once():
    draw = random.Random(1)
    ids, languages = map(list, zip(*rows(), strict=True))
    right = [draw.random() < 0.6 for _ in ids]
    logits = [[1.0, 0.0] if r else [0.0, 1.0] for r in right]
    predictions = {"id": ids, "language": languages, "label": [0] * len(ids), "logits": logits}
    spec = task("pair_classification", labels=["no", "yes"])
    found = judge_blocks(spec, predictions, {"id": ids, "language": languages})
    # A language with fewer examples than blocks has none.
    assert set(found) == {("standard", x, "accuracy") for x in ("qaa", "qab")}
    mine = [r for r, x in zip(right, languages, strict=True) if x == "qaa"]
    parts = [[mine[i] for i in range(53) if i * BLOCKS // 53 == k] for k in range(BLOCKS)]
    assert [r for part in parts for r in part] == mine
    assert found["standard", "qaa", "accuracy"] == pytest.approx([100 * statistics.fmean(p) for p in parts])


def test_question_answering_has_blocks_of_both_metrics():
    ids, languages = map(list, zip(*[r for r in rows() if r[1] == "qab"], strict=True))
    answers = [["red house"]] * 20
    texts = ["red house" if k % 2 else "red" for k in range(20)]
    found = judge_blocks(
        task("span_extraction"),
        {"id": ids, "language": languages, "text": texts},
        {"id": ids, "language": languages, "answers": answers},
    )
    assert found["standard", "qab", "exact_match"] == [0.0, 100.0] * 10
    assert found["standard", "qab", "f1"] == pytest.approx([200 / 3, 100.0] * 10)


def test_retrieval_has_blocks_by_query_at_every_layer():
    pairs = {"language": [], "layer": [], "query": [], "match": []}
    for layer in (0, 3):
        for q in range(40):
            for name, value in zip(pairs, ("qab", layer, q, q if q % (layer + 2) else 1), strict=True):
                pairs[name].append(value)
    found = judge_pair_blocks(pairs, "mean", {"language": ["qab"] * 40})
    assert found["layer0-mean", "qab", "accuracy"] == [50.0] * 20
    hits = [q % 5 > 0 for q in range(40)]
    assert found["layer3-mean", "qab", "accuracy"] == [
        50.0 * (a + b) for a, b in zip(hits[::2], hits[1::2], strict=True)
    ]


def test_ranked_candidates_have_blocks_by_query():
    draw = random.Random(2)
    gold = [["a"] * draw.randint(1, 3) for _ in range(60)]
    data = {
        "id": list(range(63)), "language": ["qab"] * 20 + ["qac"] * 40 + ["qab"] * 3,
        "side": ["query"] * 60 + ["candidate"] * 3, "gold": [*gold, [], [], []],
    }  # fmt: skip
    hits = [(q, draw.randint(1, 30)) for q in range(60) for _ in gold[q] if draw.random() < 0.9]
    ranks = {"query": [q for q, _ in hits], "rank": [r for _, r in hits]}
    spec = task("answer_retrieval")
    found = judge_rank_blocks(spec, ranks, data)
    whole = {(p, x): m.value for p, x, m in judge_ranks(spec, ranks, data)}
    assert set(found) == {("sentence-map20", x, "map") for x in ("qab", "qac")}
    for (protocol, language, _), values in found.items():
        assert statistics.fmean(values) == pytest.approx(whole[protocol, language])
        assert len(set(values)) > 1


def test_blocks_are_read_as_they_were_written(tmp_path):
    blocks = {("standard", "qab", "f1"): [float(k) for k in range(BLOCKS)]}
    write_blocks(tmp_path / "blocks.csv", blocks)
    assert read_blocks(tmp_path / "blocks.csv") == blocks
    (tmp_path / "blocks.csv").write_text((tmp_path / "blocks.csv").read_text().replace("7.000000", "seven"))
    with pytest.raises(UserError, match="line 2: not the scores of 20 blocks"):
        read_blocks(tmp_path / "blocks.csv")
