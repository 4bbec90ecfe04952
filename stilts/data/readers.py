"""One reader a kind: a table in hub schema -> canonical columns, with every repair counted.

A reader returns the columns of its kind (one value a row) and the rows to leave out with the reason; nothing
disappears uncounted.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from stilts.data.columns import values
from stilts.data.labels import few, label_table, read_labels, reasons
from stilts.data.spans import find_answer
from stilts.data.tables import class_names
from stilts.errors import UserError
from stilts.tasks.spec import TaskSpec

TEXT, TEXTS, INTS = pa.string(), pa.list_(pa.string()), pa.list_(pa.int32())
SCHEMAS: dict[str, dict[str, pa.DataType]] = {
    "pair_classification": {"text_a": TEXT, "text_b": TEXT, "label": pa.int32()},
    "multiple_choice": {"prompt": TEXT, "choices": TEXTS, "label": pa.int32()},
    "token_tagging": {"tokens": TEXTS, "tags": INTS},
    "span_extraction": {"question": TEXT, "context": TEXT, "answers": TEXTS, "answer_starts": INTS},
    "masked_lm": {"text": TEXT},
    "bitext_retrieval": {"source_text": TEXT, "target_text": TEXT},
}


@dataclass
class Read:
    """Canonical columns of one table, counts of repairs, and rows left out (row -> reason)."""

    columns: dict[str, list[Any]]
    counts: Counter = field(default_factory=Counter)
    drop: dict[int, str] = field(default_factory=dict)


def read_rows(spec: TaskSpec, table: pa.Table, split: str, where: str) -> Read:
    """Read the rows of one table for our split `split`; raises UserError when the kind has no reader yet."""
    reader = READERS.get(spec.kind)
    if reader is None:
        raise UserError(f"There is no reader yet for tasks of the kind {spec.kind} (task `{spec.task}`)")
    return reader(spec, table, split, where)


def _texts(spec: TaskSpec, table: pa.Table, names: list[str], where: str) -> tuple[dict[str, list[str]], Counter]:
    """Return text columns as they are, but for the newlines at the end that the quirk names; count blank ones."""
    counts: Counter = Counter()
    columns = {}
    for name in names:
        column = ["" if text is None else str(text) for text in values(table, spec.columns[name], where)]
        if "strip_newline" in spec.quirks:
            stripped = [text.strip("\r\n") for text in column]
            counts["newlines_stripped"] += sum(a != b for a, b in zip(column, stripped, strict=True))
            column = stripped
        counts[f"blank_{name}"] += sum(not text.strip() for text in column)
        columns[name] = column
    return columns, counts


def _label_column(spec: TaskSpec, table: pa.Table, where: str) -> tuple[list[int | None], dict[int, str]]:
    template = spec.columns.get("label", "label")
    names = class_names(table, template) if spec.kind == "pair_classification" else []
    raw = values(table, template, where)
    labels = read_labels(raw, label_table(spec, names, where), spec, where)
    return labels, reasons(raw, labels)


def _pairs(spec: TaskSpec, table: pa.Table, split: str, where: str) -> Read:
    columns, counts = _texts(spec, table, ["text_a", "text_b"], where)
    labels, drop = _label_column(spec, table, where)
    return Read({**columns, "label": labels}, counts, drop)


def _choices(spec: TaskSpec, table: pa.Table, split: str, where: str) -> Read:
    columns, counts = _texts(spec, table, ["prompt"], where)
    if len(spec.choices) == 1:
        choices = values(table, spec.choices[0], where)
    else:
        columns_of_choices = [values(table, template, where) for template in spec.choices]
        choices = [["" if text is None else str(text) for text in row] for row in zip(*columns_of_choices, strict=True)]
    labels, drop = _label_column(spec, table, where)
    if "choice_names" in spec.columns:
        labels = _by_name(spec, labels, values(table, spec.columns["choice_names"], where))
    counts["blank_choices"] += sum(not text.strip() for row in choices for text in row)
    wrong = [row for row, label in enumerate(labels) if row not in drop and not _chooses(label, choices[row])]
    if not few(len(wrong), len(choices)):
        row = wrong[0]
        raise UserError(f"{where}, row {row}: label {labels[row]}, but there are only {len(choices[row])} choices")
    drop |= dict.fromkeys(wrong, "unknown_label")
    return Read({**columns, "choices": choices, "label": labels}, counts, drop)


def _by_name(spec: TaskSpec, labels: list[int | None], names: list[list[str]]) -> list[int | None]:
    """Return the place of each row's label among the names of its choices; None where it is not among them."""
    given = [None if label is None else spec.labels[label] for label in labels]
    return [row.index(name) if name in row else None for name, row in zip(given, names, strict=True)]


