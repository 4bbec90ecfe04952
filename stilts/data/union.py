"""A task made of others: the examples of its members, one after the other."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa

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
    ids = pa.array([f"{member}/{name}" for name in table["id"].to_pylist()], pa.string())
    return table.set_column(table.schema.get_field_index("id"), "id", ids)


def _shared(tables: list[pa.Table]) -> dict[str, int]:
    """Return language -> examples that stand in more than one member, labels included."""
    holders: dict[tuple, set[int]] = {}
    for number, table in enumerate(tables):
        columns = [table[name].to_pylist() for name in table.column_names if name != "id"]
        for row in zip(*columns, strict=True):
            holders.setdefault(tuple(str(value) for value in row), set()).add(number)
    place = [name for name in tables[0].column_names if name != "id"].index("language")
    return dict(sorted(Counter(row[place] for row, which in holders.items() if len(which) > 1).items()))
