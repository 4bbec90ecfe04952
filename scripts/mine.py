"""Find translations, right sentences or entities among embeddings, by the kind of the target.

Usage: python -m scripts.mine --spec JSON --embeddings embeddings/x/manifest.json --data data/x/manifest.json
       --output mined/x/manifest.json
Writes pairs.parquet (numbers of rows within their language and side; docs/results.md), for answer and entity retrieval
also ranks.parquet; dev.json as it lies beside the embeddings.
"""

from __future__ import annotations

import json
import shutil
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stilts.errors import UserError
from stilts.provenance.job import run_job
from stilts.provenance.manifest import read_manifest
from stilts.retrieval.mining import Rows, first_of, mine
from stilts.retrieval.rank import rank
from stilts.retrieval.search import nearest

SIDES = ("query", "candidate")
PAIR = {"language": pa.string(), "layer": pa.int32(), "query": pa.int32(), "match": pa.int32()}


def work(spec: dict[str, Any], args: Namespace, folder: Path) -> dict[str, Any]:
    """Search or mine every language and layer, or rank all candidates."""
    read_manifest(args.embeddings)
    here = args.embeddings.parent
    index = json.loads((here / "index.json").read_text(encoding="utf-8"))
    if args.data:
        read_manifest(args.data)
    elif spec["kind"] != "bitext_retrieval":
        raise UserError(f"targets of the kind {spec['kind']} need --data, their examples")
    if (here / "dev.json").is_file():
        shutil.copyfile(here / "dev.json", folder / "dev.json")
    if "layers" not in index:
        return _rank(here, args.data.parent, folder)
    mining = spec["kind"] == "bitext_mining"
    tables = list(_mined(here, index, args.data, args.memory) if mining else _nearest(here, index))
    pq.write_table(pa.concat_tables(tables), folder / "pairs.parquet")
    return {"layers": index["layers"], "languages": sorted(index["languages"]), "rows": sum(t.num_rows for t in tables)}


def _nearest(here: Path, index: dict[str, Any]) -> Iterator[pa.Table]:
    """Search source -> target (the index holds the other language, as XTREME's Tatoeba does); score: cosine."""
    for language in sorted(index["languages"]):
        source, target = (_load(here / f"{language}.{side}.npy", len(index["layers"])) for side in ("source", "target"))
        if len(source[0]) != len(target[0]):
            counts = f"{len(source[0])} source and {len(target[0])} target sentences"
            raise UserError(f"{here}: {language} has {counts}; embed again")
        for place, layer in enumerate(index["layers"]):
            try:
                match, score = nearest(source[place], target[place])
            except ValueError as error:
                raise UserError(f"embeddings of {language}, layer {layer}: {error}") from None
            yield _table(language, layer, np.arange(len(match), dtype=np.int32), match, score)


def _mined(here: Path, index: dict[str, Any], data: Path, memory: int) -> Iterator[pa.Table]:
    """Mine each language of both splits; repeated sentences are mined once, and then in no pair; score: margin."""
    for split in ("validation", "test"):
        rows = _read(data.parent / f"{split}.parquet", ["language", "side", "text"])
        for language in sorted(set(rows["language"])):
            texts = {
                side: [t for *key, t in zip(*rows.values(), strict=True) if key == [language, side]] for side in SIDES
            }
            vectors = {side: _load(here / f"{split}.{language}.{side}.npy", len(index["layers"])) for side in SIDES}
            for side in SIDES:
                if vectors[side].shape[1] != len(texts[side]):
                    raise UserError(f"{here}: {split}, {language}: the data have {len(texts[side])} rows; embed again")
            first = {side: first_of(texts[side]) for side in SIDES}
            for place, layer in enumerate(index["layers"]):
                chosen = [Rows(vectors[side][place], first[side][0]) for side in SIDES]
                try:
                    query, match, score = mine(*chosen, memory=memory)
                except ValueError as error:
                    raise UserError(f"embeddings of {split}, {language}, layer {layer}: {error}") from None
                kept = first["query"][1][query] & first["candidate"][1][match]
                numbers = first["query"][0][query[kept]], first["candidate"][0][match[kept]]
                table = _table(language, layer, *(n.astype(np.int32) for n in numbers), score[kept])
                yield table.append_column("split", pa.array([split] * len(table), pa.string()))


def _rank(here: Path, data: Path, folder: Path) -> dict[str, Any]:
    """Rank all candidates of all languages for every query, and note the ranks of the right ones."""
    rows = _read(data / "test.parquet", ["id", "side", "gold"])
    candidates = [name for name, side in zip(rows["id"], rows["side"], strict=True) if side == "candidate"]
    place = {name: number for number, name in enumerate(candidates)}
    wanted = [gold for gold, side in zip(rows["gold"], rows["side"], strict=True) if side == "query"]
    gold = [[place[name] for name in names if name in place] for names in wanted]
    vectors = [np.load(here / f"{side}.npy", mmap_mode="r", allow_pickle=False) for side in SIDES]
    if [len(v) for v in vectors] != [len(wanted), len(candidates)]:
        raise UserError(f"{here}: the data have {len(wanted)} queries and {len(candidates)} candidates; embed again")
    pairs: list[list[np.ndarray]] = [[], [], []]
    ranks: list[list[int]] = [[], [], []]
    try:
        for query, best, scores, found in rank(*vectors, gold):
            for column, values in zip(pairs, (np.full(len(best), query, np.int32), best, scores), strict=True):
                column.append(values)
            for column, numbers in zip(ranks, ([query] * len(found), gold[query], found), strict=True):
                column.extend(numbers)
    except ValueError as error:
        raise UserError(f"{here}: {error}") from None
    best = dict(zip(("query", "match", "score"), map(np.concatenate, pairs), strict=True))
    pq.write_table(pa.table(best), folder / "pairs.parquet")
    found = {name: pa.array(c, pa.int32()) for name, c in zip(("query", "gold", "rank"), ranks, strict=True)}
    pq.write_table(pa.table(found), folder / "ranks.parquet")
    return {"queries": len(wanted), "candidates": len(candidates)}


def _table(language: str, layer: int, query: np.ndarray, match: np.ndarray, score: np.ndarray) -> pa.Table:
    columns = ([language] * len(match), np.full(len(match), layer), query, match)
    table = {name: pa.array(c, kind) for (name, kind), c in zip(PAIR.items(), columns, strict=True)}
    return pa.table({**table, "score": pa.array(score)})


def _read(path: Path, columns: list[str]) -> dict[str, list]:
    return pq.read_table(path, columns=columns).to_pydict()


def _load(path: Path, layers: int) -> np.ndarray:
    if not path.is_file():
        raise UserError(f"{path} is missing, though index.json names its language; embed again")
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    if array.ndim != 3 or array.shape[0] != layers or not array.shape[1]:
        raise UserError(f"{path} has shape {array.shape}; it must be [{layers} layers, sentences, dim] with sentences")
    return array


if __name__ == "__main__":
    sys.exit(run_job(work, {"embeddings": "", "data": "?"}))
