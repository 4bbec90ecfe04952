"""The scripts of the engine in a chain, as the workflow calls them: what they leave behind, repeat and refuse."""

from __future__ import annotations

import json
import os
import runpy
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from scripts import finish
from stilts.provenance.manifest import canonical, read_manifest
from tests.engine_case import corpus, settings, task_of, toy, write_examples

PRETRAINING = {
    "hidden_size": 16,
    "layers": 2,
    "heads": 2,
    "ffn_size": 24,
    "max_positions": 48,
    "steps": 4,
    "batch_tokens": 100,
    "shards": 2,
    "mask_probability": 0.15,
    "language_alpha": 0.5,
    "initializer_range": 0.05,
    "training": settings(),
}
LANGUAGES = ("en", "de", "fr")
KINDS = {"nli": "pair_classification", "story": "multiple_choice", "pos": "token_tagging", "squad": "span_extraction"}


def script(name: str, spec: dict, output: Path, *options: str, **inputs: Path | list[Path]) -> int:
    """Run one script in this process; return its status."""
    argv = [f"scripts.{name}", "--spec", canonical(spec), "--output", str(output / "manifest.json"), *options]
    for key, value in inputs.items():
        folders = value if isinstance(value, list) else [value]
        argv += [f"--{key.replace('_', '-')}", *(str(f / "manifest.json") for f in folders)]
    before = sys.argv
    sys.argv = argv
    try:
        with pytest.raises(SystemExit) as end:
            runpy.run_module(f"scripts.{name}", run_name="__main__", alter_sys=True)
        return end.value.code
    finally:
        sys.argv = before


def task(name: str) -> dict:
    return task_of(KINDS[name], name).model_dump()


def target_spec(name: str, **changes) -> dict:
    """Return the spec of train_target."""
    base = {
        "task": task(name),
        "dev_task": task(name),
        "settings": settings(eval_every=2, dropout=0.1),
        "depth": "full",
    }
    return {**base, "seed": 1, "source_language": "en", "blind": False, **changes}


def predict_spec(name: str) -> dict:
    """Return the spec of predict."""
    base = {"task": task(name), "dev_task": task(name), "settings": {"pooling": "first", "doc_stride": 24}}
    return {**base, "max_length": 48, "precision": "fp32", "source_language": "en", "blind": False}


def train_target(root: Path, name: str, output: Path, encoder: Path, *options: str, **changes) -> int:
    """Tune an encoder on a task."""
    inputs = {"tokens": root / "tokens" / name, "dev_tokens": root / "tokens" / name, "dev_data": root / "data" / name}
    return script("train_target", target_spec(name, **changes), output, *options, encoder=encoder, **inputs)


def predict(root: Path, name: str, output: Path, model: Path, *options: str) -> int:
    """Predict a task."""
    tokens, data = root / "tokens" / name, root / "data" / name
    inputs = {"model": model, "tokens": tokens, "data": data, "dev_tokens": tokens, "dev_data": data}
    return script("predict", predict_spec(name), output, *options, **inputs)


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> Path:
    """Return a folder with the results of the whole chain, under a path with a space."""
    root = tmp_path_factory.mktemp("results") / "a study"
    text = corpus(60)
    write_examples(root / "data" / "text", train={"text": text, "language": ["en", "de"] * 30})
    for name, kind in KINDS.items():
        splits = {
            "train": toy(kind, 24, 1),
            "validation": toy(kind, 9, 2, LANGUAGES),
            "test": toy(kind, 12, 3, LANGUAGES),
        }
        write_examples(root / "data" / name, **splits)
    write_examples(root / "data" / "pairs", test=toy("bitext_retrieval", 8, 4, LANGUAGES[1:]))
    spec = {"vocabulary": 100, "character_coverage": 1.0, "tokenizer_lines": 50, "max_positions": 48}
    assert script("train_tokenizer", spec, root / "tokenizer", text=root / "data" / "text") == 0
    for name, kind in {**KINDS, "text": "masked_lm", "pairs": "bitext_retrieval"}.items():
        inputs = {"data": root / "data" / name, "tokenizer": root / "tokenizer"}
        assert script("tokenize", {"kind": kind}, root / "tokens" / name, **inputs) == 0
    inputs = {"tokens": root / "tokens" / "text", "tokenizer": root / "tokenizer"}
    assert script("pretrain", {"pretraining": PRETRAINING, "seed": 1}, root / "pretrained", **inputs) == 0
    return root


def test_the_stand_in_is_a_model_folder(root):
    names = {p.name for p in (root / "pretrained").iterdir()}
    assert names >= {"config.json", "model.safetensors", "tokenizer.json", "sentencepiece.bpe.model", "history.jsonl"}
    assert read_manifest(root / "pretrained" / "manifest.json")["facts"]["steps"] == 4
    assert (root / "pretrained" / "tokenizer.json").read_bytes() == (root / "tokenizer" / "tokenizer.json").read_bytes()
    run = json.loads((root / "pretrained" / "run.json").read_text())
    assert run["versions"]["torch"]
    assert run["cpu_seconds"] >= 0
    assert run["precision"] == "fp32"


