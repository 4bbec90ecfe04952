"""The headline score of each of 20 blocks of a test set: what shows how much a difference owes to the examples drawn.

A block is a run of neighbouring examples of a language: neighbours (questions of one passage) depend on each other, and
the k-th block of one language holds the translations of the k-th block of another where test sets are parallel. All
arms and seeds are tested on the same rows, so that blocks pair.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from stilts.errors import UserError
from stilts.metrics.judge import Columns, Judged, judge
from stilts.metrics.judge_search import judge_ranks
from stilts.metrics.measure import headline_protocol, layer_protocol
from stilts.metrics.table import write_csv
from stilts.tasks.spec import TaskSpec

BLOCKS = 20
COLUMNS = ("protocol", "language", "metric", *(f"block{k + 1}" for k in range(BLOCKS)))
Blocks = dict[tuple[str, str, str], list[float]]  # (protocol, language, metric) -> percent of each block


def judge_blocks(task: TaskSpec, predictions: Columns, data: Columns) -> Blocks:
    """Return the blocks of a trained target; arguments as of `metrics.judge.judge`."""
    return _gathered(task, (judge(task, _rows(predictions, k), _rows(data, k)) for k in _split(data["language"])))


def judge_pair_blocks(pairs: Columns, pooling: str, data: Columns) -> Blocks:
    """Return the blocks of sentence retrieval at every layer; arguments as of `metrics.judge.judge_pairs`."""
    sizes = {k: data["language"].count(k) for k in set(data["language"])}
    hits: dict[tuple[str, str, str], list[list[bool]]] = defaultdict(lambda: [[] for _ in range(BLOCKS)])
    for language, layer, query, match in zip(*(pairs[k] for k in ("language", "layer", "query", "match")), strict=True):
        block = query * BLOCKS // sizes[language]
        hits[layer_protocol(layer, pooling), language, "accuracy"][block].append(query == match)
    return {key: [100 * sum(b) / len(b) for b in found] for key, found in sorted(hits.items()) if all(found)}


def judge_rank_blocks(task: TaskSpec, ranks: Columns, data: Columns) -> Blocks:
    """Return the blocks of ranked candidates, by query; arguments as of `metrics.judge_search.judge_ranks`."""
    asked = [row for row, side in enumerate(data["side"]) if side == "query"]
    found = defaultdict(list)
    for query, rank in zip(ranks["query"], ranks["rank"], strict=True):
        found[query].append(rank)

    def judged() -> Iterator[Judged]:
        for chosen in _split([data["language"][row] for row in asked]):
            renamed = [(new, rank) for new, old in enumerate(chosen) for rank in found[old]]
            columns = {"query": [q for q, _ in renamed], "rank": [r for _, r in renamed]}
            yield judge_ranks(task, columns, _rows(data, [asked[k] for k in chosen]))

    return _gathered(task, judged())


def write_blocks(path: Path, blocks: Blocks) -> None:
    """Write one row a protocol, language and metric, percent with six decimals."""
    write_csv(path, COLUMNS, [[*key, *(f"{v:.6f}" for v in values)] for key, values in sorted(blocks.items())])


def read_blocks(path: Path) -> Blocks:
    """Return what `write_blocks` wrote; raises UserError naming the file and line that is no such row."""
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        if tuple(next(reader, [])) != COLUMNS:
            raise UserError(f"{path}: its columns are not {', '.join(COLUMNS)}")
        found = {}
        for cells in reader:
            try:
                protocol, language, metric, *values = cells
                found[protocol, language, metric] = [float(v) for v in values]
            except ValueError:
                raise UserError(f"{path}, line {reader.line_num}: not the scores of {BLOCKS} blocks") from None
        return found


def _split(languages: list[str]) -> list[list[int]]:
    """Return the row numbers of each block that has any: the k-th part of every language."""
    rows = defaultdict(list)
    for row, language in enumerate(languages):
        rows[language].append(row)
    parts = [
        sorted(r for of in rows.values() for i, r in enumerate(of) if i * BLOCKS // len(of) == k) for k in range(BLOCKS)
    ]
    return [part for part in parts if part]


def _rows(columns: Mapping[str, list], rows: list[int]) -> Columns:
    return {name: [values[row] for row in rows] for name, values in columns.items()}


def _gathered(task: TaskSpec, judged: Iterator[Judged]) -> Blocks:
    """Return the headline's blocks of the languages that have an example in each; else none."""
    headline, found = headline_protocol(task.kind, 0, ""), defaultdict(list)
    for block in judged:
        for protocol, language, measure in block:
            if protocol == headline:
                found[protocol, language, measure.metric].append(measure.value)
    return {key: values for key, values in sorted(found.items()) if len(values) == BLOCKS}
