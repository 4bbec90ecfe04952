"""Questions without an answer, and tags that the data list themselves: from examples through training to a score."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from engine_case import make_tokenizer, random_encoder, settings, task_of, tiny_config, tokenised, toy

from stilts.config.specs import slim
from stilts.metrics.judge import judge
from stilts.model.heads import TagHead
from stilts.predict.records import dev_score, predict, read_examples
from stilts.provenance.manifest import write_manifest
from stilts.tasks.registry import get_task
from stilts.tasks.spec import TaskSpec
from stilts.tokens.build import build_tokens
from stilts.tokens.sequences import Items
from stilts.tokens.store import TokenSplit
from stilts.train.loop import train
from stilts.train.plan import make_plan
from stilts.train.setup import Sources, make_part


def squad2(count: int, seed: int) -> dict[str, list]:
    """Return questions as in SQuAD 2.0: every third context lacks the word that is asked for."""
    rows = toy("span_extraction", count, seed)
    for i in range(0, count, 3):
        rows["context"][i] = rows["context"][i].replace("gligli", "frofro")
        rows["answers"][i], rows["answer_starts"][i] = [], []
    return rows


def fit(task: TaskSpec, folder: Path, home: Path, **changes):
    """Train a small encoder on a task; return (encoder, part, dev items, dev examples)."""
    own = settings(**{"learning_rate": 4e-3, "epochs": 30, **changes})
    spec = {"settings": own, "seed": 1, "source_language": "en"}
    where = Sources(folder / "tokens", folder / "data")
    encoder = random_encoder(tiny_config(num_hidden_layers=2), std=0.1)
    part = make_part(encoder, task, where, where, task, spec)
    torch.manual_seed(1)
    train(encoder, [part], make_plan([len(part.items)], ["x"], [own], 1, {}), own, home / "history.jsonl")
    dev = Items(TokenSplit(where.tokens, "validation"), own["max_length"], own["doc_stride"])
    return encoder, part, dev, read_examples(where.data, "validation")


def test_training_learns_when_to_say_nothing(tmp_path):
    task = task_of("span_extraction", "squad2", unanswerable=True, metrics=["f1", "exact_match"])
    tokenizer = make_tokenizer(tmp_path / "tokenizer")
    folder = tokenised("span_extraction", tokenizer, tmp_path / "t", train=squad2(90, 1), validation=squad2(45, 2))
    # What a question without an answer is trained towards: `<s>`, in every window.
    split = TokenSplit(folder / "tokens", "train")
    items = Items(split, 48, 24)
    assert split.answers[0].tolist() == [-1, -1]
    assert items.batch(np.asarray([0])).targets["spans"].tolist() == [[0, 0]]

    encoder, part, dev, data = fit(task, folder, tmp_path)
    out = predict(encoder, part.head, dev, data, task, 2000)
    empty = [not a for a in data["answers"]]
    assert sum(empty) == 15
    said = [not text for text in out["text"]]
    assert np.mean([a == b for a, b in zip(said, empty, strict=True)]) > 0.9
    assert dev_score(task, out, data) > 80
    # The same predictions of a task where every question has an answer never say nothing.
    always = predict(encoder, part.head, dev, data, task.model_copy(update={"unanswerable": False}), 2000)
    assert all(always["text"])


def test_scores_of_questions_without_an_answer():
    """Worked by hand by the rules of SQuAD 2.0's script: F1 is exact match where there is no gold answer."""
    task = get_task("squad2")
    data = {"id": list("abcd"), "language": ["en"] * 4, "answers": [[], [], ["the old barn"], ["barn", "a barn"]]}
    found = {"id": data["id"], "language": data["language"], "text": ["", "barn", "old barn door", ""]}
    values = {m.metric: m.value for _, _, m in judge(task, found, data)}
    # 1, 0, F1 of {old, barn, door} and {old, barn} = 2*(2/3)*1/(5/3) = 0.8, 0
    assert values["f1"] == pytest.approx(100 * (1 + 0 + 0.8 + 0) / 4)
    assert values["exact_match"] == pytest.approx(100 * 1 / 4)


def supertags(count: int, seed: int) -> dict[str, list]:
    rows = toy("token_tagging", count, seed)
    return rows | {"tags": [[2 * tag for tag in tags] for tags in rows["tags"]]}


def test_tags_that_the_data_list_are_trained_and_scored_by_accuracy(tmp_path):
    # As training reads it: the task file lists no labels, and the spec does not hold them either.
    task = TaskSpec.model_validate(slim(get_task("ccg"), "metrics"))
    assert task.labels == []
    tokenizer = make_tokenizer(tmp_path / "tokenizer")
    folder = tokenised("token_tagging", tokenizer, tmp_path / "t", train=supertags(64, 1), validation=supertags(24, 2))
    (folder / "data" / "labels.json").write_text(json.dumps(["A", "B", "C", "D", "E", "F"]))
    write_manifest(folder / "data")
    build_tokens("token_tagging", folder / "data", tokenizer, folder / "tokens")
    encoder, part, dev, data = fit(task, folder, tmp_path, epochs=12)
    assert isinstance(part.head, TagHead)
    assert part.head.classifier.out_features == 6
    out = predict(encoder, part.head, dev, data, task, 2000)
    pairs = [(p, g) for ps, gs in zip(out["tags"], data["tags"], strict=True) for p, g in zip(ps, gs, strict=True)]
    accuracy = 100 * sum(p == g for p, g in pairs) / len(pairs)
    assert dev_score(task, out, data) == pytest.approx(accuracy)
    assert accuracy > 90
