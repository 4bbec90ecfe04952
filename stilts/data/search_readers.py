"""One reader a source of search tasks: LAReQA's JSON, SQuAD's tables, Mewsli-X, BUCC's corpora, pairs of sentences.

Each adds the queries and candidates of one split to a corpus. Texts are made as XTREME's scripts make them
(third_party/utils_lareqa.py and utils_mewslix.py of google-research/xtreme, described in docs/data.md).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stilts.data.columns import check_columns, values
from stilts.data.layout import Part, Request
from stilts.data.search_rows import Corpus
from stilts.data.sentences import sentence_breaks
from stilts.data.spans import find_answer
from stilts.data.tables import read_table
from stilts.errors import UserError

BRACES = re.compile(r"\{(.*?)\}")


# --- questions and the sentences that answer them


def answers_of_json(request: Request, split: str, raw: Path, corpus: Corpus) -> None:
    """Read `<language>.json` in XQuAD-R's layout: every sentence of every paragraph is a candidate."""
    gold: dict[str, list[str]] = {}
    questions: list[tuple[str, str, str]] = []
    for language in request.languages:
        path = raw / f"{language}.json"
        for number, paragraph in enumerate(_paragraphs(path), 1):
            context, where = paragraph["context"], f"{path}, paragraph {number}"
            breaks = [(int(a), int(b)) for a, b in paragraph["sentence_breaks"]]
            if any(not 0 <= a < b <= len(context) for a, b in breaks):
                raise UserError(f"{where}: a sentence break lies outside the context")
            names = [f"{language}_{number}_{k}" for k in range(len(breaks))]
            texts = [context[a:b] for a, b in breaks]
            for name, text in zip(names, texts, strict=True):
                corpus.candidate(language, name, text, context)
            for item in paragraph["qas"]:
                at = _answer_start(item["answers"][0], context, where)
                sentence = next((context[a:b] for a, b in breaks if a <= at < b), None)
                if sentence is None:
                    corpus.count("answer_in_no_sentence", language)
                    continue
                questions.append((language, item["id"], item["question"]))
                gold.setdefault(item["id"], []).extend(n for n, t in zip(names, texts, strict=True) if t == sentence)
    for language, name, text in questions:
        corpus.query(language, name, text, gold[name])


def _paragraphs(path: Path) -> Iterator[dict[str, Any]]:
    if not path.is_file():
        held = ", ".join(sorted(p.stem for p in path.parent.glob("*.json"))) or "none"
        raise UserError(f'There is no file for the language "{path.stem}" ({path}). Languages there: {held}.')
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        yield from (paragraph for article in document["data"] for paragraph in article["paragraphs"])
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f"{path} is not in XQuAD-R's layout ({error!r}): fetch it again") from None


def _answer_start(answer: dict[str, Any], context: str, where: str) -> int:
    at = int(answer["answer_start"])
    if not context.startswith(answer["text"], at):
        raise UserError(f"{where}: the answer {answer['text']!r} is not at its offset {at}")
    return at


def answers_of_table(request: Request, split: str, raw: Path, corpus: Corpus) -> None:
    """Read questions in SQuAD's schema; a question's candidate is the sentence its first answer begins in.

    Training keeps the sentences that answer a question, validation all sentences of the contexts.
    """
    task = request.task
    for part in [p for p in request.parts() if p.split == split]:
        language = part.language or request.source_language
        table, where = _table(request, part, raw)
        names = ("id", "question", "context", "answers", "answer_starts")
        columns = {name: values(table, task.columns[name], where) for name in names}
        contexts: dict[str, tuple[int, list[tuple[int, int]]]] = {}
        added: set[str] = set()

        def add(context: str, sentence: int, language: str = language, added: set[str] = added, known=contexts) -> str:
            number, breaks = known[context]
            name = f"{language}_{number}_{sentence}"
            if name not in added:
                added.add(name)
                corpus.candidate(language, name, context[slice(*breaks[sentence])], context)
            return name

        for name, question, context, texts, starts in zip(*columns.values(), strict=True):
            if context not in contexts:
                contexts[context] = (len(contexts) + 1, sentence_breaks(context))
                if split != "train":
                    for sentence in range(len(contexts[context][1])):
                        add(context, sentence)
            at = find_answer(context, texts[0], starts[0]) if texts else -1
            sentence = next((k for k, (a, b) in enumerate(contexts[context][1]) if a <= at < b), None)
            if sentence is None:
                corpus.count("answer_not_in_context" if texts else "no_answer", language)
                continue
            corpus.query(language, str(name), question, [add(context, sentence)])


# --- mentions and the entities they mean (Mewsli-X)


