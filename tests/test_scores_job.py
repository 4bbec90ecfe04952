"""scripts.score and scripts.mine on small files, through the same door as the workflow."""

from __future__ import annotations

import csv
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from scripts import mine, score
from stilts.metrics.table import COLUMNS
from stilts.provenance.job import run_job
from stilts.provenance.manifest import write_manifest

BASE = {
    "experiment": "x",
    "backbone": "mini",
    "recipe": "none",
    "budget_point": "full",
    "seed": 1,
    "source_language": "qaa",
}


def task(name, kind, **more):
    shared = {"task": name, "kind": kind, "group": "classification", "description": "", "source": {}, "metrics": ["f1"]}
    return {**shared, **more}


def folder_of(path, tables=(), **files):
    path.mkdir(parents=True)
    for name, columns in dict(tables).items():
        pq.write_table(pa.table(columns), path / name)
    for name, value in files.items():
        (path / f"{name}.json").write_text(json.dumps(value))
    return write_manifest(path)


def run_score(tmp_path, predictions, data, spec, name="predictions.parquet", **files):
    arguments = {
        "predictions": folder_of(tmp_path / "predictions", {name: predictions}),
        "data": folder_of(tmp_path / "data", {"test.parquet": data}, **files),
    }
    argv = ["--spec", json.dumps({**BASE, **spec}), "--output", str(tmp_path / "scores" / "manifest.json")]
    for option, value in arguments.items():
        argv += [f"--{option}", str(value)]
    status = run_job(score.work, {"predictions": "", "data": ""}, argv)
    if status:
        return status
    with (tmp_path / "scores" / "scores.csv").open(newline="") as file:
        reader = csv.DictReader(file)
        assert tuple(reader.fieldnames) == COLUMNS
        return {(r["recipe"], r["protocol"], r["language"], r["metric"]): float(r["value"]) for r in reader}


def test_classification_with_majority(tmp_path):
    rows = {"id": ["a", "b", "c", "d"], "language": ["qab", "qaa", "qaa", "qaa"]}
    predictions = {**rows, "logits": [[0.0, 1.0], [2.0, 1.0], [0.0, 0.0], [0.0, 3.0]], "label": [1, 0, 1, 1]}
    spec = {"target": "pawsx", "task": task("pawsx", "pair_classification", labels=["no", "yes"]), "controls": True}
    assert run_score(tmp_path, predictions, rows, spec) == {
        ("none", "standard", "qaa", "accuracy"): pytest.approx(200 / 3, abs=1e-6),
        ("none", "standard", "qab", "accuracy"): 100.0,
        ("majority", "standard", "qaa", "accuracy"): pytest.approx(200 / 3, abs=1e-6),
        ("majority", "standard", "qab", "accuracy"): 100.0,
    }


def test_tagging_has_three_protocols_and_truncated_words_are_wrong(tmp_path):
    rows = {"id": ["a", "b"], "language": ["qaa", "qaa"]}
    predictions = {**rows, "tags": [[0, 1, -1], [1]], "gold": [[0, 1, 1], [1]]}
    spec = {"target": "udpos", "task": task("udpos", "token_tagging", labels=["NOUN", "VERB"]), "controls": False}
    found = run_score(tmp_path, predictions, rows, spec)
    assert found["none", "accuracy", "qaa", "accuracy"] == 75.0
    # Gold runs: NOUN, VERB VERB | VERB. Predicted: NOUN, VERB | VERB: two of three right on both sides.
    assert found["none", "xtreme-f1", "qaa", "f1"] == pytest.approx(200 / 3, abs=1e-6)
    assert found["none", "seqeval-f1", "qaa", "f1"] == pytest.approx(200 / 3, abs=1e-6)
    assert len(found) == 3


def test_answers_with_type_chance_only_beside_the_baseline(tmp_path):
    rows = {"id": ["1", "2"], "language": ["qaa", "qab"]}
    data = {**rows, "answers": [["the red barn", "barn"], ["cow"]]}
    predictions = {**rows, "text": ["a Barn", ""]}
    spec = {
        "target": "xquad",
        "task": task("xquad", "span_extraction", metrics=["f1", "exact_match"]),
        "controls": True,
    }
    chance = {"qaa": {"f1": 20.0, "exact_match": 10.5}}
    found = run_score(tmp_path, predictions, data, spec, controls=chance)
    assert found["none", "standard", "qaa", "exact_match"] == 100.0
    assert found["none", "standard", "qab", "f1"] == 0.0
    assert found["type-chance", "standard", "qaa", "exact_match"] == 10.5
    other = run_score(tmp_path / "again", predictions, data, {**spec, "recipe": "mnli"}, controls=chance)
    assert {key[0] for key in other} == {"mnli"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"id": ["b", "a"]}, "row 0 predicts b in qaa, the test split has a in qaa"),
        ({"id": ["a"], "language": ["qaa"], "logits": [[1.0]], "label": [0]}, "1 predictions for 2 test examples"),
        ({"logits": [[float("nan"), 0.0], [1.0, 0.0]]}, "pawsx, language qaa: logits [nan, 0.0] are not finite"),
        ({"label": None}, "has no column label"),
        ({"label": [0, -1]}, "the gold label -1 is none of the 2 choices"),
        ({"logits": [[1.0, 0.0], [1.0, 0.0, 2.0]]}, "3 logits for 2 labels"),
    ],
)
def test_faulty_predictions_are_refused(tmp_path, capsys, change, message):
    rows = {"id": ["a", "b"], "language": ["qaa", "qaa"]}
    predictions = {**rows, "logits": [[1.0, 0.0], [1.0, 0.0]], "label": [0, 1], **change}
    predictions = {name: column for name, column in predictions.items() if column is not None}
    spec = {"target": "pawsx", "task": task("pawsx", "pair_classification", labels=["no", "yes"])}
    assert run_score(tmp_path, predictions, rows, spec) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "scores").exists()


