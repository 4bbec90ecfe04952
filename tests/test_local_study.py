"""A study on a user's own files: a union, several splits, supertags, unanswerable questions, a borrowed model."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from engine_case import toy
from hub_fixture import write_rows
from study_case import snakemake

LABELS = ["O", "B-PER", "I-PER"]
CONFIG = {
    "experiment": "mine",
    "provider": "local",
    "source_language": "en",
    "grid": {
        "backbones": ["tiny"],
        "recipes": ["none", "nli", "ccg", "squad2"],
        "targets": ["panx", "panx_r"],
        "seeds": [1],
        "controls": [],
    },
    "recipes": {"none": {}, "nli": {"tasks": ["anli+"]}, "ccg": {"tasks": ["ccg"]}, "squad2": {"tasks": ["squad2"]}},
    "backbones": {"tiny": {"source": "pretrain", "layers": 1}},
    "tasks": {
        "mlm_text": {"languages": ["de", "en"]},
        "panx": {"languages": ["de", "en"]},
        "panx_r": {"languages": ["de", "en", "gu"]},
    },
    "target": {"defaults": {"epochs": 1, "max_length": 64, "eval_every": 2}},
    "intermediate": {"defaults": {"epochs": 1, "max_length": 64, "eval_every": 2}},
    "retrieval": {"layer": 1},
}
TINY = {"layers": 1, "hidden_size": 16, "heads": 2, "ffn_size": 32, "max_positions": 128, "steps": 4}
TINY |= {"batch_tokens": 256, "vocabulary": 150}


def nli(task: str, seed: int, count: int = 12) -> list[dict]:
    rows = toy("pair_classification", count, seed)
    pairs = zip(rows["text_a"], rows["text_b"], rows["label"], strict=True)
    return [{"uid": f"{task}{n}", "premise": a, "hypothesis": b, "label": y} for n, (a, b, y) in enumerate(pairs)]


def write_data(home: Path, corpus: Path) -> None:
    """Write all raw files in the schema of the real repositories; CCG lies elsewhere, in jiant's form."""
    for number, split in enumerate(["train_r1", "train_r2", "train_r3", "dev_r1", "dev_r2", "dev_r3"]):
        write_rows(home / "anli" / "plain_text" / f"{split}.parquet", nli("anli", number))
    for task, config, dev in (("mnli", "mnli", "validation_matched"), ("snli", "plain_text", "validation")):
        for split in ("train", dev):
            write_rows(home / task / config / f"{split}.parquet", nli(task, len(task + split)))
    for split in ("train", "validation"):
        rows = toy("span_extraction", 12, len(split))
        kept = [
            {"id": f"{split}{n}", "title": "", "context": c, "question": q}
            | {"answers": {"text": a * (n % 3 > 0), "answer_start": s * (n % 3 > 0)}}
            for n, (c, q, a, s) in enumerate(
                zip(rows["context"], rows["question"], rows["answers"], rows["answer_starts"], strict=True)
            )
        ]
        write_rows(home / "squad2" / "squad_v2" / f"{split}.parquet", kept)
    make = np.random.default_rng(0)
    for task, config, languages in (("panx", "PAN-X.{}", "de en"), ("panx_r", "{}", "de en gu")):
        for language in languages.split():
            for split in ("train", "validation", "test"):
                rows = toy("token_tagging", 10, len(split + language))["tokens"]
                named = [
                    {"tokens": t, "ner_tags": make.integers(0, 3, len(t)).tolist(), "langs": [language] * len(t)}
                    for t in rows
                ]
                write_rows(home / task / config.format(language) / f"{split}.parquet", named)
    (home / "mlm_text").mkdir()
    for language in ("de", "en"):
        (home / "mlm_text" / f"{language}.txt").write_text("\n".join(toy("masked_lm", 150, len(language))["text"]))
    corpus.mkdir()
    for split in ("train", "dev"):
        rows = toy("token_tagging", 12, len(split))["tokens"]
        lines = [f"{' '.join(words)}\t{' '.join('NP/N' if len(w) > 3 else 'N' for w in words)}" for words in rows]
        (corpus / f"ccg.{split}").write_text("\n".join(lines) + "\n")
    (corpus / "tags_to_id.json").write_text('{"N": 0, "NP/N": 1}')


@pytest.fixture(scope="module")
def study(tmp_path_factory) -> tuple[Path, str]:
    """Return the results of the study and what the run printed."""
    folder = tmp_path_factory.mktemp("local")
    write_data(folder / "data", folder / "ccgbank")
    config = json.loads(json.dumps(CONFIG)) | {"local_data": str(folder / "data")}
    config["tasks"]["ccg"] = {"source": {"path": str(folder / "ccgbank")}}
    config["tasks"]["panx"]["labels"] = config["tasks"]["panx_r"]["labels"] = LABELS
    config["backbones"]["tiny"]["pretraining"] = TINY
    (folder / "mine.yaml").write_text(yaml.safe_dump(config))
    done = snakemake(folder, configfile=folder / "mine.yaml")
    assert done.returncode == 0, done.stdout[-6000:]
    return folder / "results" / "mine", done.stdout


def test_every_recipe_reaches_its_scores(study):
    with (study[0] / "scores.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    found = {(r["recipe"], r["target"], r["language"]) for r in rows}
    languages = {"panx": ("de", "en"), "panx_r": ("de", "en", "gu")}
    recipes = ("none", "nli", "ccg", "squad2")
    assert found == {(r, t, k) for r in recipes for t, of in languages.items() for k in of}


def test_the_union_was_trained_on_all_members(study):
    table = pq.read_table(study[0] / "data" / "anli+" / "train.parquet")
    assert table.num_rows == 3 * 12 + 12 + 12
    facts = json.loads((study[0] / "models/intermediate/tiny/nli/s1/manifest.json").read_text())["facts"]
    assert facts["items"] == {"anli+": 60}


def test_supertags_came_from_the_folder_that_was_named(study):
    assert json.loads((study[0] / "data/ccg/labels.json").read_text()) == ["N", "NP/N"]
    history = (study[0] / "models/intermediate/tiny/ccg/s1/history.jsonl").read_text().splitlines()
    assert any("dev" in line for line in history)


def test_a_borrowed_model_is_not_trained_again(study):
    assert sorted(p.name for p in (study[0] / "models/target/tiny/none").iterdir()) == ["panx"]
