"""Tokenise the canonical examples of a task, one function a kind (formats: `stilts.tokens.store`)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from stilts.provenance.manifest import dump_json
from stilts.tokens.store import INFO, write_split
from stilts.tokens.tokenizer import Tokenizer

IGNORE = -100
LABELS = "labels.json"  # beside examples whose task file does not list the labels
Columns = dict[str, list]


class Flat:
    """Collects segments; `arrays` are the shared files of a split."""

    def __init__(self) -> None:
        self.ids: list[np.ndarray] = []
        self.blocks: list[np.ndarray] = []  # those before, joined: an array a segment costs more than its numbers
        self.segments, self.examples = [0], [0]

    def add(self, segments: list[list[int]]) -> None:
        """Append one example."""
        for ids in segments:
            self.ids.append(np.asarray(ids, np.int32))
            self.segments.append(self.segments[-1] + len(ids))
        self.examples.append(len(self.segments) - 1)
        if len(self.ids) > 50_000:
            self._join()

    def _join(self) -> None:
        if self.ids:
            self.blocks.append(np.concatenate(self.ids))
            self.ids = []

    def arrays(self) -> dict[str, np.ndarray]:
        """Return ids, segments and examples."""
        self._join()
        ids = np.concatenate(self.blocks) if self.blocks else np.zeros(0, np.int32)
        return {
            "ids": ids,
            "segments": np.asarray(self.segments, np.int64),
            "examples": np.asarray(self.examples, np.int64),
        }


def build_tokens(kind: str, data: Path, tokenizer: Tokenizer, folder: Path) -> dict[str, Any]:
    """Tokenise every split of data/<task>/ into `folder`; return facts for the manifest.

    Facts: examples and sub-words a split and language (fertility differs by language), unknown sub-words, answers
    that no sub-word span covers.
    """
    files = sorted(data.glob("*.parquet"))
    facts: dict[str, Any] = {"kind": kind, "splits": {}}
    for path in files:
        split, rows = path.stem, pq.read_table(path).to_pydict()
        languages = sorted(set(rows["language"]))
        flat = Flat()
        more, counts = BUILDERS[kind](rows, tokenizer, flat)
        code = {language: i for i, language in enumerate(languages)}
        arrays = flat.arrays() | more
        arrays["language"] = np.asarray([code[language] for language in rows["language"]], np.int16)
        write_split(folder, split, arrays)
        facts["splits"][split] = counts | _sizes(arrays, languages, tokenizer.unk)
        info = {"kind": kind, "languages": languages, "special": tokenizer.special}
        if (data / LABELS).is_file():
            info["labels"] = len(json.loads((data / LABELS).read_text(encoding="utf-8")))
        text = dump_json(info | {"vocabulary": tokenizer.vocabulary})
        (folder / f"{split}.{INFO}").write_text(text, encoding="utf-8")
    return facts


def _sizes(arrays: dict[str, np.ndarray], languages: list[str], unk: int) -> dict[str, Any]:
    starts = arrays["segments"][arrays["examples"]]
    tokens = np.diff(starts)
    return {
        "examples": {k: int((arrays["language"] == i).sum()) for i, k in enumerate(languages)},
        "subwords": {k: int(tokens[arrays["language"] == i].sum()) for i, k in enumerate(languages)},
        "unknown": int((arrays["ids"] == unk).sum()),
    }


def _pairs(rows: Columns, tokenizer: Tokenizer, flat: Flat) -> tuple[dict, dict]:
    for a, b in zip(tokenizer.arrays(rows["text_a"]), tokenizer.arrays(rows["text_b"]), strict=True):
        flat.add([a, b])
    return {"labels": np.asarray(rows["label"], np.int32)}, {}


def _choices(rows: Columns, tokenizer: Tokenizer, flat: Flat) -> tuple[dict, dict]:
    prompts = tokenizer.arrays(rows["prompt"])
    choices = tokenizer.arrays([c for row in rows["choices"] for c in row])
    for prompt, row in zip(prompts, rows["choices"], strict=True):
        flat.add([prompt, *(next(choices) for _ in row)])
    return {"labels": np.asarray(rows["label"], np.int32)}, {}


def _tags(rows: Columns, tokenizer: Tokenizer, flat: Flat) -> tuple[dict, dict]:
    words = sorted({w for row in rows["tokens"] for w in row})
    # A word that normalises to nothing keeps its place as <unk>, as XTREME's preprocessing does.
    encoded = dict(zip(words, tokenizer.encode(words), strict=True))
    pieces = {w: ids or [tokenizer.unk] for w, ids in encoded.items()}
    targets: list[int] = []
    empty = 0
    for row, tags in zip(rows["tokens"], rows["tags"], strict=True):
        ids: list[int] = []
        for word, tag in zip(row, tags, strict=True):
            empty += not encoded[word]
            ids += pieces[word]
            targets += [tag] + [IGNORE] * (len(pieces[word]) - 1)
        flat.add([ids])
    return {"targets": np.asarray(targets, np.int32)}, {"words_without_subword": empty}


def _spans(rows: Columns, tokenizer: Tokenizer, flat: Flat) -> tuple[dict, dict]:
    unique = sorted(set(rows["context"]))
    contexts = dict(zip(unique, tokenizer.encode_with_offsets(unique), strict=True))
    chars: list[np.ndarray] = []
    answers: list[tuple[int, int]] = []
    lost = 0
    for question, context, texts, starts in zip(
        tokenizer.encode(rows["question"]), rows["context"], rows["answers"], rows["answer_starts"], strict=True
    ):
        ids, spans = contexts[context]
        flat.add([question, ids])
        spans = np.asarray(spans, np.int32).reshape(-1, 2)
        chars += [np.zeros((len(question), 2), np.int32), spans]
        # A start below 0 marks an answer that is not in its context (evaluation sets hold some).
        found = texts and starts[0] >= 0
        span = _cover(spans, starts[0], starts[0] + len(texts[0])) if found else (-1, -1)
        lost += bool(texts) and span[0] < 0
        answers.append(span)
    arrays = {"chars": np.concatenate(chars) if chars else np.zeros((0, 2), np.int32)}
    return arrays | {"answers": np.asarray(answers, np.int32).reshape(-1, 2)}, {"answers_without_subwords": lost}


def _cover(spans: np.ndarray, start: int, end: int) -> tuple[int, int]:
    """Return first and last sub-word that overlap the characters [start, end), or (-1, -1)."""
    inside = np.flatnonzero((spans[:, 1] > start) & (spans[:, 0] < end))
    return (int(inside[0]), int(inside[-1])) if len(inside) else (-1, -1)


def _text(rows: Columns, tokenizer: Tokenizer, flat: Flat) -> tuple[dict, dict]:
    parts = [t.split("\t") for t in rows["text"]]
    encoded = iter(tokenizer.encode([p for row in parts for p in row]))
    for row in parts:
        flat.add([next(encoded) for _ in row])
    return {}, {}


def _bitext(rows: Columns, tokenizer: Tokenizer, flat: Flat) -> tuple[dict, dict]:
    for a, b in zip(tokenizer.encode(rows["source_text"]), tokenizer.encode(rows["target_text"]), strict=True):
        flat.add([a, b])
    return {}, {}


def _search(rows: Columns, tokenizer: Tokenizer, flat: Flat) -> tuple[dict, dict]:
    unique = sorted(set(rows["context"]))
    contexts = dict(zip(unique, tokenizer.encode(unique), strict=True))
    place = {name: i for i, (name, side) in enumerate(zip(rows["id"], rows["side"], strict=True)) if side != "query"}
    for text, context in zip(tokenizer.encode(rows["text"]), rows["context"], strict=True):
        flat.add([text, contexts[context]])
    side = np.asarray([side != "query" for side in rows["side"]], np.int8)
    gold = np.asarray([next((place[g] for g in of if g in place), -1) for of in rows["gold"]], np.int32)
    return {"side": side, "gold": gold}, {"queries": int((side == 0).sum()), "candidates": int(side.sum())}


BUILDERS = {
    "pair_classification": _pairs,
    "multiple_choice": _choices,
    "token_tagging": _tags,
    "span_extraction": _spans,
    "masked_lm": _text,
    "bitext_retrieval": _bitext,
    "bitext_mining": _search,
    "answer_retrieval": _search,
    "entity_retrieval": _search,
}