def entities(request: Request, split: str, raw: Path, corpus: Corpus) -> None:
    """Read mentions in their context and entity descriptions in Mewsli-X's schema.

    Training and validation hold pairs: their entities are the candidates. The test split has mentions a language and
    candidates of its own, in all languages.
    """
    known: set[str] = set()

    def describe(rows: list[dict[str, Any]]) -> None:
        for entity in rows:
            if entity["entity_id"] not in known:
                known.add(entity["entity_id"])
                corpus.candidate(entity["description_language"], entity["entity_id"], description_text(entity))

    for part in [p for p in request.parts() if p.split == split]:
        table, where = _table(request, part, raw)
        if part.config == request.task.source.candidates:
            for batch in table.to_batches(max_chunksize=10_000):
                describe(batch.to_pylist())
            continue
        rows = table.to_pylist()
        for row, item in enumerate(rows):
            found = item.get("contextual_mention", item)
            text = mention_text(found["context"], found["mention"], f"{where}, row {row}")
            if text is None:
                corpus.count("mention_in_no_sentence", part.language or "")
                text = mention_text({**found["context"], "sentence_spans": None}, found["mention"], where)
            mention = found["mention"]
            corpus.query(part.language or "", str(mention["example_id"]), text, [mention["entity_id"]])
        if part.config == request.task.source.pairs:
            describe([item["entity"] for item in rows])


def mention_text(context: dict[str, Any], mention: dict[str, Any], where: str) -> str | None:
    """Return `Smith: The verdict came back for { Smith }, who ...`: the mention, then its sentence with it marked.

    Braces of the sentence become parentheses. None when no sentence holds the mention whole; without sentence spans
    the whole text is taken. Raises UserError for a mention that is not at its offsets.
    """
    text, span = context["text"], mention["mention_span"]
    start, end = int(span["start"]), int(span["end"])
    if not 0 <= start < end <= len(text) or span.get("text") not in (None, text[start:end]):
        raise UserError(f"{where}: the mention {mention['example_id']} is not at its offsets {start} to {end}")
    first, last = 0, len(text)
    if context.get("sentence_spans") is not None:
        spans = [(s["start"], s["end"]) for s in context["sentence_spans"]]
        first, last = next(((a, b) for a, b in spans if a <= start and end <= b), (-1, -1))
        if first < 0:
            return None
    left, name, right = text[first:start], text[start:end], text[end:last]
    left, right = (BRACES.sub(r"(\1)", side) for side in (left, right))
    return _one_line(f"{name}: {left} {{ {name} }} {right}")


def description_text(entity: dict[str, Any]) -> str:
    """Return the sentences of an entity's description in one line."""
    text, spans = entity["description"], entity["sentence_spans"] or []
    return _one_line(" ".join(text[s["start"] : s["end"]] for s in spans) or text)


def _one_line(text: str) -> str:
    return " ".join(text.splitlines()).replace("  ", " ").strip()


# --- corpora of sentences, some of which are translations of each other


def corpora_of_text(request: Request, split: str, raw: Path, corpus: Corpus) -> None:
    """Read BUCC's layout: `<id>TAB<sentence>` in two languages, and gold pairs `<id>TAB<id>`.

    The other language asks, the source language is searched.
    """
    for (part, language), stem in request.corpora().items():
        if part != split:
            continue
        ends = (request.name_of(language), request.name_of(request.source_language), "gold")
        asking, searched, gold = (_lines(raw / f"{stem}.{end}") for end in ends)
        pairs: dict[str, list[str]] = {}
        for first, second in gold:
            pairs.setdefault(first, []).append(f"{language}:{second}")
        if lost := sorted(set(pairs) - {name for name, _ in asking}):
            raise UserError(f"{raw / stem}.gold names {lost[0]}, which is no sentence of {stem}.{ends[0]}")
        for name, text in asking:
            corpus.query(language, name, text, pairs.get(name, []))
        for name, text in searched:
            corpus.candidate(language, f"{language}:{name}", text)


def _lines(path: Path) -> list[tuple[str, str]]:
    if not path.is_file():
        raise UserError(f"{path} is missing: the corpora of each language are three files (see docs/data.md)")
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").split("\n"), 1):
        name, tab, text = line.removesuffix("\r").partition("\t")
        if line and not tab:
            raise UserError(f"{path}, line {number}: no TAB between id and text")
        if line:
            rows.append((name, text.strip()))
    return rows


def pairs_of_table(request: Request, split: str, raw: Path, corpus: Corpus) -> None:
    """Read a table of translations: one side is searched for the other, and nothing else is there."""
    task = request.task
    for part in [p for p in request.parts() if p.split == split]:
        if part.optional and not (raw / part.file).is_file():
            corpus.count("no_table", part.language or "")
            continue
        table, where = _table(request, part, raw)
        sides = [values(table, task.columns[name], where) for name in ("source_text", "target_text")]
        for row, (asking, searched) in enumerate(zip(*sides, strict=True)):
            name = f"{part.language}:{part.source_split}-{row}"
            corpus.query(part.language, f"{part.source_split}-{row}", str(asking).strip("\r\n"), [name])
            corpus.candidate(part.language, name, str(searched).strip("\r\n"))


def _table(request: Request, part: Part, raw: Path) -> tuple[Any, str]:
    where = f"{request.task.task} ({part.config}/{part.source_split})"
    table = read_table(raw / part.file)
    check_columns(request.task, table.column_names, where)
    return table, where