def test_manifests_hold_no_time_host_or_path(root):
    for path in root.rglob("manifest.json"):
        text = path.read_text()
        assert str(root) not in text
        assert "seconds" not in text
        assert os.uname().nodename not in text


def test_the_random_control_has_the_shape_and_nothing_else(root, tmp_path):
    from safetensors.torch import load_file

    assert script("randomise", {"seed": 1}, tmp_path / "r", encoder=root / "pretrained") == 0
    assert script("randomise", {"seed": 1}, tmp_path / "s", encoder=root / "pretrained") == 0
    assert script("randomise", {"seed": 2}, tmp_path / "t", encoder=root / "pretrained") == 0
    one, same, other = ((tmp_path / n / "model.safetensors").read_bytes() for n in "rst")
    assert one == same != other
    trained, random = (
        load_file(root / "pretrained" / "model.safetensors"),
        load_file(tmp_path / "r" / "model.safetensors"),
    )
    for name, tensor in random.items():
        was = trained[f"roberta.{name}"]
        assert was.shape == tensor.shape
        untouched = (was == tensor).all().item()
        assert not untouched or name.endswith(".key.bias"), f"{name} kept its trained values"


@pytest.mark.parametrize("tasks", [["nli"], ["nli", "story", "pos", "squad"]], ids=["one", "multi"])
def test_intermediate_training(root, tmp_path, tasks):
    mixing = {"sampling": "proportional", "temperature": 1.0, "examples_cap": 100}
    entries = [{"task": task(t), "settings": settings(dropout=0.1, eval_every=3)} for t in tasks]
    spec = {
        "tasks": entries,
        "settings": settings(dropout=0.1, eval_every=3),
        "mixing": mixing,
        "seed": 1,
        "source_language": "en",
    }
    inputs = {"tokens": [root / "tokens" / t for t in tasks], "data": [root / "data" / t for t in tasks]}
    for name in ("a", "b"):
        assert script("train_intermediate", spec, tmp_path / name, encoder=root / "pretrained", **inputs) == 0
    assert (tmp_path / "a" / "manifest.json").read_bytes() == (tmp_path / "b" / "manifest.json").read_bytes()
    facts = read_manifest(tmp_path / "a" / "manifest.json")["facts"]
    assert facts["items"] == dict.fromkeys(tasks, 24)
    assert facts["steps"] == 3 * len(tasks)
    assert not (tmp_path / "a" / "head.safetensors").exists(), "the head of an intermediate task is dropped"
    assert train_target(root, "pos", tmp_path / "t", tmp_path / "a") == 0


@pytest.mark.parametrize("name", KINDS)
def test_targets_are_tuned_and_predicted_in_every_language(root, tmp_path, name):
    assert train_target(root, name, tmp_path / "m", root / "pretrained") == 0
    assert train_target(root, name, tmp_path / "n", root / "pretrained", "--tokens-per-batch", "64") == 0
    assert (tmp_path / "m" / "manifest.json").read_bytes() == (tmp_path / "n" / "manifest.json").read_bytes()
    facts = read_manifest(tmp_path / "m" / "manifest.json")["facts"]
    assert facts["items"] >= 24
    assert 0 <= facts["dev"] <= 100
    assert json.loads((tmp_path / "m" / "run.json").read_text())["precision"] == "fp32"
    assert "precision" not in facts, "it may be the device's choice"
    for out in ("p", "q"):
        assert predict(root, name, tmp_path / out, tmp_path / "m") == 0
    assert (tmp_path / "p" / "manifest.json").read_bytes() == (tmp_path / "q" / "manifest.json").read_bytes()
    table = pq.read_table(tmp_path / "p" / "predictions.parquet").to_pydict()
    assert table["language"] == [LANGUAGES[i % 3] for i in range(12)]
    assert table["id"] == [f"test-{i}" for i in range(12)]
    dev = json.loads((tmp_path / "p" / "dev.json").read_text())
    assert dev == {"task": name, "n": 3, "value": pytest.approx(facts["dev"], abs=1e-4)}, "dev is what selection saw"
    assert set(pq.read_table(tmp_path / "p" / "dev.parquet")["language"].to_pylist()) == {"en"}


def test_budget_depths_cut_the_encoder(root, tmp_path):
    assert train_target(root, "nli", tmp_path / "m", root / "pretrained", depth=1) == 0
    assert json.loads((tmp_path / "m" / "config.json").read_text())["num_hidden_layers"] == 1
    assert predict(root, "nli", tmp_path / "p", tmp_path / "m") == 0


def test_embeddings_of_every_layer_and_language(root, tmp_path):
    spec = {"layers": "all", "pooling": "mean", "max_length": 32, "precision": "fp32"}
    assert script("embed", spec, tmp_path / "e", model=root / "pretrained", tokens=root / "tokens" / "pairs") == 0
    assert json.loads((tmp_path / "e" / "index.json").read_text()) == {"layers": [0, 1, 2], "languages": ["de", "fr"]}
    for language in ("de", "fr"):
        for side in ("source", "target"):
            assert np.load(tmp_path / "e" / f"{language}.{side}.npy").shape == (3, 4, 16)