def test_a_question_without_gold_is_refused_where_all_have_answers(tmp_path, capsys):
    rows = {"id": ["1", "2"], "language": ["qaa", "qaa"]}
    data, predictions = {**rows, "answers": [["cow"], []]}, {**rows, "text": ["cow", ""]}
    spec = {"target": "xquad", "task": task("xquad", "span_extraction")}
    assert run_score(tmp_path, predictions, data, spec) == 2
    assert "language qaa: question 1: no gold answer" in capsys.readouterr().err
    spec["task"]["unanswerable"] = True
    assert run_score(tmp_path / "again", predictions, data, spec)["none", "standard", "qaa", "f1"] == 100.0


def test_mlqa_has_its_own_normaliser(tmp_path):
    rows = {"id": ["1", "2"], "language": ["de", "zh"]}
    data, predictions = {**rows, "answers": [["Das Haus"], ["中国"]]}, {**rows, "text": ["haus.", "中"]}
    spec = {"target": "mlqa", "task": task("mlqa", "span_extraction", metrics=["mlqa_f1", "mlqa_exact_match"])}
    found = run_score(tmp_path, predictions, data, spec)
    assert found["none", "standard", "de", "exact_match"] == 100.0
    assert found["none", "standard", "zh", "f1"] == pytest.approx(200 / 3, abs=1e-6)


def _cosine(a, b):
    return a @ b / np.linalg.norm(a) / np.linalg.norm(b)


def test_mining_feeds_scoring_by_layer(tmp_path):
    rng = np.random.default_rng(0)
    source = rng.normal(size=(2, 6, 4)).astype(np.float32)
    target = source.copy()
    target[0, [0, 1]] = target[0, [1, 0]]  # the first layer confuses two sentences
    # The second layer: one target sentence lies near to every query, so that searching backwards would find all.
    source[1] = np.add(np.eye(6, 4), [0, 0, 0, 4])
    target[1] = source[1] - [0, 0, 0, 3]
    target[1, 5] = [0, 0, 0, 1]
    here = tmp_path / "embeddings"
    here.mkdir()
    np.save(here / "qab.source.npy", source)
    np.save(here / "qab.target.npy", target)
    (here / "index.json").write_text(json.dumps({"layers": [0, 3], "languages": ["qab"]}))
    mined = tmp_path / "mined" / "manifest.json"
    argv = ["--spec", '{"kind": "bitext_retrieval"}', "--embeddings", str(write_manifest(here)), "--output", str(mined)]
    assert run_job(mine.work, {"embeddings": "", "data": "?"}, argv) == 0
    first = mined.read_bytes()
    assert run_job(mine.work, {"embeddings": "", "data": "?"}, argv) == 0
    assert mined.read_bytes() == first
    pairs = pq.read_table(mined.parent / "pairs.parquet").to_pydict()
    rows = {"id": [str(i) for i in range(6)], "language": ["qab"] * 6}
    spec = {
        "target": "tatoeba",
        "task": task("tatoeba", "bitext_retrieval"),
        "retrieval": {"layer": 3, "pooling": "mean"},
    }
    found = run_score(tmp_path, pairs, rows, spec, name="pairs.parquet")
    assert found["none", "layer0-mean", "qab", "accuracy"] == pytest.approx(400 / 6, abs=1e-6)
    forth = [int(np.argmax([_cosine(q, t) for t in target[1]])) for q in source[1]]
    back = [int(np.argmax([_cosine(q, t) for t in source[1]])) for q in target[1]]
    assert forth != back
    assert found["none", "layer3-mean", "qab", "accuracy"] == pytest.approx(
        100 * sum(i == k for i, k in enumerate(forth)) / 6, abs=1e-6
    )
    assert [m for m, layer in zip(pairs["match"], pairs["layer"], strict=True) if layer == 3] == forth
    pairs = {name: column[:-1] for name, column in pairs.items()}
    assert run_score(tmp_path / "again", pairs, rows, spec, name="pairs.parquet") == 2
