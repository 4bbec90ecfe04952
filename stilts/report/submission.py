"""A submission in the layout that XTREME's evaluate.py reads: `<task>/test-<language>.<suffix>`.

Formats (google-research/xtreme, commit 838c13b):

* pawsx, xnli: a label a line; xcopa: `{"label": 0}` a line;
* udpos, panx: a tag a line, a blank line between sentences;
* xquad, mlqa, tydiqa: one JSON object, question id -> answer;
* bucc2018: `<id>TAB<English id>` a line, the pairs above the threshold that is best on validation data;
* mewslix: one JSON object, mention id -> entity ids, best first;
* tatoeba: for each English sentence in alphabetical order (as its download script leaves them), the number of the
  sentence found among those of the other language, counted from 0.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from stilts.errors import UserError
from stilts.metrics.judge import Columns, by_language, same_rows
from stilts.metrics.judge_search import thresholds
from stilts.metrics.tagging import OUTSIDE
from stilts.tasks.spec import TaskSpec

Files = Iterator[tuple[str, str]]

# Kind -> what is read of predictions (or mined pairs) and of the examples.
PREDICTED = {
    "pair_classification": ["id", "language", "logits"],
    "multiple_choice": ["id", "language", "logits"],
    "token_tagging": ["id", "language", "tags"],
    "span_extraction": ["id", "language", "text"],
    "bitext_retrieval": ["language", "layer", "query", "match"],
    "bitext_mining": ["language", "layer", "query", "match", "split", "score"],
    "entity_retrieval": ["query", "match"],
}
EXAMPLES = {kind: ["id", "language"] for kind in PREDICTED} | {
    "bitext_retrieval": ["language", "source_text"],
    "bitext_mining": ["id", "language", "side", "gold"],
    "entity_retrieval": ["id", "language", "side"],
}


def submission_files(
    task: TaskSpec, predicted: Columns, examples: Columns, layer: int, validation: Columns | None = None
) -> Files:
    """Yield (file name, text) of one task, language by language.

    predicted: the columns PREDICTED of its kind; examples: the columns EXAMPLES of the test split, in the same order;
    layer: the hidden state that retrieval is read from; validation: as examples, for bitext mining. Raises UserError
    when rows do not agree or are missing.
    """
    if task.kind == "bitext_retrieval":
        yield from _retrieval(task, predicted, examples, layer)
        return
    if task.kind == "bitext_mining":
        yield from _mined(task, predicted, examples, layer, validation or {})
        return
    if task.kind == "entity_retrieval":
        yield from _ranked(predicted, examples)
        return
    same_rows(task.task, predicted, examples)
    suffix, write = WRITERS[task.kind]
    for language, rows in by_language(predicted["language"]):
        column = PREDICTED[task.kind][-1]
        yield (
            f"test-{language}.{suffix}",
            write(task, [predicted["id"][i] for i in rows], [predicted[column][i] for i in rows]),
        )


def _labels(task: TaskSpec, ids: list[str], logits: list[list[float]]) -> str:
    # The raw value that the data use (PAWS-X: 0 and 1), else the label's name.
    raw = {name: value for value, name in reversed(task.label_values.items())}
    return _lines(raw.get(task.labels[_best(row)], task.labels[_best(row)]) for row in logits)


def _choices(task: TaskSpec, ids: list[str], logits: list[list[float]]) -> str:
    return _lines(json.dumps({"label": _best(row)}) for row in logits)


def _tags(task: TaskSpec, ids: list[str], tags: list[list[int]]) -> str:
    # A word beyond the longest sequence has no prediction; it must have a line, and `O` is no chunk.
    return "\n".join(_lines(OUTSIDE if t < 0 else task.labels[t] for t in sentence) for sentence in tags)


def _answers(task: TaskSpec, ids: list[str], texts: list[str]) -> str:
    # Repeated ids got `#2` and so on when the examples were read; evaluate.py knows one answer an id.
    known = set(ids)
    first = {i: t for i, t in zip(ids, texts, strict=True) if "#" not in i or i.rpartition("#")[0] not in known}
    return json.dumps(first, ensure_ascii=False, indent=1) + "\n"


def _retrieval(task: TaskSpec, pairs: Columns, examples: Columns, layer: int) -> Files:
    texts: dict[str, list[str]] = {}
    for language, text in zip(examples["language"], examples["source_text"], strict=True):
        texts.setdefault(language, []).append(text.strip())
    found: dict[str, dict[int, int]] = {}
    for language, at, query, match in zip(*(pairs[c] for c in PREDICTED[task.kind]), strict=True):
        if at == layer:
            found.setdefault(language, {})[query] = match
    for language, sentences in sorted(texts.items()):
        matches = found.get(language, {})
        if sorted(matches) != list(range(len(sentences))):
            raise UserError(
                f"{task.task}, language {language}: {len(matches)} matches at hidden state {layer} for "
                f"{len(sentences)} sentences; name the layer under `retrieval: layers`"
            )
        order = sorted(range(len(sentences)), key=lambda i: sentences[i])
        yield f"test-{language}.tsv", _lines(str(matches[i]) for i in order)


def _mined(task: TaskSpec, pairs: Columns, examples: Columns, layer: int, validation: Columns) -> Files:
    if layer not in pairs["layer"]:
        raise UserError(f"{task.task}: nothing is mined at hidden state {layer}; name it under `retrieval: layers`")
    least = thresholds(task, pairs, layer, validation)
    names = {side: _names(examples, side) for side in ("query", "candidate")}
    kept: dict[str, list[str]] = {language: [] for language in names["query"]}
    for language, at, query, match, split, score in zip(*(pairs[c] for c in PREDICTED[task.kind]), strict=True):
        if (at, split) == (layer, "test") and score >= least.get(language, 0.0):
            # A candidate's name begins with the language of its corpora.
            found = names["candidate"][language][match].removeprefix(f"{language}:")
            kept[language].append(f"{names['query'][language][query]}\t{found}")
    for language, lines in sorted(kept.items()):
        yield f"test-{language}.tsv", _lines(lines)


def _names(examples: Columns, side: str) -> dict[str, list[str]]:
    """Return language -> the ids of its queries or candidates."""
    found: dict[str, list[str]] = {}
    for name, language, of in zip(examples["id"], examples["language"], examples["side"], strict=True):
        if of == side:
            found.setdefault(language, []).append(name)
    return found


def _ranked(pairs: Columns, examples: Columns) -> Files:
    rows = list(zip(examples["id"], examples["language"], examples["side"], strict=True))
    queries = [(name, language) for name, language, side in rows if side == "query"]
    entities = [name for name, _, side in rows if side == "candidate"]
    found: dict[str, dict[str, list[str]]] = {}
    for name, language in queries:
        found.setdefault(language, {})[name] = []
    for query, match in zip(pairs["query"], pairs["match"], strict=True):
        name, language = queries[query]
        found[language][name].append(entities[match])
    for language, answers in sorted(found.items()):
        yield f"test-{language}.json", json.dumps(answers) + "\n"


WRITERS: dict[str, tuple[str, Callable[[TaskSpec, list[str], list[Any]], str]]] = {
    "pair_classification": ("tsv", _labels),
    "multiple_choice": ("jsonl", _choices),
    "token_tagging": ("tsv", _tags),
    "span_extraction": ("json", _answers),
}


def _best(logits: list[float]) -> int:
    return max(range(len(logits)), key=lambda k: logits[k])


def _lines(texts: Any) -> str:
    return "".join(f"{text}\n" for text in texts)
