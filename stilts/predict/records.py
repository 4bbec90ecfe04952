"""Predictions in the form every metric can be recomputed from, without the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from torch import nn

from stilts.metrics.judge import judge
from stilts.metrics.measure import TAG_ACCURACY, headline_protocol, metrics_of
from stilts.model.encoder import Encoder
from stilts.predict.decode import decode_spans, decode_tags
from stilts.predict.infer import run_head
from stilts.tasks.spec import TaskSpec
from stilts.tokens.sequences import Items

Columns = dict[str, list]
_SPAN = pa.struct(
    [
        ("text", pa.string()),
        ("start_logit", pa.float32()),
        ("end_logit", pa.float32()),
        ("char_start", pa.int32()),
        ("char_end", pa.int32()),
    ]
)
_TYPES = {
    "logits": pa.list_(pa.float32()),
    "label": pa.int32(),
    "tags": pa.list_(pa.int32()),
    "gold": pa.list_(pa.int32()),
}
_TYPES |= {"id": pa.string(), "language": pa.string(), "text": pa.string(), "nbest": pa.list_(_SPAN)}


def read_examples(folder: Path, split: str, rows: np.ndarray | None = None) -> Columns:
    """Return the columns of data/<task>/<split>.parquet, all rows or some in the order given."""
    table = pq.read_table(folder / f"{split}.parquet")
    return (table if rows is None else table.take(pa.array(rows))).to_pydict()


def predict(
    encoder: Encoder, head: nn.Module, items: Items, data: Columns, task: TaskSpec, budget: int, what: str = "predict"
) -> Columns:
    """Return the prediction columns of the examples in `data` (rows of the items' examples, in their order)."""
    outputs = run_head(encoder, head, items, budget, what)
    columns: Columns = {"id": data["id"], "language": data["language"]}
    if task.kind in ("pair_classification", "multiple_choice"):
        return columns | {"logits": [o.tolist() for o in outputs], "label": data["label"]}
    order = list(dict.fromkeys(items.rows[:, 0].tolist()))
    if task.kind == "token_tagging":
        tags = decode_tags(items, outputs)
        return columns | {"tags": [tags[e] for e in order], "gold": data["tags"]}
    spans = decode_spans(items, outputs)
    nbest = [[_with_text(s, context) for s in spans[e]] for e, context in zip(order, data["context"], strict=True)]
    return columns | {"text": [_answer(n, task.unanswerable) for n in nbest], "nbest": nbest}


def _with_text(span: dict[str, Any], context: str) -> dict[str, Any]:
    text = context[span["char_start"] : span["char_end"]] if span["char_start"] >= 0 else ""
    return {"text": text, **span}


def _answer(nbest: list[dict[str, Any]], unanswerable: bool) -> str:
    """Return the best text; nothing where the task knows questions without an answer and "no answer" scores best."""
    spans = [s for s in nbest if s["char_start"] >= 0]
    if not spans:
        return ""
    null = nbest[-1]
    if unanswerable and null["start_logit"] + null["end_logit"] > spans[0]["start_logit"] + spans[0]["end_logit"]:
        return ""
    return spans[0]["text"]


def write_predictions(path: Path, columns: Columns) -> None:
    """Write predictions as parquet with deterministic bytes."""
    arrays = {k: pa.array(v, _TYPES[k]) for k, v in columns.items()}
    pq.write_table(pa.table(arrays), path, compression="zstd", store_schema=False)


def dev_score(task: TaskSpec, columns: Columns, data: Columns) -> float:
    """Return the task score in percent over all rows: the number checkpoints are selected by."""
    words = task.kind == "token_tagging" and task.metrics == ["accuracy"]
    protocol = TAG_ACCURACY if words else headline_protocol(task.kind, 0, "mean")
    wanted = metrics_of(task.kind, protocol)
    values = [m.value for p, _, m in judge(task, columns, data) if p == protocol and m.metric in wanted]
    return float(np.mean(values))
