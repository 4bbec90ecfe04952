"""Parquet in and out: equal rows give equal bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from stilts.errors import UserError

OPTIONS = {
    "compression": "zstd",
    "compression_level": 3,
    "row_group_size": 50_000,
    "version": "2.6",
    "data_page_version": "1.0",
}


def write_table(table: pa.Table, path: Path) -> None:
    """Write a table with fixed options: no time, no host, the same bytes for the same rows and versions."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # One chunk, so that row groups and pages do not depend on how the rows were put together.
    pq.write_table(table.combine_chunks(), path, **OPTIONS)


def read_table(path: Path) -> pa.Table:
    """Read a parquet file; raises UserError when it is missing or is not parquet."""
    try:
        return pq.read_table(path)
    except FileNotFoundError:
        raise UserError(f"{path} is missing: run the workflow again, it will be rebuilt") from None
    except pa.ArrowInvalid as error:
        raise UserError(f"{path} is not a readable parquet file ({error}): delete its folder and run again") from None


def class_names(table: pa.Table, column: str) -> list[str]:
    """Return the class names of a column as the schema's `huggingface` features state them; empty if they do not."""
    raw = (table.schema.metadata or {}).get(b"huggingface")
    feature: Any = json.loads(raw).get("info", {}).get("features", {}).get(column) if raw else None
    while isinstance(feature, (dict, list)):
        if isinstance(feature, list):
            feature = feature[0] if feature else None
        elif "names" in feature:
            return list(feature["names"])
        else:
            feature = feature.get("feature")
    return []
