"""Find every source sentence's nearest neighbour among the sentences of each language, layer by layer.

Usage: python -m scripts.mine --spec JSON --embeddings embeddings/x/manifest.json --output mined/x/manifest.json
Writes pairs.parquet: language, layer, query, match (sentence numbers within the language), score (cosine).
"""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stilts.errors import UserError
from stilts.provenance.job import run_job
from stilts.provenance.manifest import read_manifest
from stilts.retrieval.search import nearest


def work(spec: dict[str, Any], args: Namespace, folder: Path) -> dict[str, Any]:
    """Search source -> target (the index holds the other language, as XTREME's Tatoeba does)."""
    read_manifest(args.embeddings)
    here = args.embeddings.parent
    index = json.loads((here / "index.json").read_text(encoding="utf-8"))
    tables = []
    for language in sorted(index["languages"]):
        source, target = (_load(here / f"{language}.{side}.npy", len(index["layers"])) for side in ("source", "target"))
        if len(source[0]) != len(target[0]):
            counts = f"{len(source[0])} source and {len(target[0])} target sentences"
            raise UserError(f"{here}: {language} has {counts}; embed again")
        for place, layer in enumerate(index["layers"]):
            try:
                match, score = nearest(source[place], target[place], centre=bool(spec.get("centre", False)))
            except ValueError as error:
                raise UserError(f"embeddings of {language}, layer {layer}: {error}") from None
            tables.append(_table(language, int(layer), match, score))
    pq.write_table(pa.concat_tables(tables), folder / "pairs.parquet")
    return {"layers": index["layers"], "languages": sorted(index["languages"]), "rows": sum(t.num_rows for t in tables)}


def _table(language: str, layer: int, match: np.ndarray, score: np.ndarray) -> pa.Table:
    n = len(match)
    return pa.table(
        {
            "language": pa.array([language] * n, pa.string()),
            "layer": pa.array(np.full(n, layer, np.int32)),
            "query": pa.array(np.arange(n, dtype=np.int32)),
            "match": pa.array(match),
            "score": pa.array(score),
        }
    )


def _load(path: Path, layers: int) -> np.ndarray:
    if not path.is_file():
        raise UserError(f"{path} is missing, though index.json names its language; embed again")
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    if array.ndim != 3 or array.shape[0] != layers or not array.shape[1]:
        raise UserError(f"{path} has shape {array.shape}; it must be [{layers} layers, sentences, dim] with sentences")
    return array


if __name__ == "__main__":
    sys.exit(run_job(work, {"embeddings": ""}))
