"""Fetching from a hub that works, and from one that does not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pyarrow.parquet as pq
import pytest
import yaml
from hub_fixture import World, card, facts, message, rows_of, spec_of, write_rows
from hub_server import Fault
from huggingface_hub.utils import enable_progress_bars

import stilts.data.bars
import stilts.data.hub


@pytest.fixture
def world(tmp_path, monkeypatch):
    made = World(tmp_path, monkeypatch)
    with made.server:
        yield made


def test_fetch_writes_the_raw_layout_and_the_commit(world):
    assert world.fetch() == 0
    assert facts(world.output)["revision"] == world.commit()
    files = sorted(p.relative_to(world.output.parent).as_posix() for p in world.output.parent.rglob("*.parquet"))
    assert files == [
        f"PAWS-X.{c}/{s}.parquet"
        for c in ("de", "en")
        for s in ("test", "train", "validation")
        if c == "en" or s == "test"  # no model is trained or selected on German
    ]
    assert rows_of(world.output.parent / "PAWS-X.de" / "test.parquet")[1]["sentence1"] == "de test 1"


def test_only_what_is_needed_is_downloaded(world):
    assert world.fetch(spec_of("pawsx", ["en"])) == 0
    asked = {path for method, path in world.server.requests if "/resolve/" in path and method == "GET"}
    assert not [path for path in asked if "PAWS-X.de" in path]


def test_twice_gives_the_same_manifest_and_downloads_once(world):
    assert world.fetch() == 0
    first = world.output.read_bytes()
    world.server.requests.clear()
    assert world.fetch() == 0
    assert world.output.read_bytes() == first
    assert not [path for method, path in world.server.requests if "/resolve/" in path]


def test_features_survive(world):
    rows = [{"tokens": ["a"], "pos_tags": [7]}]
    for split in ("train", "validation", "test"):
        write_rows(world.repo / "udpos.English" / f"{split}-00000-of-00001.parquet", rows)
    (world.repo / "README.md").write_text(card({"udpos.English": ["train", "validation", "test"]}))
    world.server.scan()
    output = world.home / "raw" / "udpos" / "manifest.json"
    assert world.fetch(spec_of("udpos", ["en"]), output) == 0
    assert b"huggingface" in pq.read_schema(output.parent / "udpos.English" / "test.parquet").metadata


# Faults


def test_corrupt_bytes_of_the_right_length_are_fetched_again(world, capsys):
    world.server.faults = [Fault("PAWS-X.de/test", "corrupt", times=1)]
    assert world.fetch() == 0
    assert "other bytes than the repository states" in capsys.readouterr().err
    assert rows_of(world.output.parent / "PAWS-X.de" / "test.parquet")[0]["sentence1"] == "de test 0"


def test_corrupt_bytes_every_time_are_one_error(world, capsys):
    world.server.faults = [Fault("PAWS-X.de/test", "corrupt")]
    assert world.fetch() == 2
    assert "came twice with other bytes" in message(capsys)
    assert not world.output.parent.exists()
    world.server.faults = []
    assert world.fetch() == 0


@pytest.mark.parametrize("name", ["PAWS-X.de/test-00000-of-00001.parquet", "README.md"])
def test_a_poisoned_cache_is_mended(world, name):
    assert world.fetch() == 0
    blob = (world.home / "cache" / "hub" / "datasets--google--xtreme" / "snapshots" / world.commit() / name).resolve()
    content = bytearray(blob.read_bytes())
    content[len(content) // 2] ^= 1
    blob.write_bytes(content)
    first = world.output.read_bytes()
    assert world.fetch() == 0
    assert world.output.read_bytes() == first
    assert [p.name for p in world.blobs() if p.name.endswith(".wrong")] == [blob.name + ".wrong"]


def test_a_poisoned_cache_offline_is_refused(world, capsys, monkeypatch):
    assert world.fetch() == 0
    large = max(world.blobs(), key=lambda p: p.stat().st_size)
    large.write_bytes(large.read_bytes()[:-1] + b"x")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert world.fetch() == 2
    assert "Run again with network" in message(capsys)


@pytest.mark.parametrize("kind", ["cut", "short", 503, 429])
def test_a_passing_fault_is_survived(world, kind):
    world.server.faults = [Fault("PAWS-X.de/test", kind, times=1)]
    assert world.fetch() == 0
    assert len(rows_of(world.output.parent / "PAWS-X.de" / "test.parquet")) == 6


def test_a_lasting_server_error_is_one_message(world, capsys):
    world.server.faults = [Fault("PAWS-X.de/test", 500)]
    assert world.fetch() == 2
    assert "HTTP 500" in message(capsys)
    assert not world.output.parent.exists()


def test_gated(world, capsys):
    world.server.faults = [Fault("/api/datasets/google/xtreme", "gated")]
    world.patch.setenv("HF_TOKEN", "hf_secretsecret")
    assert world.fetch() == 2
    captured = capsys.readouterr()
    assert "is gated: accept its terms at" in captured.err
    assert "HF_TOKEN" in captured.err
    assert "secret" not in captured.err + captured.out


def test_missing_repository(world, capsys):
    assert world.fetch(spec_of("pawsx", ["en"], id="google/xtrem")) == 2
    assert "There is no dataset repository google/xtrem at" in message(capsys)


def test_missing_language_names_those_that_exist(world, capsys):
    assert world.fetch(spec_of("pawsx", ["en", "ja"])) == 2
    assert 'for the language "ja". Languages it holds: de, en' in message(capsys)


def test_missing_split_names_those_that_exist(world, capsys):
    shutil.rmtree(world.repo / "PAWS-X.de")
    write_rows(
        world.repo / "PAWS-X.de" / "train-00000-of-00001.parquet", [{"sentence1": "a", "sentence2": "b", "label": "1"}]
    )
    world.server.scan()
    assert world.fetch() == 2
    text = message(capsys)
    assert 'no split "test" (our test); it has train' in text
    assert "Languages that have it: en" in text


def test_a_data_set_that_lost_a_column(world, capsys):
    write_rows(
        world.repo / "PAWS-X.de" / "test-00000-of-00001.parquet", [{"sentence1": "a", "sentence_2": "b", "label": "1"}]
    )
    world.server.scan()
    assert world.fetch() == 2
    assert 'no column "sentence2" (read as text_b). It has: sentence1, sentence_2, label' in message(capsys)
    assert not world.output.parent.exists()


def test_no_network_and_nothing_cached(world, capsys, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://user:secret@127.0.0.1:9")
    assert world.fetch() == 2
    text = message(capsys)
    assert "http://127.0.0.1:9 cannot be reached" in text
    assert "secret" not in text
    assert not world.output.parent.exists()


# Other shapes of repositories


def test_the_parquet_branch_of_a_script_repository(world, capsys):
    name = "allenai/cosmos_qa"
    repo = world.home / "hub" / "datasets" / "allenai" / "cosmos_qa"
    for split in ("train", "validation"):
        write_rows(
            repo / "copa" / split / "0000.parquet",
            [{"premise": "p", "choice1": "a", "choice2": "b", "question": "cause", "label": 0}],
        )
    (repo / "README.md").write_text("# no head\n")
    (world.home / "hub" / "REVISIONS.tsv").write_text(f"{name}\trefs/convert/parquet\n")
    world.server.scan()
    assert world.fetch(spec_of("copa", [], id=name)) == 2
    assert "loading script (cosmos_qa.py): try `source: branch: refs/convert/parquet`" in message(capsys)
    assert world.fetch(spec_of("copa", [], id=name, branch="refs/convert/parquet")) == 0
    assert facts(world.output)["revision"] == world.commit(name, "refs/convert/parquet")
    assert yaml.safe_load(world.beside.read_text())["repositories"][f"datasets/{name}@refs/convert/parquet"]


def test_jsonl_without_a_card(world):
    repo = world.home / "hub" / "datasets" / "me" / "mine"
    repo.mkdir(parents=True)
    line = {"premise": "p", "hypothesis": "h", "label": 2}
    for split in ("train", "validation"):
        (repo / f"{split}.jsonl").write_text(json.dumps(line) + "\n")
    world.server.scan()
    spec = spec_of("mnli", [], id="me/mine", config="default", splits={"train": "train", "validation": "validation"})
    assert world.fetch(spec) == 0
    assert rows_of(world.output.parent / "default" / "train.parquet") == [line]


def test_by_hand_as_a_script(world, root):
    command = [sys.executable, "-m", "scripts.fetch", "--output", str(world.output), "--lock", str(world.lock)]
    env = {**os.environ, "HF_TOKEN": "hf_secretsecret"}
    spec = json.dumps(spec_of("pawsx", ["en"]))
    done = subprocess.run([*command, "--spec", spec], cwd=root, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr
    assert "google/xtreme@" in done.stdout
    assert "secret" not in done.stdout + done.stderr + (world.output.parent / "run.json").read_text()
    assert not [p for p in world.output.parent.iterdir() if p.name.startswith(".")]


def test_a_spec_without_columns_fetches_all_the_same(world):
    # The workflow leaves columns out of the spec of fetch, so that a new template needs no new download.
    spec = spec_of("pawsx", ["en"])
    spec["task"] |= {"columns": {}, "quirks": [], "label_values": {}}
    rows = [{"sentence1": "a", "sentence2": "b", "gold": "1"}]
    for split in ("train", "validation", "test"):
        write_rows(world.repo / "PAWS-X.en" / f"{split}-00000-of-00001.parquet", rows)
    world.server.scan()
    assert world.fetch(spec) == 0


def test_progress_in_a_log_is_plain_lines(monkeypatch, capsys):
    monkeypatch.setattr(stilts.data.bars, "EVERY", 0.0)
    enable_progress_bars()  # transformers' switch, which other tests use, is this one
    bars = [stilts.data.bars.bar_class()(total=3, desc=name, mininterval=0) for name in ("first", "second")]
    for bar in reversed(bars):
        bar.update(2)
        bar.close()
    lines = capsys.readouterr().err.splitlines()
    assert sum("2/3" in line for line in lines) >= 2
    assert all(line.isprintable() and line.strip() for line in lines)
