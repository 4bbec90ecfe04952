"""Raw tables -> canonical examples: one parquet a split with all languages, and the facts of the manifest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from stilts.data.columns import check_columns, values
from stilts.data.layout import SPLITS, Part, Request
from stilts.data.readers import SCHEMAS, read_rows
from stilts.data.tables import read_table, write_table
from stilts.data.tagged import LABELS, read_tag_names, read_tagged
from stilts.errors import UserError
from stilts.provenance.manifest import dump_json
from stilts.tasks.languages import canonical

TAGS = "labels.json"  # labels that the raw data list themselves (`tagged_lines`)
Counts = dict[str, dict[str, dict[str, int]]]  # what -> split -> language -> number


class Examples:
    """Examples of one split while they are collected, in the order of languages, then rows of the repository."""

    def __init__(self, kind: str, split: str, counts: Counts):
        self.kind, self.split, self.counts = kind, split, counts
        self.columns: dict[str, list[Any]] = {name: [] for name in ("id", "language", *SCHEMAS[kind])}
        self.rows: Counter = Counter()
        self.inputs: dict[str, set] = {}
        self.ids: dict[str, list[str]] = {}

    def count(self, what: str, language: str, number: int) -> None:
        """Add to the counts of this split; zeros are not kept."""
        if number:
            of_split = self.counts.setdefault(what, {}).setdefault(self.split, {})
            of_split[language] = of_split.get(language, 0) + number

    def add(self, language: str, ids: list[str], columns: dict[str, list[Any]]) -> None:
        """Append the rows of one language; ids become unique within language and split, double rows are counted."""
        # A split of ours may be several of the repository: ids are unique over all of them.
        before = self.ids.setdefault(language, [])
        self.columns["id"].extend(unique_ids(before + ids)[len(before) :])
        self.columns["language"].extend([language] * len(ids))
        for name in SCHEMAS[self.kind]:
            self.columns[name].extend(columns[name])
        self.rows[language] += len(ids)
        keys = [_key(row) for row in zip(*(columns[name] for name in SCHEMAS[self.kind]), strict=True)]
        seen = self.inputs.setdefault(language, set())
        self.count("repeated_ids", language, len(ids) - len(set(ids) - set(before)))
        self.count("repeated_examples", language, len(keys) - len(set(keys) - seen))
        before.extend(ids)
        seen.update(keys)

    def table(self) -> pa.Table:
        """Return the rows as a table of the kind's schema."""
        schema = pa.schema([("id", pa.string()), ("language", pa.string()), *SCHEMAS[self.kind].items()])
        return pa.table(self.columns, schema=schema)


def unique_ids(ids: list[str]) -> list[str]:
    """Return the ids with `#2`, `#3`, ... behind those that came before; the first of each keeps its name."""
    taken, seen, unique = set(ids), Counter(), []
    for name in ids:
        seen[name] += 1
        new = name
        while seen[name] > 1 and new in taken:
            new = f"{name}#{seen[name]}"
            seen[name] += new in taken
        taken.add(new)
        unique.append(new)
    return unique


def id_gaps(ids: list[Any]) -> int:
    """Return how many numbers are missing between the lowest and the highest id; 0 when ids are not whole numbers."""
    texts = {str(value) for value in ids}
    if not texts or not all(text.isascii() and text.isdigit() for text in texts):
        return 0
    numbers = {int(text) for text in texts}
    return max(numbers) - min(numbers) + 1 - len(numbers)


def prepare(request: Request, raw: Path, folder: Path) -> dict[str, Any]:
    """Write `folder/<split>.parquet` for every split the task has; return the facts of the manifest.

    raw: folder `<config>/<split>.parquet` in hub schema. Raises UserError for a missing table, column or language, an
    unknown label, and a language that ends without rows.
    """
    counts: Counts = {}
    request = _with_labels(request, raw, folder, counts)
    task, wanted = request.task, request.parts()
    _check_present(request, raw, wanted)
    splits: dict[str, Examples] = {}
    for split in SPLITS:
        tables = [part for part in wanted if part.split == split]
        if not tables:
            continue
        examples = splits[split] = Examples(task.kind, split, counts)
        for part in tables:
            if (raw / part.file).is_file():
                _read_part(request, part, raw, examples)
            else:
                examples.count("no_table", part.language or "", 1)
        _check_languages(request, examples, tables, raw)
        write_table(examples.table(), folder / f"{split}.parquet")
    for split, examples in splits.items():
        if split != "train" and "train" in splits:
            for language, keys in examples.inputs.items():
                examples.count("also_in_train", language, len(keys & splits["train"].inputs.get(language, set())))
    rows = {split: dict(sorted(examples.rows.items())) for split, examples in splits.items()}
    return {"rows": rows, "quirks": counts, "labels": task.labels}


