"""From mined pairs and ranks to the measures of BUCC, LAReQA and Mewsli-X."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stilts.errors import UserError
from stilts.metrics.measure import FULL_MAP, MAP20, MRR20, Measure, layer_protocol
from stilts.metrics.ranking import TOP, best_threshold, mean_average_precision, mean_reciprocal_rank, pair_f1
from stilts.tasks.spec import TaskSpec

Columns = dict[str, list]
Judged = Iterator[tuple[str, str, Measure]]
DEV = "dev"


def judge_mined(task: TaskSpec, pairs: Columns, pooling: str, data: dict[str, Columns]) -> Judged:
    """Yield F1, precision and recall of every language and layer, at the threshold that is best on validation data.

    pairs: columns `split`, `language`, `layer`, `query`, `match`, `score` of pairs.parquet; data: split -> columns
    `id`, `language`, `side`, `gold`. The validation split is judged at the same threshold, which was chosen on it:
    its protocols are named `<variant>-dev-layer...`. Raises UserError when pairs name rows that the data do not have.
    """
    gold = {split: _gold_of(columns) for split, columns in data.items()}
    found: dict[tuple[str, int, str], list[int]] = {}
    layers = sorted(set(pairs["layer"]))
    for row, key in enumerate(zip(pairs["language"], pairs["layer"], pairs["split"], strict=True)):
        found.setdefault(key, []).append(row)
    if unknown := sorted({k for k, _, s in found} - set(gold["test"])):
        raise UserError(f"mined pairs of {task.task}: the data have no language {', '.join(unknown)}; mine again")
    for language in sorted(gold["test"]):
        for layer in layers:
            judged = {}
            for split, of in gold.items():
                rows = found.get((language, layer, split), [])
                scores = [pairs["score"][i] for i in rows]
                right = [_right(task, of[language], pairs["query"][i], pairs["match"][i]) for i in rows]
                judged[split] = scores, right, of[language].relevant
            threshold = best_threshold(*judged["validation"])
            for split, variant in (("validation", DEV), ("test", "")):
                scores, right, relevant = judged[split]
                kept = [hit for score, hit in zip(scores, right, strict=True) if score >= threshold]
                name = "-".join(filter(None, (task.variant, variant)))
                for measure in pair_f1(len(kept), sum(kept), relevant):
                    yield layer_protocol(layer, pooling, name), language, measure


def thresholds(task: TaskSpec, pairs: Columns, layer: int, validation: Columns) -> dict[str, float]:
    """Return language -> the threshold that is best on validation data, at one hidden state.

    pairs: as in `judge_mined`; validation: columns `id`, `language`, `side`, `gold` of that split.
    """
    rows: dict[str, list[int]] = {}
    for row, key in enumerate(zip(pairs["language"], pairs["layer"], pairs["split"], strict=True)):
        if key[1:] == (layer, "validation"):
            rows.setdefault(key[0], []).append(row)
    found = {}
    for language, of in _gold_of(validation).items():
        mined = rows.get(language, [])
        right = [_right(task, of, pairs["query"][i], pairs["match"][i]) for i in mined]
        found[language] = best_threshold([pairs["score"][i] for i in mined], right, of.relevant)
    return found


class _Gold:
    """The gold pairs of one language: names of the candidates in order, and the gold of each query in order."""

    def __init__(self) -> None:
        self.candidates: list[str] = []
        self.queries: list[set[str]] = []

    @property
    def relevant(self) -> int:
        return sum(map(len, self.queries))


def _gold_of(columns: Columns) -> dict[str, _Gold]:
    found: dict[str, _Gold] = {}
    for name, language, side, gold in zip(*(columns[k] for k in ("id", "language", "side", "gold")), strict=True):
        of = found.setdefault(language, _Gold())
        if side == "query":
            of.queries.append(set(gold))
        else:
            of.candidates.append(name)
    return found


def _right(task: TaskSpec, gold: _Gold, query: int, match: int) -> bool:
    try:
        return gold.candidates[match] in gold.queries[query]
    except IndexError:
        raise UserError(f"mined pairs of {task.task} name row {query} or {match}, which is not there") from None


def judge_ranks(task: TaskSpec, ranks: Columns, data: Columns) -> Judged:
    """Yield the measures of ranked candidates in every language of the queries.

    ranks: columns `query`, `rank` of ranks.parquet (one row a right candidate); data: `language`, `side` and `gold` of
    the test split. Right candidates without a rank were not among the candidates: they count and are never found.
    """
    asked = [
        (language, len(gold))
        for language, side, gold in zip(data["language"], data["side"], data["gold"], strict=True)
        if side == "query"
    ]
    by_query: dict[int, list[int]] = {}
    for query, rank in zip(ranks["query"], ranks["rank"], strict=True):
        by_query.setdefault(query, []).append(rank)
    if by_query and max(by_query) >= len(asked):
        raise UserError(f"ranks of {task.task}: query {max(by_query)} of {len(asked)}; embed and mine again")
    by_language: dict[str, list[tuple[list[int], int]]] = {}
    for query, (language, relevant) in enumerate(asked):
        by_language.setdefault(language, []).append((by_query.get(query, []), relevant))
    for language, queries in sorted(by_language.items()):
        yield from ((protocol, language, measure) for protocol, measure in _ranked(task, queries))


def _ranked(task: TaskSpec, queries: list[tuple[list[int], int]]) -> Iterator[tuple[str, Any]]:
    if task.kind == "entity_retrieval":
        yield MRR20, mean_reciprocal_rank([min(found, default=None) for found, _ in queries], TOP)
    else:
        yield MAP20, mean_average_precision(queries, TOP)
        yield FULL_MAP, mean_average_precision(queries)
