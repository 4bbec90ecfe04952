"""Encoders from a hub or a folder: safetensors only, the same checks as for data."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
import yaml
from hub_fixture import facts, run
from hub_server import Fault, HubServer
from safetensors.numpy import save_file

import scripts.fetch_backbone as script
import stilts.data.hub

NAME = "org/tiny"
FILES = ["config.json", "model.safetensors", "sentencepiece.bpe.model", "tokenizer.json", "tokenizer_config.json"]


def write_model(home, weights=("model.safetensors",)):
    home.mkdir(parents=True)
    config = {"model_type": "xlm-roberta", "num_hidden_layers": 2, "hidden_size": 8, "vocab_size": 16}
    (home / "config.json").write_text(json.dumps(config))
    for number, name in enumerate(weights):
        save_file({f"w{number}": np.full((4, 8), number, dtype=np.float32)}, home / name)
    if len(weights) > 1:
        index = {"weight_map": {f"w{n}": name for n, name in enumerate(weights)}}
        (home / "model.safetensors.index.json").write_text(json.dumps(index))
    (home / "tokenizer.json").write_text("{}")
    (home / "tokenizer_config.json").write_text('{"model_max_length": 16}')
    (home / "sentencepiece.bpe.model").write_bytes(b"pieces")
    (home / "pytorch_model.bin").write_bytes(b"pickle")
    (home / "README.md").write_text("# tiny\n")
    return home


@pytest.fixture
def model(tmp_path):
    return write_model(tmp_path / "hub" / "models" / "org" / "tiny")


@pytest.fixture
def hub(model, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setattr(stilts.data.hub, "PAUSES", (0.0,))
    with HubServer(tmp_path / "hub") as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        yield server


def fetch(tmp_path, *options, name=NAME, revision=None):
    output = tmp_path / "models" / "tiny" / "manifest.json"
    return output, run(script, {"id": name, "revision": revision}, output, "--lock", tmp_path / "lock.yaml", *options)


def files(output):
    return sorted(json.loads(output.read_text())["files"].keys() - {"spec.json"})


def test_a_model_without_its_pickles(hub, tmp_path):
    output, status = fetch(tmp_path)
    assert status == 0
    assert files(output) == FILES
    assert facts(output)["num_hidden_layers"] == 2
    assert facts(output)["revision"] == hub.refs["models", NAME]["main"]
    held = yaml.safe_load((tmp_path / "models" / "revisions.lock.yaml").read_text())["repositories"]
    assert list(held) == [f"models/{NAME}@main"]
    assert not (tmp_path / "lock.yaml").exists()
    asked = {path.rsplit("/", 1)[1] for method, path in hub.requests if method == "GET" and "/resolve/" in path}
    assert asked == set(FILES)


def test_sharded_weights(hub, tmp_path):
    shards = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
    home = write_model(tmp_path / "hub" / "models" / "org" / "big", shards)
    hub.scan()
    output, status = fetch(tmp_path, name="org/big")
    assert status == 0
    assert set(shards) <= set(files(output))
    (home / shards[1]).unlink()
    hub.scan()
    (tmp_path / "models" / "revisions.lock.yaml").unlink()
    assert fetch(tmp_path, name="org/big")[1] == 2


def test_pickled_weights_are_refused(hub, model, tmp_path, capsys):
    (model / "model.safetensors").unlink()
    hub.scan()
    output, status = fetch(tmp_path)
    assert status == 2
    assert "It has pytorch_model.bin, which can run code when loaded" in capsys.readouterr().err
    assert not output.parent.exists()


def test_corrupt_weights(hub, tmp_path, capsys):
    hub.faults = [Fault("model.safetensors", "corrupt")]
    output, status = fetch(tmp_path)
    assert status == 2
    assert "model.safetensors of the model repository org/tiny" in capsys.readouterr().err
    assert not output.parent.exists()
    hub.faults = []
    assert fetch(tmp_path)[1] == 0


def test_a_gated_model(hub, tmp_path, capsys):
    hub.faults = [Fault("/api/models/org/tiny", "gated")]
    assert fetch(tmp_path)[1] == 2
    assert f"accept its terms at {hub.url}/org/tiny, then set HF_TOKEN" in capsys.readouterr().err


def test_no_such_model(hub, tmp_path, capsys):
    assert fetch(tmp_path, name="org/tinny")[1] == 2
    assert "There is no model repository org/tinny" in capsys.readouterr().err


def test_a_pinned_commit_and_offline(hub, tmp_path, monkeypatch):
    commit = hub.refs["models", NAME]["main"]
    output, status = fetch(tmp_path, revision=commit)
    assert status == 0
    first = output.read_bytes()
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert fetch(tmp_path, revision=commit)[1] == 0
    assert output.read_bytes() == first


def test_a_local_folder(model, tmp_path):
    output, status = fetch(tmp_path, "--local", model)
    assert status == 0
    assert files(output) == FILES
    assert facts(output)["source"] == "local"
    assert str(tmp_path) not in output.read_text()
    assert os.path.samefile(output.parent / "model.safetensors", model / "model.safetensors")


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (lambda home: (home / "config.json").unlink(), "holds no config.json"),
        (lambda home: (home / "config.json").write_text("{"), "not valid JSON"),
        (
            lambda home: [(home / n).unlink() for n in ("tokenizer.json", "sentencepiece.bpe.model")],
            "holds no tokenizer",
        ),
        (lambda home: os.truncate(home / "model.safetensors", 40), "is not a safetensors file"),
        (lambda home: os.truncate(home / "model.safetensors", 150), "it was cut"),
        (lambda home: (home / "model.safetensors").write_bytes(b"x"), "is not a safetensors file"),
    ],
)
def test_a_local_folder_that_is_not_whole(model, tmp_path, capsys, spoil, text):
    spoil(model)
    output, status = fetch(tmp_path, "--local", model)
    assert status == 2
    assert text in capsys.readouterr().err
    assert not output.parent.exists()


def test_no_such_folder(tmp_path, capsys):
    assert fetch(tmp_path, "--local", tmp_path / "none")[1] == 2
    assert "There is no model folder" in capsys.readouterr().err
