"""Faults of the data: counted and said, never silently dropped or scored; too many of them are an error."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hub_fixture import facts, rows_of, run, spec_of, write_rows
from hypothesis import given
from hypothesis import strategies as st

import scripts.fetch
import scripts.prepare
from stilts.data.prepare import id_gaps
from stilts.data.readers import read_rows
from stilts.errors import UserError
from stilts.provenance.manifest import write_manifest
from stilts.tasks.registry import get_task


def read(task, rows, split="train", **change):
    spec = get_task(task).model_copy(update=change)
    return read_rows(spec, pa.Table.from_pylist(rows), split, "here")


def pairs(*labels):
    return [{"premise": "p", "hypothesis": f"h{n}", "label": label} for n, label in enumerate(labels)]


def test_a_wrong_label_is_counted_named_and_left_out(capsys):
    got = read("mnli", pairs(*[0, 1, 2] * 40, 7))
    assert got.drop == {120: "unknown_label"}
    assert got.columns["label"][120] is None
    said = capsys.readouterr().err
    assert "'7'" in said
    assert "1 of 121 rows" in said


def test_many_wrong_labels_are_another_schema():
    with pytest.raises(UserError, match=r"'7' \(2 of 122 rows\)"):
        read("mnli", pairs(*[0, 1, 2] * 40, 7, 7))


def test_wrong_and_missing_labels_are_told_apart():
    got = read("mnli", pairs(*[0] * 100, -1, 9))
    assert got.drop == {100: "unlabelled", 101: "unknown_label"}


def test_a_wrong_tag_takes_its_sentence_out(capsys):
    rows = [{"tokens": ["a", "b"], "pos_tags": [3, 4]} for _ in range(100)] + [
        {"tokens": ["a", "b"], "pos_tags": [3, 17]}
    ]
    got = read("udpos", rows)
    assert got.drop == {100: "unknown_tag"}
    assert got.columns["tags"][:100] == [[3, 4]] * 100
    assert "row 100: tags unknown to the task `udpos`: 17; 1 of 101 rows" in capsys.readouterr().err


def test_a_label_beyond_the_choices_of_one_row():
    def row(count, label):
        return {"ctx_a": "A", "ctx_b": "", "endings": [f"e{k}" for k in range(count)], "label": label}

    got = read("hellaswag", [*[row(4, "3")] * 100, row(2, "3")])
    assert got.drop == {100: "unknown_label"}


def test_an_answer_letter_that_no_choice_has():
    def row(key):
        choices = {"label": list("ABCD"), "text": list("wxyz")}
        return {"id": key, "question": "q", "question_concept": "", "choices": choices, "answerKey": key}

    got = read("csqa", [*[row("B")] * 100, row("E")])
    assert got.columns["label"][0] == 1
    assert got.drop == {100: "unknown_label"}
    with pytest.raises(UserError, match="label None, but there are only 4 choices"):
        read("csqa", [row("E")])


def asked(context, texts, starts):
    return {"id": "1", "question": "q", "context": context, "answers": {"text": texts, "answer_start": starts}}


@pytest.mark.parametrize("task", ["squad1", "squad2"])
def test_an_empty_context_is_not_trained_on_and_stays_in_evaluation(task):
    rows = [asked(" ", ["x"], [0]), asked("x y", ["x"], [0])]
    train = read(task, rows)
    assert train.drop == {0: "empty_context"}
    assert train.counts["blank_context"] == 1
    test = read(task, rows, "validation")
    assert test.drop == {}
    assert test.counts["blank_context"] == 1
    assert test.columns["answer_starts"] == [[-1], [0]]


def test_an_empty_answer_is_no_answer():
    rows = [asked("x y", [""], [0]), asked("x y", ["", "y"], [-1, 2])]
    got = read("squad2", rows)
    assert got.columns["answers"] == [[], ["y"]]
    assert got.counts["empty_answers"] == 2
    assert got.drop == {}
    assert read("squad1", rows).drop == {0: "no_answer"}


@given(st.sets(st.integers(0, 60), min_size=1))
def test_gaps_are_the_numbers_between_that_no_row_has(numbers):
    missing = [n for n in range(min(numbers), max(numbers)) if n not in numbers]
    assert id_gaps(sorted(numbers, reverse=True)) == len(missing)
    assert id_gaps([str(n) for n in numbers]) == len(missing)
    assert id_gaps([*numbers, "x1"]) == 0


def test_rows_of_a_language_under_another_code(tmp_path):
    raw = tmp_path / "raw"
    rows = [asked("x y", ["x"], [0]) | {"id": name} for name in ("english-1", "swahili-1", "swh-2", "klingon-1")]
    for split in ("train", "validation"):
        write_rows(raw / "secondary_task" / f"{split}.parquet", rows)
    out = tmp_path / "data" / "manifest.json"
    spec = spec_of("tydiqa", ["en", "sw"])
    assert run(scripts.prepare, spec, out, "--raw", write_manifest(raw)) == 0
    found = facts(out)
    assert found["rows"]["test"] == {"en": 1, "sw": 2}
    assert found["quirks"]["language_aliases"] == {"test": {"sw": 1}}
    assert found["quirks"]["other_languages"]["test"] == {"klingon": 1}


def test_a_local_folder_may_use_another_code(tmp_path, capsys):
    home = tmp_path / "mine" / "pawsx"
    for language in ("en", "zh_cn"):
        for split in ("train", "validation", "test"):
            write_rows(
                home / f"PAWS-X.{language}" / f"{split}.parquet",
                [{"sentence1": language, "sentence2": "b", "label": "1"}],
            )
    out = tmp_path / "raw" / "pawsx" / "manifest.json"
    spec = spec_of("pawsx", ["en", "zh"], "local")
    assert run(scripts.fetch, spec, out, "--local", tmp_path / "mine") == 0
    assert rows_of(out.parent / "PAWS-X.zh" / "test.parquet")[0]["sentence1"] == "zh_cn"
    assert facts(out)["language_aliases"] == {"zh": "PAWS-X.zh_cn"}
    assert "the language zh is read from PAWS-X.zh_cn" in capsys.readouterr().out
