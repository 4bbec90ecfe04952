"""Raw tables to examples: what the job writes, counts and refuses."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from hub_fixture import facts, rows_of, run, spec_of, write_rows

import scripts.prepare as script
from stilts.provenance.manifest import write_manifest
from stilts.tasks.registry import get_task


def pairs(language, split, count):
    return [{"sentence1": f"{language} {split} {n}", "sentence2": f"b {n}", "label": str(n % 2)} for n in range(count)]


@pytest.fixture
def paws(tmp_path):
    """Raw PAWS-X of a mini world: two languages."""
    raw = tmp_path / "raw" / "pawsx"
    for language in ("qaa", "qab"):
        for split in ("train", "validation", "test"):
            write_rows(raw / f"PAWS-X.{language}" / f"{split}.parquet", pairs(language, split, 4))
    return write_manifest(raw)


def prepare(spec, raw, output):
    return run(script, spec, output, "--raw", raw)


def refused(capsys, spec, raw, output):
    """Return the one message of a run that must fail, and see that it left nothing behind."""
    before = sorted(output.parent.parent.rglob("*")) if output.parent.parent.is_dir() else []
    assert prepare(spec, raw, output) == 2
    assert sorted(output.parent.parent.rglob("*")) == before if output.parent.parent.is_dir() else not before
    message = capsys.readouterr().err
    assert message.startswith("error: ")
    assert message.count("\n") == 1
    return message


def test_examples_of_all_languages_in_one_file_a_split(paws, tmp_path):
    out = tmp_path / "data" / "pawsx" / "manifest.json"
    assert prepare(spec_of("pawsx", ["qaa", "qab"], "mini", "qaa"), paws, out) == 0
    assert facts(out)["rows"] == {
        "train": {"qaa": 4},
        "validation": {"qaa": 4},
        "test": {"qaa": 4, "qab": 4},
    }
    test = rows_of(out.parent / "test.parquet")
    assert test[5] == {"id": "test-1", "language": "qab", "text_a": "qab test 1", "text_b": "b 1", "label": 1}
    assert facts(out)["labels"] == ["different", "paraphrase"]


def test_same_input_same_bytes(paws, tmp_path):
    spec = spec_of("pawsx", ["qab", "qaa"], "mini", "qaa")
    for name in ("a", "b"):
        assert prepare(spec, paws, tmp_path / name / "manifest.json") == 0
    assert (tmp_path / "a" / "manifest.json").read_bytes() == (tmp_path / "b" / "manifest.json").read_bytes()


def test_repeats_and_leaks_are_counted(tmp_path):
    raw = tmp_path / "raw"
    rows = pairs("qaa", "train", 3)
    write_rows(raw / "PAWS-X.qaa" / "train.parquet", [*rows, rows[0]])
    write_rows(raw / "PAWS-X.qaa" / "validation.parquet", pairs("qaa", "validation", 2))
    write_rows(raw / "PAWS-X.qaa" / "test.parquet", [rows[1], *pairs("qaa", "test", 2)])
    out = tmp_path / "data" / "manifest.json"
    assert prepare(spec_of("pawsx", ["qaa"], "mini", "qaa"), write_manifest(raw), out) == 0
    assert facts(out)["quirks"] == {"repeated_examples": {"train": {"qaa": 1}}, "also_in_train": {"test": {"qaa": 1}}}


def test_language_not_in_the_data(paws, tmp_path, capsys):
    message = refused(capsys, spec_of("pawsx", ["qaa", "qaf"], "mini", "qaa"), paws, tmp_path / "data" / "x" / "m.json")
    assert '"qaf"' in message
    assert "Languages that have it: qaa, qab" in message


def test_missing_split(paws, tmp_path, capsys):
    spec = spec_of("mnli", [], "mini", "qaa")
    write_rows(tmp_path / "raw" / "mnli" / "mnli" / "train.parquet", [{"premise": "a", "hypothesis": "b", "label": 0}])
    raw = write_manifest(tmp_path / "raw" / "mnli")
    message = refused(capsys, spec, raw, tmp_path / "data" / "x" / "m.json")
    assert 'no split "validation_matched" of "mnli"' in message
    assert "Splits that exist: train" in message


def test_a_data_set_that_lost_a_column(tmp_path, capsys):
    for split in ("train", "validation_matched"):
        write_rows(tmp_path / "raw" / "mnli" / f"{split}.parquet", [{"premise": "a", "gold": 0}])
    message = refused(capsys, spec_of("mnli", []), write_manifest(tmp_path / "raw"), tmp_path / "data" / "x" / "m.json")
    assert 'no column "hypothesis" (read as text_b), "label" (read as label)' in message


def test_a_split_without_labelled_rows(tmp_path, capsys):
    for split, label in (("train", 1), ("test", -1)):
        rows = [{"premise": "p", "choice1": "a", "choice2": "b", "question": "cause", "label": label}]
        write_rows(tmp_path / "raw" / "copa" / f"{split}.parquet", rows)
    spec = spec_of("copa", [], splits={"train": "train", "test": "test"})
    message = refused(capsys, spec, write_manifest(tmp_path / "raw"), tmp_path / "data" / "x" / "m.json")
    assert "no usable rows in: en" in message
    assert "unlabelled" in message


def test_a_damaged_raw_file_is_not_read(paws, tmp_path, capsys):
    file = paws.parent / "PAWS-X.qab" / "test.parquet"
    file.write_bytes(file.read_bytes()[:-10])
    message = refused(capsys, spec_of("pawsx", ["qaa"], "mini", "qaa"), paws, tmp_path / "data" / "x" / "m.json")
    assert "does not match" in message


def question(identifier, context="ctx one", text="one", start=4):
    return {
        "id": identifier,
        "question": "q?",
        "context": context,
        "answers": {"text": [text], "answer_start": [start]},
    }


@pytest.fixture
def tydi(tmp_path):
    """Raw TyDi QA: languages by id prefix, in their English names."""
    raw = tmp_path / "raw" / "tydiqa"
    train = [
        question("english--1-0"),
        question("swahili--2-0"),
        question("korean--3-0", start=5),
        question("english--4-1"),
    ]
    test = [
        question("swahili--7-0"),
        question("english--8-0"),
        question("english--8-0", start=6),
        question("korean-9-0"),
    ]
    write_rows(raw / "secondary_task" / "train.parquet", train)
    write_rows(raw / "secondary_task" / "validation.parquet", test)
    return write_manifest(raw)


def test_language_from_the_id_prefix(tydi, tmp_path):
    out = tmp_path / "data" / "manifest.json"
    assert prepare(spec_of("tydiqa", ["en", "sw"]), tydi, out) == 0
    assert [(r["id"], r["language"]) for r in rows_of(out.parent / "train.parquet")] == [
        ("english--1-0", "en"),
        ("english--4-1", "en"),
    ]
    test = rows_of(out.parent / "test.parquet")
    assert [(r["id"], r["language"]) for r in test] == [
        ("english--8-0", "en"),
        ("english--8-0#2", "en"),
        ("swahili--7-0", "sw"),
    ]
    assert [r["answer_starts"] for r in test] == [[4], [4], [4]]
    quirks = facts(out)["quirks"]
    assert quirks["other_languages"] == {
        "train": {"korean": 1, "swahili": 1},
        "validation": {"korean": 1, "swahili": 1},
        "test": {"korean": 1},
    }
    assert quirks["answers_moved"] == {"validation": {"en": 1}, "test": {"en": 1}}
    assert quirks["repeated_ids"] == {"validation": {"en": 1}, "test": {"en": 1}}


def test_a_language_that_no_id_begins_with(tydi, tmp_path, capsys):
    message = refused(capsys, spec_of("tydiqa", ["en", "te"]), tydi, tmp_path / "data" / "x" / "m.json")
    assert "no rows in: te" in message
    assert "korean" in message


def test_mini_ids_carry_codes(tmp_path):
    raw = tmp_path / "raw"
    for split in ("train", "validation"):
        write_rows(raw / "secondary_task" / f"{split}.parquet", [question("qaa--1"), question("qab--1")])
    out = tmp_path / "data" / "manifest.json"
    assert prepare(spec_of("tydiqa", ["qaa", "qab"], "mini", "qaa"), write_manifest(raw), out) == 0
    assert facts(out)["rows"]["test"] == {"qaa": 1, "qab": 1}


def test_dev_rows_are_the_source_languages(tmp_path):
    raw = tmp_path / "raw"
    row = [{"tokens": ["a"], "pos_tags": [7]}]
    for name, splits in (("English", ("train", "validation", "test")), ("Yoruba", ("test",))):
        for split in splits:
            write_rows(raw / f"udpos.{name}" / f"{split}.parquet", row)
    out = tmp_path / "data" / "manifest.json"
    assert prepare(spec_of("udpos", ["en", "yo"]), write_manifest(raw), out) == 0
    assert facts(out)["rows"] == {"train": {"en": 1}, "validation": {"en": 1}, "test": {"en": 1, "yo": 1}}
    assert "no_table" not in facts(out)["quirks"]


def test_text_by_language(tmp_path):
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "de.txt").write_bytes("eins\tzwei\r\n\n drei\u2028vier\neins\tzwei\n".encode())
    (raw / "en.txt").write_text("one")
    out = tmp_path / "data" / "manifest.json"
    assert prepare(spec_of("mlm_text", ["en", "de"]), write_manifest(raw), out) == 0
    rows = rows_of(out.parent / "train.parquet")
    assert [(r["id"], r["language"], r["text"]) for r in rows] == [
        ("line-1", "de", "eins\tzwei"),
        ("line-3", "de", " drei\u2028vier"),
        ("line-4", "de", "eins\tzwei"),
        ("line-1", "en", "one"),
    ]
    assert facts(out)["quirks"] == {"blank_lines": {"train": {"de": 1}}, "repeated_lines": {"train": {"de": 1}}}


def test_text_that_is_not_there_or_not_utf8(tmp_path, capsys):
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "de.txt").write_bytes(b"gr\xfcn")
    out = tmp_path / "data" / "x" / "m.json"
    assert "raw holds: de" in refused(capsys, spec_of("mlm_text", ["en"]), write_manifest(raw), out)
    assert "not UTF-8 text (byte 2)" in refused(capsys, spec_of("mlm_text", ["de"]), write_manifest(raw), out)


def test_by_hand_as_a_script(paws, tmp_path, root):
    command = [
        sys.executable,
        "-m",
        "scripts.prepare",
        "--raw",
        str(paws),
        "--output",
        str(tmp_path / "out" / "manifest.json"),
    ]
    spec = ["--spec", json.dumps(spec_of("pawsx", ["qaa", "qaf"], "mini", "qaa"))]
    bad = subprocess.run([*command, *spec], cwd=root, capture_output=True, text=True, env={**os.environ}, check=False)
    assert (bad.returncode, bad.stdout) == (2, "")
    assert bad.stderr.startswith("error: The data of `pawsx`")
    assert "Traceback" not in bad.stderr
    assert not (tmp_path / "out").exists()
    spec = ["--spec", json.dumps(spec_of("pawsx", ["qaa", "qab"], "mini", "qaa"))]
    good = subprocess.run([*command, *spec], cwd=root, capture_output=True, text=True, check=False)
    assert good.returncode == 0, good.stderr
    assert "pawsx train: 4 examples in 1 languages" in good.stdout


def test_preparing_imports_no_heavy_library(root):
    code = "import sys, scripts.prepare; print({'torch', 'pandas', 'datasets', 'transformers'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_every_kind_of_the_spine_has_a_reader():
    from stilts.data.readers import READERS

    kinds = {get_task(name).kind for name in ("mnli", "hellaswag", "udpos", "xquad", "tatoeba")}
    assert kinds == set(READERS)


def test_controls_of_the_mini_world_come_along(paws, tmp_path):
    (paws.parent / "controls.json").write_text('{"qab": {"f1": 0.5}}')
    out = tmp_path / "data" / "manifest.json"
    assert prepare(spec_of("pawsx", ["qaa"], "mini", "qaa"), write_manifest(paws.parent), out) == 0
    assert (out.parent / "controls.json").read_text() == '{"qab": {"f1": 0.5}}'
