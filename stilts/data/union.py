"""A task made of others: the examples of its members, one after the other."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from stilts.data.layout import SPLITS, Request
from stilts.data.tables import read_table, write_table
from stilts.errors import UserError


def prepare_union(request: Request, members: list[Path], folder: Path) -> dict[str, Any]:
    """Write `folder/<split>.parquet` from the examples of the members (folders data/<member>/, in the task's order).

    Ids begin with the member's name: `mnli/train-17`. A split is there when all members have it. Examples that several
    members hold are kept and counted. Raises UserError when the members share no split.
    """
    names = request.task.union
    if len(members) != len(names):
        raise UserError(f"`{request.task.task}` is the union of {', '.join(names)}; {len(members)} folders were given")
    rows, counts = {}, {}
    for split in SPLITS:
        files = [member / f"{split}.parquet" for member in members]
        if not all(file.is_file() for file in files):
            continue
        tables = [_named(read_table(file), name) for file, name in zip(files, names, strict=True)]
        table = pa.concat_tables(tables)
        rows[split] = dict(sorted(Counter(table["language"].to_pylist()).items()))
        write_table(table, folder / f"{split}.parquet")
        if shared := _shared(tables):
            counts["shared_by_members"] = {**counts.get("shared_by_members", {}), split: shared}
    if not rows:
        raise UserError(f"The members of `{request.task.task}` ({', '.join(names)}) have no split in common")
    return {"rows": rows, "quirks": counts, "labels": request.task.labels, "members": names}


def _named(table: pa.Table, member: str) -> pa.Table:
    ids = pc.binary_join_element_wise(pa.scalar(member), table["id"], "/")
    return table.set_column(table.schema.get_field_index("id"), "id", ids)


def _shared(tables: list[pa.Table]) -> dict[str, int]:
    """Return language -> examples that stand in more than one member, labels included."""
    # Members as bits of a number, by the hash of the example: a million examples must not be held twice.
    holders: dict[str, dict[int, int]] = {}
    for number, table in enumerate(tables):
        names = [name for name in table.column_names if name not in ("id", "language")]
        for batch in table.to_batches(max_chunksize=50_000):
            columns = [batch[name].to_pylist() for name in names]
            for language, *row in zip(batch["language"].to_pylist(), *columns, strict=True):
                seen = holders.setdefault(language, {})
                key = hash(str(row))
                seen[key] = seen.get(key, 0) | 1 << number
    counts = {language: sum(bits & (bits - 1) > 0 for bits in seen.values()) for language, seen in holders.items()}
    return {language: n for language, n in sorted(counts.items()) if n}
