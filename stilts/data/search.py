"""Search tasks: queries, candidates and which candidates answer a query, in one schema for all kinds.

A row is one query or one candidate. Queries and candidates of bitext mining belong to one language each; answer and
entity retrieval search the candidates of all languages together. `gold` names candidates by their id (without the
language: candidates' ids are unique within a split).
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa

from stilts.data.layout import SPLITS, Request
from stilts.data.search_readers import answers_of_json, answers_of_table, corpora_of_text, entities, pairs_of_table
from stilts.data.search_rows import Corpus
from stilts.data.tables import write_table
from stilts.errors import UserError

SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("language", pa.string()),
        ("side", pa.string()),
        ("text", pa.string()),
        ("context", pa.string()),
        ("gold", pa.list_(pa.string())),
    ]
)


def prepare_search(request: Request, raw: Path, folder: Path) -> dict[str, Any]:
    """Write `folder/<split>.parquet` for every split the task has; return the facts of the manifest.

    Raises UserError for missing files or languages, gold that names nothing, and offsets that do not fit their text.
    """
    read = _reader(request)
    rows, candidates, quirks = {}, {}, {}
    for split in [s for s in SPLITS if s in request.task.source.splits]:
        corpus = Corpus(split)
        read(request, split, raw, corpus)
        corpus.check_gold(request.task.task, own_language=request.task.kind == "bitext_mining")
        _check_languages(request, corpus)
        write_table(pa.Table.from_pylist(corpus.rows, schema=SCHEMA), folder / f"{split}.parquet")
        rows[split], candidates[split] = corpus.sizes("query"), corpus.sizes("candidate")
        for what, count in corpus.counts.items():
            quirks.setdefault(what, {})[split] = {k: n for k, n in sorted(count.items()) if n}
    kept = {what: {s: n for s, n in of.items() if n} for what, of in quirks.items()}
    return {"rows": rows, "candidates": candidates, "quirks": {w: of for w, of in kept.items() if of}, "labels": []}


def _reader(request: Request) -> Callable[[Request, str, Path, Corpus], None]:
    task = request.task
    if task.kind == "entity_retrieval":
        return entities
    if task.kind == "answer_retrieval":
        return answers_of_json if request.ending else answers_of_table
    return pairs_of_table if task.source.id else corpora_of_text


def _check_languages(request: Request, corpus: Corpus) -> None:
    tables = [p for p in request.parts() if p.split == corpus.split and p.language and not p.optional]
    wanted = sorted({p.language for p in tables})
    found = {side: corpus.sizes(side) for side in ("query", "candidate")}
    if not found["candidate"]:
        raise UserError(f"The split {corpus.split} of `{request.task.task}` holds no candidates")
    empty = [language for language in wanted if not found["query"].get(language)]
    if empty:
        held = ", ".join(sorted(found["query"])) or "none"
        raise UserError(
            f"The split {corpus.split} of `{request.task.task}` holds no queries in: {', '.join(empty)}. "
            f"Languages it holds: {held}."
        )