def _chooses(label: int | None, choices: list[str]) -> bool:
    return label is not None and label < len(choices)


def _tagging(spec: TaskSpec, table: pa.Table, split: str, where: str) -> Read:
    column = spec.columns["tags"]
    known = label_table(spec, class_names(table, column), where)
    tokens = values(table, spec.columns["tokens"], where)
    raw = values(table, column, where)
    tags, drop, counts, odd = [], {}, Counter(), set()
    for row, (words, marks) in enumerate(zip(tokens, raw, strict=True)):
        if len(words) != len(marks):
            raise UserError(f"{where}, row {row}: {len(words)} tokens, but {len(marks)} tags")
        if not words:
            drop[row] = "no_tokens"
        # An empty token keeps its place: its tag is scored, and tokenisation gives it `<unk>`, as XTREME does.
        counts["empty_tokens"] += sum(not word.strip() for word in words)
        counts["tokens_with_blanks"] += sum(" " in word.strip() for word in words)
        unknown = {str(mark) for mark in marks} - set(known)
        if unknown:
            drop[row] = "unknown_tag"
            odd |= unknown
        tags.append([known.get(str(mark)) for mark in marks])
    wrong = sum(reason == "unknown_tag" for reason in drop.values())
    if wrong:
        first = next(row for row, reason in drop.items() if reason == "unknown_tag")
        say = f"{where}, row {first}: tags unknown to the task `{spec.task}`: {', '.join(sorted(odd)[:10])}"
        if not few(wrong, len(tokens)):
            raise UserError(f"{say} ({wrong} of {len(tokens)} rows)")
        print(f"{say}; {wrong} of {len(tokens)} rows are left out", file=sys.stderr)
    return Read({"tokens": tokens, "tags": tags}, counts, drop)


def _spans(spec: TaskSpec, table: pa.Table, split: str, where: str) -> Read:
    columns, counts = _texts(spec, table, ["question", "context"], where)
    texts = values(table, spec.columns["answers"], where)
    starts = values(table, spec.columns["answer_starts"], where)
    answers, offsets, drop = [], [], {}
    for row, context in enumerate(columns["context"]):
        pairs = list(zip(texts[row] or [], starts[row] or [], strict=True))
        # Some writers say "no answer" by an empty text instead of an empty list.
        counts["empty_answers"] += sum(not text.strip() for text, _ in pairs)
        pairs = [(text, start) for text, start in pairs if text.strip()]
        found = [(text, find_answer(context, text, start)) for text, start in pairs]
        moved = sum(new not in (-1, old) for (_, old), (_, new) in zip(pairs, found, strict=True))
        absent = sum(new < 0 for _, new in found)
        counts["answers_moved"] += moved
        counts["answers_absent"] += absent
        if (moved or absent) and "realign_answers" not in spec.quirks:
            raise UserError(
                f"{where}, row {row}: an answer is not at its offset; the quirk `realign_answers` mends that"
            )
        # Training needs a place in the context. Evaluation compares texts only: the answer stays, with offset -1.
        if split == "train":
            found = [pair for pair in found if pair[1] >= 0]
        if split == "train" and not context.strip():
            drop[row] = "empty_context"
        elif not pairs and not spec.unanswerable:
            drop[row] = "no_answer"
        elif pairs and not found:
            drop[row] = "answer_not_in_context"
        answers.append([text for text, _ in found])
        offsets.append([start for _, start in found])
    return Read({**columns, "answers": answers, "answer_starts": offsets}, counts, drop)


def _bitext(spec: TaskSpec, table: pa.Table, split: str, where: str) -> Read:
    columns, counts = _texts(spec, table, ["source_text", "target_text"], where)
    # Two equal candidates share one vector: whichever is returned, one of their questions counts as wrong.
    counts["repeated_source_text"] += table.num_rows - len(set(columns["source_text"]))
    counts["repeated_target_text"] += table.num_rows - len(set(columns["target_text"]))
    return Read(columns, counts)


READERS: dict[str, Callable[[TaskSpec, pa.Table, str, str], Read]] = {
    "pair_classification": _pairs,
    "multiple_choice": _choices,
    "token_tagging": _tagging,
    "span_extraction": _spans,
    "bitext_retrieval": _bitext,
}
