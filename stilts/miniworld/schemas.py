"""Columns and types of every raw file, as on the hub, and one writer of parquet files."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

S, I32, I64 = pa.string(), pa.int32(), pa.int64()
ANSWERS = pa.struct([("text", pa.list_(S)), ("answer_start", pa.list_(I32))])
SPAN = pa.struct([("start", I32), ("end", I32)])
MENTION_CONTEXT = pa.struct(
    [
        ("document_title", S),
        ("section_title", S),
        ("document_url", S),
        ("language", S),
        ("text", S),
        ("sentence_spans", pa.list_(SPAN)),
    ]
)
MENTION = pa.struct([("example_id", S), ("mention_span", SPAN), ("entity_id", S)])
ENTITY = pa.struct(
    [
        ("entity_id", S),
        ("title", S),
        ("description", S),
        ("sentence_spans", pa.list_(SPAN)),
        ("description_language", S),
    ]
)

UPOS_NAMES = [
    "ADJ",
    "ADP",
    "ADV",
    "AUX",
    "CCONJ",
    "DET",
    "INTJ",
    "NOUN",
    "NUM",
    "PART",
    "PRON",
    "PROPN",
    "PUNCT",
    "SCONJ",
    "SYM",
    "VERB",
    "X",
]
NER_NAMES = ["O", "B-PER", "I-PER", "B-ORG", "I-ORG", "B-LOC", "I-LOC"]

SCHEMAS: dict[str, pa.Schema] = {
    "mnli": pa.schema([("premise", S), ("hypothesis", S), ("label", I64), ("idx", I32)]),
    "xnli": pa.schema([("premise", S), ("hypothesis", S), ("label", I64)]),
    "snli": pa.schema([("premise", S), ("hypothesis", S), ("label", I64)]),
    "anli": pa.schema([("uid", S), ("premise", S), ("hypothesis", S), ("label", I64), ("reason", S)]),
    "qqp": pa.schema([("question1", S), ("question2", S), ("label", I64), ("idx", I32)]),
    "pawsx": pa.schema([("sentence1", S), ("sentence2", S), ("label", S)]),
    "squad1": pa.schema([("id", S), ("title", S), ("context", S), ("question", S), ("answers", ANSWERS)]),
    "xquad": pa.schema([("id", S), ("context", S), ("question", S), ("answers", ANSWERS)]),
    "hellaswag": pa.schema(
        [
            ("ind", I32),
            ("activity_label", S),
            ("ctx_a", S),
            ("ctx_b", S),
            ("ctx", S),
            ("endings", pa.list_(S)),
            ("source_id", S),
            ("split", S),
            ("split_type", S),
            ("label", S),
        ]
    ),
    "copa": pa.schema([("premise", S), ("choice1", S), ("choice2", S), ("question", S), ("idx", I32), ("label", I64)]),
    "xcopa": pa.schema(
        [
            ("premise", S),
            ("choice1", S),
            ("choice2", S),
            ("question", S),
            ("label", I32),
            ("idx", I32),
            ("changed", pa.bool_()),
        ]
    ),
    "cosmosqa": pa.schema(
        [
            ("id", S),
            ("context", S),
            ("question", S),
            ("answer0", S),
            ("answer1", S),
            ("answer2", S),
            ("answer3", S),
            ("label", I32),
        ]
    ),
    "csqa": pa.schema(
        [
            ("id", S),
            ("question", S),
            ("question_concept", S),
            ("choices", pa.struct([("label", pa.list_(S)), ("text", pa.list_(S))])),
            ("answerKey", S),
        ]
    ),
    "siqa": pa.schema([("context", S), ("question", S), ("answerA", S), ("answerB", S), ("answerC", S), ("label", S)]),
    "udpos": pa.schema([("tokens", pa.list_(S)), ("pos_tags", pa.list_(I64))]),
    "panx": pa.schema([("tokens", pa.list_(S)), ("ner_tags", pa.list_(I64)), ("langs", pa.list_(S))]),
    "panx_r": pa.schema(
        [("tokens", pa.list_(S)), ("ner_tags", pa.list_(I64)), ("langs", pa.list_(S)), ("spans", pa.list_(S))]
    ),
    "tatoeba": pa.schema([("source_sentence", S), ("target_sentence", S), ("source_lang", S), ("target_lang", S)]),
    "tatoeba_r": pa.schema([("sentence1", S), ("sentence2", S), ("lang", S)]),
    "mewslix": pa.schema([("context", MENTION_CONTEXT), ("mention", MENTION)]),
    "mewslix_pairs": pa.schema(
        [("contextual_mention", pa.struct([("context", MENTION_CONTEXT), ("mention", MENTION)])), ("entity", ENTITY)]
    ),
    "mewslix_entities": pa.schema(list(ENTITY)),
}
SCHEMAS["mlqa"] = SCHEMAS["xquad"]
SCHEMAS["squad2"] = SCHEMAS["tydiqa"] = SCHEMAS["squad1"]


def write_rows(out: Path, task: str, config: str, split: str, rows: list[dict], *, schema: str = "") -> None:
    """Write rows as out/<task>/<config>/<split>.parquet in the task's schema."""
    path = out / task / config / f"{split}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(rows, schema=SCHEMAS[schema or task])
    pq.write_table(table, path, compression="zstd")
