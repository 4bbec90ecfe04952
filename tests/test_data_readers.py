"""Templates, labels, answer offsets and the reader of every kind."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stilts.data.columns import check_columns, values
from stilts.data.labels import label_table, read_labels
from stilts.data.prepare import unique_ids
from stilts.data.readers import read_rows
from stilts.data.spans import find_answer
from stilts.data.tables import class_names, write_table
from stilts.errors import UserError
from stilts.tasks.registry import get_task


def read(task, rows, split="train", **change):
    spec = get_task(task).model_copy(update=change)
    return read_rows(spec, pa.Table.from_pylist(rows), split, "here")


def test_templates_fill_expand_and_leave_no_blank_behind():
    table = pa.Table.from_pylist([{"a": "x", "b": "", "l": ["p", "q"]}, {"a": "y", "b": "z", "l": ["r"]}])
    assert values(table, "a", "here") == ["x", "y"]
    assert values(table, "{b} {a}", "here") == ["x", "z y"]
    assert values(table, "{b} {l}", "here") == [["p", "q"], ["z r"]]


def test_templates_do_not_read_braces_of_the_data():
    table = pa.Table.from_pylist([{"a": "{b} {0.__class__}", "b": "secret"}])
    assert values(table, "{a}!", "here") == ["{b} {0.__class__}!"]


@pytest.mark.parametrize("answers", [{"text": ["a"], "answer_start": [3]}, [{"text": "a", "answer_start": 3}]])
def test_members_of_both_ways_to_store_a_sequence(answers):
    table = pa.Table.from_pylist([{"answers": answers}])
    assert values(table, "answers.text", "here") == [["a"]]
    assert values(table, "answers.answer_start", "here") == [[3]]


def test_a_lost_column_is_named_with_its_role():
    with pytest.raises(UserError, match=r'no column "hypothesis" \(read as text_b\).*It has: premise, label'):
        check_columns(get_task("mnli"), ["premise", "label"], "mnli (mnli/train)")
    with pytest.raises(UserError, match=r"no column answers.answer_start"):
        read("squad1", [{"id": "1", "question": "q", "context": "c", "answers": {"text": ["c"]}}])


def test_labels_as_strings():
    got = read(
        "pawsx",
        [{"sentence1": "a", "sentence2": "b", "label": "1"}, {"sentence1": "a", "sentence2": "b", "label": "0"}],
    )
    assert got.columns["label"] == [1, 0]
    rows = [{"ctx_a": "A.", "ctx_b": "he", "endings": ["runs.", "sits.", "naps.", "eats."], "label": "3"}]
    assert read("hellaswag", rows).columns["label"] == [3]


def test_class_names_decide_when_a_data_set_orders_them_otherwise():
    spec = get_task("mnli")
    table = label_table(spec, ["contradiction", "entailment", "neutral"], "here")
    assert read_labels([0, 1, 2, "neutral"], table, spec, "here") == [2, 0, 1, 1]


def test_a_class_that_the_task_lacks_matters_only_when_it_occurs():
    spec = get_task("mnli")
    table = label_table(spec, ["hidden", *spec.labels], "here")
    assert read_labels([1, 3], table, spec, "here") == [0, 2]
    with pytest.raises(UserError, match="'0'"):
        read_labels([0], table, spec, "here")


def test_another_number_of_classes_is_an_error():
    with pytest.raises(UserError, match="has the classes"):
        label_table(get_task("mnli"), ["entailment", "not_entailment"], "here")


@pytest.mark.parametrize("missing", [-1, "-1", "", None])
def test_unlabelled_rows_are_left_out_and_counted(missing):
    rows = [{"premise": "p", "hypothesis": "h", "label": label} for label in (missing, missing)]
    got = read("mnli", rows)
    assert got.drop == {0: "unlabelled", 1: "unlabelled"}
    with pytest.raises(UserError, match="2 rows without a label"):
        read("mnli", rows, quirks=[])


def test_unknown_labels_are_named():
    with pytest.raises(UserError, match=r"'5'.*label_values"):
        read("mnli", [{"premise": "p", "hypothesis": "h", "label": 5}])


def test_hellaswag_prompt_and_choices():
    rows = [
        {"ctx_a": "A man sits.", "ctx_b": "he", "endings": ["runs.", "sits.", "naps.", "eats."], "label": "0"},
        {"ctx_a": "How to sit.", "ctx_b": "", "endings": ["Run.", "Sit.", "Nap.", "Eat."], "label": "1"},
    ]
    got = read("hellaswag", rows)
    assert got.columns["prompt"] == ["A man sits.", "How to sit."]
    assert got.columns["choices"][0][0] == "he runs."
    assert got.columns["choices"][1] == ["Run.", "Sit.", "Nap.", "Eat."]


def test_copa_prompt_asks_for_cause_or_effect():
    row = {"premise": "It rained.", "choice1": "a", "choice2": "b", "question": "effect", "idx": 0, "label": 1}
    got = read("xcopa", [row])
    assert got.columns["prompt"] == ["It rained. What was the effect?"]
    assert got.columns["choices"] == [["a", "b"]]


def test_a_label_beyond_the_choices_is_an_error():
    with pytest.raises(UserError, match="label 3, but there are only 2 choices"):
        read("hellaswag", [{"ctx_a": "A", "ctx_b": "", "endings": ["x", "y"], "label": "3"}])


def test_tagging_maps_by_class_names_and_keeps_odd_tokens():
    rows = [{"tokens": ["xin chào", "", "."], "pos_tags": [7, 16, 12]}, {"tokens": [], "pos_tags": []}]
    got = read("udpos", rows)
    assert got.columns["tags"][0] == [7, 16, 12]
    assert got.counts["empty_tokens"] == 1
    assert got.counts["tokens_with_blanks"] == 1
    assert got.drop == {1: "no_tokens"}


def test_tagging_refuses_uneven_rows_and_unknown_tags():
    with pytest.raises(UserError, match="2 tokens, but 1 tags"):
        read("udpos", [{"tokens": ["a", "b"], "pos_tags": [1]}])
    with pytest.raises(UserError, match="tags unknown to the task `udpos`: 17"):
        read("udpos", [{"tokens": ["a"], "pos_tags": [17]}])


def test_newlines_at_the_end_are_stripped_and_counted():
    row = {"source_sentence": "Hallo.\n", "target_sentence": "Hello.\n", "source_lang": "cache/x", "target_lang": "eng"}
    got = read("tatoeba", [row, row])
    assert got.columns == {"source_text": ["Hello."] * 2, "target_text": ["Hallo."] * 2}
    assert got.counts["newlines_stripped"] == 4
    assert got.counts["repeated_target_text"] == 1


def span(context, text, start, **more):
    return {"id": "1", "question": "q?", "context": context, "answers": {"text": text, "answer_start": start}, **more}


def test_moved_offsets_are_mended_and_counted():
    got = read("xquad", [span("Paris in spring", ["Paris", "spring"], [2, 9])], "test")
    assert got.columns["answer_starts"] == [[0, 9]]
    assert got.counts["answers_moved"] == 1


def test_an_absent_answer_leaves_training_and_stays_in_evaluation():
    rows = [span("Paris", ["London"], [0]), span("Paris", ["London", "Paris"], [0, 1])]
    train = read("xquad", rows, "train")
    assert train.drop == {0: "answer_not_in_context"}
    assert train.columns["answers"][1] == ["Paris"]
    test = read("xquad", rows, "test")
    assert test.drop == {}
    assert test.columns["answers"] == [["London"], ["London", "Paris"]]
    assert test.columns["answer_starts"] == [[-1], [-1, 0]]
    assert test.counts["answers_absent"] == 2


def test_offsets_are_not_mended_unasked():
    with pytest.raises(UserError, match="realign_answers"):
        read("xquad", [span("Paris", ["Paris"], [1])], quirks=[])


def test_questions_without_an_answer():
    row = span("Paris", [], [])
    assert read("squad1", [row]).drop == {0: "no_answer"}
    got = read("squad1", [row], unanswerable=True)
    assert got.drop == {}
    assert got.columns["answers"] == [[]]


@given(st.text("ab ", max_size=30), st.text("ab ", min_size=1, max_size=3), st.integers(-3, 40))
def test_find_answer_takes_the_nearest_occurrence(context, text, stated):
    places = [i for i in range(len(context)) if context.startswith(text, i)]
    best = min(places, key=lambda i: (abs(i - stated), i), default=-1)
    assert find_answer(context, text, stated) == best


@given(st.lists(st.sampled_from(["a", "b", "a#2", "a#3", "b#2"])))
def test_ids_become_unique_and_first_ones_stay(ids):
    unique = unique_ids(ids)
    assert len(set(unique)) == len(ids)
    assert all(new == old or new.startswith(f"{old}#") for new, old in zip(unique, ids, strict=True))
    assert all(unique[ids.index(name)] == name for name in ids)


def test_class_names_of_nested_columns():
    features = {
        "tags": {"feature": {"names": ["A", "B"], "_type": "ClassLabel"}, "_type": "List"},
        "x": {"dtype": "int64"},
    }
    meta = {"huggingface": json.dumps({"info": {"features": features}})}
    table = pa.table({"tags": [[0]], "x": [1]}).replace_schema_metadata(meta)
    assert class_names(table, "tags") == ["A", "B"]
    assert class_names(table, "x") == []
    assert class_names(pa.table({"x": [1]}), "x") == []


def test_equal_rows_give_equal_bytes(tmp_path):
    whole = pa.table({"a": ["x", "y", "z"] * 1000})
    parts = pa.concat_tables([whole.slice(0, 7), whole.slice(7, 500), whole.slice(507)])
    write_table(whole, tmp_path / "1.parquet")
    write_table(parts, tmp_path / "2.parquet")
    assert (tmp_path / "1.parquet").read_bytes() == (tmp_path / "2.parquet").read_bytes()