def _with_labels(request: Request, raw: Path, folder: Path, counts: Counts) -> Request:
    """Return the request with the labels that the raw data list themselves, if so; write `labels.json`."""
    if request.task.source.layout != "tagged_lines":
        return request
    names, gaps = read_tag_names(raw / LABELS)
    (folder / TAGS).write_text(dump_json(names), encoding="utf-8")
    if gaps:
        counts["label_gaps"] = {"train": {request.source_language: gaps}}
    return replace(request, task=request.task.model_copy(update={"labels": names}))


def _key(row: tuple) -> tuple:
    return tuple(tuple(value) if isinstance(value, list) else value for value in row)


def _check_present(request: Request, raw: Path, wanted: list[Part]) -> None:
    name = request.task.task
    for part in wanted:
        if part.optional or (raw / part.file).is_file():
            continue
        if part.language and request.task.source.languages_in == "config":
            have = request.languages_of(p.parent.name for p in raw.glob(f"*/{part.source_split}.parquet"))
            raise UserError(
                f'The data of `{name}` hold no split "{part.source_split}" for the language "{part.language}" '
                f"(expected {raw / part.file}). Languages that have it: {', '.join(have) or 'none'}."
            )
        have = sorted(p.stem for p in (raw / part.config).glob("*.parquet"))
        raise UserError(
            f'The data of `{name}` hold no split "{part.source_split}" of "{part.config}" '
            f"(expected {raw / part.file}). Splits that exist: {', '.join(have) or 'none'}."
        )


def _read_part(request: Request, part: Part, raw: Path, examples: Examples) -> None:
    task = request.task_of(part)
    where = f"{task.task} ({part.file.removesuffix('.parquet')})"
    table = read_tagged(raw / part.file) if part.lines else read_table(raw / part.file)
    check_columns(task, table.column_names, where)
    numbers = next((name for name in ("id", "idx") if name in table.column_names), None)
    if "id" in task.columns:
        numbers = task.columns["id"]
        ids = [str(value) for value in values(table, numbers, where)]
    else:
        ids = [f"{part.source_split}-{row}" for row in range(table.num_rows)]
    if numbers:
        gaps = id_gaps(values(table, numbers, where))
        examples.count("id_gaps", part.language or request.source_language, gaps)
    for language, rows in _rows_by_language(request, part, ids, examples):
        read = read_rows(task, table if rows is None else table.take(rows), part.split, where)
        mine = ids if rows is None else [ids[row] for row in rows]
        for what, number in [*read.counts.items(), *Counter(read.drop.values()).items()]:
            examples.count(what, language, number)
        kept = [row for row in range(len(mine)) if row not in read.drop]
        examples.add(
            language, [mine[row] for row in kept], {n: [c[row] for row in kept] for n, c in read.columns.items()}
        )


def _rows_by_language(
    request: Request, part: Part, ids: list[str], examples: Examples
) -> Iterator[tuple[str, list[int] | None]]:
    """Yield (language, its rows; None for all); rows in languages that nobody asked for are counted."""
    if part.language is not None:
        yield part.language, None
        return
    chosen = request.languages_in(part.split)
    codes = {request.name_of(language): language for language in chosen}
    rows: dict[str, list[int]] = {}
    for row, name in enumerate(ids):
        rows.setdefault(name.partition("-")[0], []).append(row)
    for prefix in sorted(rows):
        language = canonical(prefix)
        if prefix in codes:
            continue
        if request.provider != "mini" and language in chosen:
            # Another code of a language that was asked for: read as that language.
            rows.setdefault(request.name_of(language), []).extend(rows[prefix])
            examples.count("language_aliases", language, len(rows[prefix]))
        else:
            examples.count("other_languages", prefix, len(rows[prefix]))
    for language in sorted(chosen):
        if request.name_of(language) in rows:
            yield language, sorted(rows[request.name_of(language)])


def _check_languages(request: Request, examples: Examples, tables: list[Part], raw: Path) -> None:
    expected = [part.language for part in tables if part.language and not part.optional]
    by_prefix = request.task.source.languages_in == "id_prefix"
    if by_prefix:
        expected = request.languages_in(examples.split)
    empty = ", ".join(language for language in expected if not examples.rows[language])
    if not empty:
        return
    here = f'The split "{examples.split}" of `{request.task.task}` ({raw})'
    out = {what: of[examples.split] for what, of in examples.counts.items() if examples.split in of}
    if by_prefix:
        held = sorted({*(request.name_of(language) for language in examples.rows), *out.get("other_languages", {})})
        raise UserError(f"{here} holds no rows in: {empty}. Languages by their ids: {', '.join(held) or 'none'}.")
    raise UserError(f"{here} has no usable rows in: {empty}. Found there: {out or 'empty tables'}.")
