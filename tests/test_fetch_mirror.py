"""The real data beside this clone, through the real clients: what is found there, counted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hub_fixture import ROOT, facts, rows_of, run, spec_of
from hub_server import HubServer

import scripts.fetch as fetch_script
import scripts.prepare as prepare_script

MIRROR = Path(os.environ.get("STILTS_HUB_MIRROR") or ROOT.parent / "shared" / "hub")
pytestmark = pytest.mark.skipif(not MIRROR.is_dir(), reason="no real data beside this clone (../shared/hub)")


@pytest.fixture(scope="module")
def mirror():
    with HubServer(MIRROR) as server:
        yield server


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    return tmp_path_factory.mktemp("mirror")


@pytest.fixture
def examples(mirror, home, monkeypatch):
    """Return a function: task, languages, changes of the source -> (folder of examples, facts)."""
    monkeypatch.setenv("HF_ENDPOINT", mirror.url)
    monkeypatch.setenv("HF_HOME", str(home / "cache"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)

    def make(task, languages=(), **source):
        spec = spec_of(task, list(languages), **source)
        raw, data = (home / kind / task / "manifest.json" for kind in ("raw", "data"))
        assert run(fetch_script, spec, raw, "--lock", home / "committed.yaml") == 0
        assert not (home / "committed.yaml").exists()
        assert run(prepare_script, spec, data, "--raw", raw) == 0
        return data.parent, facts(data)

    return make


def total(counts, split):
    return sum(counts[split].values())


def test_tatoeba_lines_end_in_newlines(examples):
    folder, found = examples("tatoeba", ["de", "jv", "zh"])
    assert found["quirks"]["newlines_stripped"] == {"test": {"de": 2000, "jv": 410, "zh": 2000}}
    rows = rows_of(folder / "test.parquet")
    assert rows[0]["target_text"] == "Maria sagte, sie wisse nicht, wo Tom sei."
    assert rows[0]["source_text"] == "Mary said she didn't know where Tom was."
    assert not any("\n" in row[name] for row in rows for name in ("source_text", "target_text"))


def test_xquad_offsets_moved_by_stripping(examples):
    folder, found = examples("xquad", ["ar", "en", "zh"])
    assert found["rows"] == {"test": {"ar": 1190, "en": 1190, "zh": 1190}}
    assert found["quirks"]["answers_moved"] == {"test": {"ar": 26, "en": 5, "zh": 100}}
    assert "answers_absent" not in found["quirks"]
    for row in rows_of(folder / "test.parquet"):
        for text, start in zip(row["answers"], row["answer_starts"], strict=True):
            assert row["context"][start : start + len(text)] == text
    ids = {code: [r["id"] for r in rows_of(folder / "test.parquet") if r["language"] == code] for code in ("ar", "en")}
    assert ids["ar"] == ids["en"]


def test_squad_needs_no_repair(examples):
    _, found = examples("squad1")
    assert found["rows"] == {"train": {"en": 3939}, "validation": {"en": 700}}
    assert "answers_moved" not in found["quirks"]


def test_the_other_order_of_answer_fields(examples):
    # google/xtreme stores answer_start before text, the others text before answer_start; and it strips contexts.
    folder, found = examples("squad1", id="google/xtreme", config="SQuAD")
    assert total(found["rows"], "train") == 3939
    assert found["quirks"]["answers_moved"]["train"]["en"] > 0
    assert all(row["answer_starts"][0] >= 0 for row in rows_of(folder / "train.parquet"))


def test_tydiqa_languages_from_ids(examples):
    folder, found = examples("tydiqa", ["en", "ko", "sw"])
    assert found["rows"] == {
        "train": {"en": 3256},
        "validation": {"en": 440},
        "test": {"en": 440, "ko": 276, "sw": 499},
    }
    assert found["quirks"]["other_languages"]["train"] == {"korean": 1349, "swahili": 2256}
    assert found["quirks"]["answers_moved"]["test"] == {"en": 5, "ko": 82, "sw": 76}
    assert {row["id"].split("-")[0] for row in rows_of(folder / "train.parquet")} == {"english"}


def test_pawsx_labels_are_strings(examples):
    folder, found = examples("pawsx", ["de", "en"], splits={"train": "train", "validation": "validation"})
    assert found["rows"] == {"train": {"en": 1598}, "validation": {"en": 400}}
    assert sum(row["label"] for row in rows_of(folder / "train.parquet")) == 694


def test_copa_test_labels_are_missing(examples):
    _, found = examples("copa")
    assert found["rows"] == {"train": {"en": 400}, "validation": {"en": 100}}


def test_copa_test_has_nothing_to_score(mirror, home, monkeypatch, capsys):
    monkeypatch.setenv("HF_ENDPOINT", mirror.url)
    monkeypatch.setenv("HF_HOME", str(home / "cache"))
    spec = spec_of("copa", [], splits={"train": "train", "test": "test"})
    raw, data = (home / kind / "copa-test" / "manifest.json" for kind in ("raw", "data"))
    assert run(fetch_script, spec, raw) == 0
    assert run(prepare_script, spec, data, "--raw", raw) == 2
    assert "'unlabelled': {'en': 500}" in capsys.readouterr().err
    assert not data.parent.exists()


def test_udpos_of_the_mirror(examples):
    folder, found = examples("udpos", ["en", "th", "vi"])
    assert found["rows"]["test"] == {"en": 2077, "th": 1000, "vi": 800}
    assert "no_table" not in found["quirks"]
    assert found["quirks"]["tokens_with_blanks"]["test"] == {"vi": 2079}
    first = rows_of(folder / "train.parquet")[0]
    names = [found["labels"][tag] for tag in first["tags"]]
    assert list(zip(first["tokens"], names, strict=True))[:4] == [
        ("From", "ADP"),
        ("the", "DET"),
        ("AP", "PROPN"),
        ("comes", "VERB"),
    ]


def test_hellaswag_and_mnli(examples):
    folder, found = examples("hellaswag")
    assert found["rows"] == {"train": {"en": 8042}, "validation": {"en": 2000}}
    assert all(
        len(row["choices"]) == 4 and row["choices"][0] == row["choices"][0].strip()
        for row in rows_of(folder / "validation.parquet")
    )
    assert examples("mnli")[1]["rows"] == {"train": {"en": 7853}, "validation": {"en": 1962}}


def test_xcopa_and_a_config_that_is_not_there(examples, home, capsys):
    _, found = examples("xcopa", ["qu", "zh"])
    assert found["rows"]["test"] == {"qu": 500, "zh": 500}
    assert run(fetch_script, spec_of("xcopa", ["en"]), home / "raw" / "none" / "manifest.json") == 2
    message = capsys.readouterr().err
    assert 'for the language "en"' in message
    assert "et, ht, id, it, qu, sw, ta, th, tr" in message


def test_the_parquet_branch(examples):
    columns = {"prompt": "{context} {question}", "label": "label"}
    choices = ["{answer0}", "{answer1}", "{answer2}", "{answer3}"]
    spec = spec_of("hellaswag", [], id="allenai/cosmos_qa", branch="refs/convert/parquet")
    spec["task"] |= {"columns": columns, "choices": choices}
    assert run(fetch_script, spec, (raw := examples("copa")[0].parents[1] / "raw" / "cosmos" / "manifest.json")) == 0
    assert facts(raw)["rows"] == {"default/train.parquet": 2385, "default/validation.parquet": 600}


def test_text(examples):
    _, found = examples("mlm_text", ["en", "zh"])
    assert found["rows"]["train"]["en"] > 1000