# --- mistakes: one message, status 2, nothing half-written


def refused(capsys, output: Path, status: int, *says: str) -> None:
    """Check that a job failed with one line that says what is wrong, and left nothing."""
    err = [x for x in capsys.readouterr().err.splitlines() if x.startswith("error:")]
    assert status == 2
    assert len(err) == 1
    assert all(s in err[0] for s in says), err[0]
    assert not output.exists()
    assert not list(output.parent.glob("*.part"))


def test_more_layers_than_there_are(root, tmp_path, capsys):
    status = train_target(root, "nli", tmp_path / "m", root / "pretrained", depth=7)
    refused(capsys, tmp_path / "m", status, "budget.depths asks for 7 layers", "has 2")


def test_a_source_language_without_dev_data(root, tmp_path, capsys):
    status = train_target(root, "nli", tmp_path / "m", root / "pretrained", source_language="sw")
    refused(capsys, tmp_path / "m", status, 'no example in "sw"; there are de, en, fr')


def test_a_missing_split(root, tmp_path, capsys):
    spec = {"layers": "all", "pooling": "mean", "max_length": 32, "precision": "fp32"}
    status = script("embed", spec, tmp_path / "e", model=root / "pretrained", tokens=root / "tokens" / "text")
    refused(capsys, tmp_path / "e", status, 'has no split "test"')


def test_layers_that_do_not_exist(root, tmp_path, capsys):
    spec = {"layers": [9], "pooling": "mean", "max_length": 32, "precision": "fp32"}
    status = script("embed", spec, tmp_path / "e", model=root / "pretrained", tokens=root / "tokens" / "pairs")
    refused(capsys, tmp_path / "e", status, "hidden state 9; the encoder has 2 layers")


@pytest.mark.parametrize("lost", ["test.tokens.json", "test.ids.npy", "model.safetensors"])
def test_an_input_that_lost_a_file(root, tmp_path, capsys, lost):
    import shutil

    for name in ("pretrained", "tokens"):
        shutil.copytree(root / name, tmp_path / name)
    next(tmp_path.rglob(lost if lost[0] == "m" else f"pairs/{lost}")).unlink()
    spec = {"layers": "all", "pooling": "mean", "max_length": 32, "precision": "fp32"}
    inputs = {"model": tmp_path / "pretrained", "tokens": tmp_path / "tokens" / "pairs"}
    status = script("embed", spec, tmp_path / "out" / "e", **inputs)
    refused(capsys, tmp_path / "out" / "e", status, lost, "run the workflow again")


@pytest.mark.parametrize("name", ["encoder", "dev_tokens", "dev_data"])
def test_every_input_of_a_training_job_is_checked(root, tmp_path, capsys, name):
    status = script(
        "train_target",
        target_spec("nli"),
        tmp_path / "out" / "m",
        **{
            "encoder": root / "pretrained",
            "tokens": root / "tokens" / "nli",
            "dev_tokens": root / "tokens" / "nli",
            "dev_data": root / "data" / "nli",
            name: tmp_path / "nowhere",
        },
    )
    refused(capsys, tmp_path / "out" / "m", status, "nowhere", "run the workflow again")


# --- the last words of a run


def test_finish_says_where_the_report_lies_and_what_it_cost(root, tmp_path, capsys):
    study = tmp_path / "study"
    for place, seconds in (("models/target/a", 60.0), ("data/b", 30.0), ("predictions/c", 10.0), ("models/old", 500.0)):
        (study / place).mkdir(parents=True)
        (study / place / "run.json").write_text(json.dumps({"cpu_seconds": seconds}))
    os.utime(study / "models/old/run.json", (1, 1))
    arguments = ["--root", str(study), "--started", "1000", "--cpu", "140"]
    assert finish.main(arguments) == 0
    said = capsys.readouterr().err
    assert "3 jobs in" in said
    assert "2 min 20 s of CPU time, 50 % of it inside training and evaluation." in said
    assert "Report" not in said
    assert finish.main([*arguments, "--failed"]) == 0
    said = capsys.readouterr().err
    assert "stopped before its end" in said
    assert f"Logs: {study / 'logs'}" in said
    (study / "logs").mkdir()
    (study / "logs/pretrain.log").write_text("error: stopped by SIGINT at step 3 of 9; it goes on from there\n")
    assert finish.main([*arguments, "--failed"]) == 0
    said = capsys.readouterr().err
    assert "stopped before its end" in said
    assert "pretrain.log: error: stopped by SIGINT at step 3 of 9" in said
    (study / "logs/score.log").write_text("error: no row of qab\n")
    assert finish.main([*arguments, "--failed"]) == 0
    said = capsys.readouterr().err
    assert "Some jobs failed" in said
    assert "score.log: error: no row of qab" in said
    assert "run the same" in said
    assert f"Logs: {study / 'logs'}" in said
    (study / "report").mkdir()
    (study / "report" / "index.html").touch()
    finish.main(arguments)
    assert f"Report: {study / 'report' / 'index.html'}" in capsys.readouterr().err
