"""Plain text for masked-LM training: `<language>.txt` -> one table."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa

from stilts.data.layout import Request
from stilts.data.tables import write_table
from stilts.errors import UserError

SCHEMA = pa.schema([("id", pa.string()), ("language", pa.string()), ("text", pa.string())])


def prepare_text(request: Request, raw: Path, folder: Path) -> dict[str, Any]:
    """Write `folder/train.parquet` from `raw/<language>.txt`; return the facts of the manifest.

    One row a document (a line; a TAB joins its segments), named by its line number. Blank lines are left out,
    repeated lines kept; both are counted. Raises UserError for a language without text and bytes that are not UTF-8.
    """
    ids, codes, texts = [], [], []
    rows, blank, repeated = {}, {}, {}
    for language in request.languages:
        path = raw / f"{language}.txt"
        if not path.is_file():
            held = ", ".join(sorted(p.stem for p in raw.glob("*.txt"))) or "none"
            raise UserError(f'The text of `{request.task.task}` lacks the language "{language}". {raw} holds: {held}.')
        try:
            # Not splitlines(): U+2028 and the like end no document here.
            lines = [line.removesuffix("\r") for line in path.read_text(encoding="utf-8").split("\n")]
        except UnicodeDecodeError as error:
            raise UserError(f"{path} is not UTF-8 text (byte {error.start}): convert it") from None
        if lines and not lines[-1]:
            lines.pop()
        kept = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
        if not kept:
            raise UserError(f"{path} holds no text: leave the language {language} out or put text there")
        ids += [f"line-{number}" for number, _ in kept]
        texts += [line for _, line in kept]
        codes += [language] * len(kept)
        rows[language] = len(kept)
        blank[language] = len(lines) - len(kept)
        repeated[language] = len(kept) - len({line for _, line in kept})
    write_table(pa.table({"id": ids, "language": codes, "text": texts}, schema=SCHEMA), folder / "train.parquet")
    quirks = {
        what: {"train": {language: n for language, n in numbers.items() if n}}
        for what, numbers in (("blank_lines", blank), ("repeated_lines", repeated))
        if any(numbers.values())
    }
    return {"rows": {"train": rows}, "quirks": quirks, "labels": []}
