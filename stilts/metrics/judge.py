"""From the stored predictions of a task to its measures: language by language, protocol by protocol.

Columns are plain lists of equal length, as pyarrow's `to_pydict` gives them. Every function yields
(protocol, language, Measure), languages sorted; every fault of the files is a UserError that names the row.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

from stilts.errors import UserError
from stilts.metrics.classification import accuracy, majority
from stilts.metrics.measure import SEQEVAL_F1, STANDARD, TAG_ACCURACY, XTREME_F1, Measure, layer_protocol
from stilts.metrics.qa import Normaliser, mlqa_normaliser, qa_measures, squad_normalise
from stilts.metrics.tagging import OUTSIDE, seqeval_f1, token_accuracy, xtreme_f1
from stilts.tasks.spec import TaskSpec

Columns = dict[str, list]
Judged = Iterator[tuple[str, str, Measure]]


def judge(task: TaskSpec, predictions: Columns, data: Columns) -> Judged:
    """Yield the measures of a trained target.

    predictions: the columns of predictions.parquet; data: `id`, `language` and, for question answering, `answers`
    of the test split in the same order. Raises UserError when the rows of the two do not agree.
    """
    same_rows(task.task, predictions, data)
    for language, rows in by_language(predictions["language"]):
        try:
            if task.kind in ("pair_classification", "multiple_choice"):
                width = len(task.labels) if task.kind == "pair_classification" else 0
                chosen = [_choice(predictions["logits"][i], predictions["label"][i], width) for i in rows]
                yield STANDARD, language, accuracy(chosen, [predictions["label"][i] for i in rows])
            elif task.kind == "token_tagging":
                tags, gold = _take(predictions, "tags", rows), _take(predictions, "gold", rows)
                yield from _tagging(task, language, tags, gold)
            elif task.kind == "span_extraction":
                texts, golds = _take(predictions, "text", rows), _take(data, "answers", rows)
                for measure in qa_measures(texts, golds, normaliser_of(task, language), task.unanswerable):
                    yield STANDARD, language, measure
            else:
                raise UserError(f"{task.task}: there is no scorer for predictions of kind {task.kind}")
        except ValueError as error:
            raise UserError(f"predictions of {task.task}, language {language}: {error}") from None


def judge_pairs(task: TaskSpec, pairs: Columns, pooling: str, data: Columns) -> Judged:
    """Yield the top-1 accuracy of every layer and language from mined pairs.

    pairs: columns `language`, `layer`, `query`, `match` of pairs.parquet (numbers of sentences within the language);
    the right match of query i is sentence i. data: `language` of the test split. Raises UserError when the queries of
    a layer are not exactly the sentences of the language.
    """
    sizes = Counter(data["language"])
    found: dict[tuple[str, int], list[int]] = {}
    for row, key in enumerate(zip(pairs["language"], pairs["layer"], strict=True)):
        found.setdefault(key, []).append(row)
    if unknown := sorted({language for language, _ in found} - set(sizes)):
        raise UserError(f"mined pairs of {task.task}: the data have no language {', '.join(unknown)}; mine again")
    for (language, layer), rows in sorted(found.items()):
        queries = _take(pairs, "query", rows)
        if sorted(queries) != list(range(sizes[language])):
            raise UserError(
                f"mined pairs of {task.task}, language {language}, layer {layer}: {len(rows)} queries for "
                f"{sizes[language]} sentences; embed and mine again"
            )
        yield layer_protocol(layer, pooling), language, accuracy(_take(pairs, "match", rows), queries)


def majority_controls(task: TaskSpec, predictions: Columns) -> Judged:
    """Yield what always answering the commonest gold label (or tag) scores in each language."""
    for language, rows in by_language(predictions["language"]):
        if task.kind in ("pair_classification", "multiple_choice"):
            yield STANDARD, language, majority(_take(predictions, "label", rows))
        elif task.kind == "token_tagging":
            gold = _take(predictions, "gold", rows)
            # max over (count, -tag): equal counts go to the lower tag number.
            common = max(Counter(t for s in gold for t in s).items(), key=lambda item: (item[1], -item[0]))[0]
            yield from _tagging(task, language, [[common] * len(s) for s in gold], gold)


def chance_controls(task: TaskSpec, chance: dict[str, dict[str, float]], data: Columns) -> Judged:
    """Yield the type-chance rows that the mini world wrote (percent): drawing any answer of the right type."""
    for language, rows in by_language(data["language"]):
        for metric in ("f1", "exact_match"):
            value = chance.get(language, {}).get(metric)
            if value is not None:
                yield STANDARD, language, Measure(metric, float(value), len(rows))


def by_language(languages: list[str]) -> list[tuple[str, list[int]]]:
    """Return (language, row numbers), sorted by language."""
    found: dict[str, list[int]] = {}
    for row, language in enumerate(languages):
        found.setdefault(language, []).append(row)
    return sorted(found.items())


def same_rows(name: str, predictions: Columns, data: Columns) -> None:
    """Raise UserError unless predictions and test data hold the same ids and languages in the same order."""
    ours, theirs = (list(zip(c["id"], c["language"], strict=True)) for c in (predictions, data))
    if len(ours) != len(theirs):
        raise UserError(f"{name}: {len(ours)} predictions for {len(theirs)} test examples; predict again")
    if not ours:
        raise UserError(f"{name}: the test split is empty; check `languages` and `splits` of tasks/{name}.yaml")
    for row, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        if one != other:
            raise UserError(f"{name}: row {row} predicts {' in '.join(one)}, the test split has {' in '.join(other)}")


def normaliser_of(task: TaskSpec, language: str) -> Normaliser:
    """Return how answers are normalised: MLQA's way when the task's metrics say `mlqa_f1`, else SQuAD's."""
    return mlqa_normaliser(language) if "mlqa_f1" in task.metrics else squad_normalise


def _tagging(task: TaskSpec, language: str, tags: list[list[int]], gold: list[list[int]]) -> Judged:
    yield TAG_ACCURACY, language, token_accuracy(tags, gold)
    if task.metrics == ["accuracy"]:  # supertags are no chunks
        return
    labels = task.labels
    named = [[_name(labels, t, OUTSIDE) for t in s] for s in tags]
    golds = [[_name(labels, t, None) for t in s] for s in gold]
    yield SEQEVAL_F1, language, seqeval_f1(named, golds)
    yield XTREME_F1, language, xtreme_f1(named, golds)


def _name(labels: list[str], tag: int, absent: str | None) -> str:
    if tag == -1 and absent:  # a word beyond the longest sequence: no chunk is predicted there
        return absent
    if not 0 <= tag < len(labels):
        raise ValueError(f"tag {tag} is none of the {len(labels)} labels")
    return labels[tag]


def _choice(logits: list[float], gold: int, width: int) -> int:
    """Return the place of the highest logit; width: how many there must be, 0 for any number."""
    if not logits or not all(map(math.isfinite, logits)):
        raise ValueError(f"logits {logits} are not finite: the model diverged; lower its learning rate")
    if width and len(logits) != width:
        raise ValueError(f"{len(logits)} logits for {width} labels; predict again")
    if not 0 <= gold < len(logits):
        raise ValueError(f"the gold label {gold} is none of the {len(logits)} choices; check the test split")
    return max(range(len(logits)), key=lambda k: logits[k])


def _take(columns: dict[str, list[Any]], name: str, rows: list[int]) -> list[Any]:
    values = columns[name]
    return [values[i] for i in rows]
